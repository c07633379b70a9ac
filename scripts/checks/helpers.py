#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""helpers.py FILE...: is each helper of C an inline function or macro made callable, and nothing else?

Files of helpers have nothing but these. Each has the name of the function that it calls, or one of its own,
which begins with wg_, and is one statement without branches and barriers: a call of that function, or of
OTHERS, with what is done to its value, or a change. What of it is compiled is decided when the kernel is
configured.

Before that, each kind of error is shown to be found.
"""

import os
import re
import sys

# Names of files, which stay; comments, strings, and lines that go on.
SKIPPED = re.compile(
    r"(#[ \t]*include[^\n]*)|/\*.*?\*/|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|\\\n", re.S
)
# Directives, names and numbers, operators of which part means something else, and characters.
TOKEN = re.compile(r"\n[ \t]*#[^\n]*|\w+|\+\+|--|&&|\|\||<<=|>>=|[=!<>]=|\S")
HELPER = re.compile(r"__rust_helper [^=]*\brust_helper_(\w+) \([^=]*\)$")
# What may be outside of them, for what reads modules.
INFORMATION = re.compile(r"MODULE_[A-Z]+ \( ` \)$")
# The file that has the others.
ALL = "helpers.c"
DEFINED = ("define __rust_helper", "define __rust_helper __always_inline")
# What a helper may call besides what it is named after, without wg_, which is no macro of capitals; and what
# of that computes a value and does nothing else, so that it may be an argument.
OTHERS = """
    __flush_workqueue __raw_spin_lock_init __spin_lock_init DEV_STATS_ADD DEV_STATS_INC lockdep_assert_held
    netif_elide_gro ns_capable pr_warn
""".split()
VALUES = """
    cpumask_next ERR_PTR inet_sk READ_ONCE spinlock_check task_stack_page this_cpu_read totalram_pages within_module
""".split()
# What a helper may be named after: no word of the language, and nothing that repeats what it is given.
PLAIN = re.compile(r"(?!(?:asm|for|if|switch|while|wait_event\w*|\w*for_each\w*)$)[a-z][a-z0-9_]*")
BRANCH = re.compile(r"do|else|goto|[?]|&&|\|\|")
BARRIER = re.compile(
    r"(?:[a-z0-9]+_)*(?:mb|rmb|wmb|barrier)(?:_[a-z0-9_]*)?|smp_(?:store|load|cond|acquire)[a-z_]*|_*volatile_*"
    r"|_Atomic|(?:\w+_)?(?:acquire|release)|\w+_return|\w*xchg\w*|\w*set_current_state|rcu_assign_pointer"
)
# What values are cast to.
TYPE = re.compile(
    r"(?:(?:const|unsigned|signed|char|short|int|long|bool|void|\w+_t|[su]\d+|__[bl]e\d+|struct \w+|\*) )+"
)
CHANGES = ("=", "<<=", ">>=", "++", "--")
# Of these, what is in parentheses are no arguments.
WORDS = ("return", "sizeof", "typeof")

ORDERS = """
    atomic_set_release atomic_read_acquire atomic_inc_return xchg cmpxchg try_cmpxchg atomic_xchg
    virt_store_release virt_load_acquire set_current_state __set_current_state rcu_assign_pointer
""".split()
REPEATED = (
    ("if", "if (c) return 1;"),
    ("while", "while (c->d);"),
    ("for", "for (;;) c++;"),
    ("switch", "switch (c) { default: d = 1; }"),
    ("asm", 'asm ("mfence");'),
    ("wait_event", "wait_event(c->d, c->e == 1);"),
    ("wait_event_timeout", "wait_event_timeout(c, d, e);"),
    ("list_for_each_entry", "list_for_each_entry(c, d, e) c->f = 1;"),
)
HERE = "__rust_helper int rust_helper_%s(void)\n{\n\t%s\n}\n"
PLANTED = (
    (HERE % ("b", "return c;"), "b: of another name"),
    (HERE % ("b", "return /* b() */ c();"), "b: calls c"),
    (HERE % ("b", "ns_capable(c, b());"), "b: calls b for another"),
    (HERE % ("b", "b(spinlock_check(c));"), None),
    (HERE % ("b", "b(ns_capable(c, 1));"), "b: calls ns_capable for another"),
    (HERE % ("b", 'b(spinlock_check(c), pr_warn("d"));'), "b: calls pr_warn for another"),
    *((HERE % (f"wg_{name}", code), f"wg_{name}: calls {name}") for name, code in REPEATED),
    (HERE % ("wg_b", "return c;"), None),
    (HERE % ("wg_b", "return (int)b(c) << 1;"), None),
    (HERE % ("wg_b", "return (long)(b(c) + 1);"), None),
    (HERE % ("wg_b", "return (const struct d *)(b(c) + 1);"), None),
    (HERE % ("wg_b", "return (d)(b(c) + 1);"), "wg_b: calls )"),
    (HERE % ("wg_b", "return (int (b))(c);"), "wg_b: calls int"),
    (HERE % ("wg_b", "c->b(d);"), None),
    (HERE % ("wg_b", "c->d(e);"), "wg_b: calls d"),
    (HERE % ("wg_b", "(*b)(c);"), "wg_b: calls )"),
    (HERE % ("wg_b", "if (c)\n\t\tb();"), "wg_b: calls if"),
    (HERE % ("wg_b", "/* c */ if (d) b(); /* f */"), "wg_b: calls if"),
    (HERE % ("wg_b", "while (b());"), "wg_b: calls while"),
    (HERE % ("wg_b", "do b(); while (c);"), "wg_b: a branch"),
    (HERE % ("wg_b", "return c ?: 1;"), "wg_b: a branch"),
    (HERE % ("wg_b", "return c && b();"), "wg_b: a branch"),
    (HERE % ("wg_b", "list_for_each(c, d) b();"), "wg_b: calls list_for_each"),
    (HERE % ("wg_b", "scoped_guard(c) b();"), "wg_b: calls scoped_guard"),
    (HERE % ("wg_b", "return _Generic(c, int: d);"), "wg_b: calls _Generic"),
    (HERE % ("wg_b", "__builtin_choose_expr(c, d, e);"), "wg_b: calls __builtin_choose_expr"),
    (HERE % ("wg_b", "BUG_ON(c);"), "wg_b: calls BUG_ON"),
    (HERE % ("wg_b", "WARN_ON(c);"), "wg_b: calls WARN_ON"),
    (HERE % ("wg_b", "wait_event(c, d);"), "wg_b: calls wait_event"),
    (HERE % ("wg_b", 'asm("c");'), "wg_b: calls asm"),
    (HERE % ("wg_b", "WRITE_ONCE(c, 1);"), "wg_b: calls WRITE_ONCE"),
    (HERE % ("__READ_ONCE", "return __READ_ONCE(c);"), "__READ_ONCE: calls __READ_ONCE"),
    (HERE % ("wg___smp_mb", "__smp_mb();"), "wg___smp_mb: calls __smp_mb"),
    (HERE % ("smp_mb", "smp_mb ();"), "smp_mb: a barrier"),
    (HERE % ("wg_b", "return *(volatile int *)c;"), "wg_b: a barrier"),
    (HERE % ("wg_b", "*(_Atomic int *)c = 1;"), "wg_b: a barrier"),
    *((HERE % (name, f"return {name}(c);"), f"{name}: a barrier") for name in ORDERS),
    (HERE % ("wg_b", "b();\n\tb();"), "wg_b: several statements"),
    (HERE % ("wg_b", "b(); /* d */ b(); /* f */"), "wg_b: several statements"),
    (HERE % ("wg_b", "b();\n#ifdef C\n\tb();\n#endif\n\tb(c);"), "wg_b: several statements"),
    (HERE % ("wg_b", "#if C\n#if D\n\tb();\n\tb();\n#endif\n#endif"), "wg_b: several statements"),
    (HERE % ("wg_b", "return ({ b(); b(); });"), "wg_b: several statements"),
    (HERE % ("wg_b", "return b() | b();"), "wg_b: several statements"),
    (HERE % ("wg_b", "c = d++;"), "wg_b: several statements"),
    (HERE % ("wg_b", "c = b();"), "wg_b: several statements"),
    (HERE % ("wg_b", "return c, b();"), "wg_b: a comma"),
    (HERE % ("wg_b", "return (c, b());"), "wg_b: a comma"),
    (HERE % ("wg_b", "b(c, (d, e));"), "wg_b: a comma"),
    (HERE % ("wg_b", "#define C d();"), "#define C d();: no helper"),
    (HERE % ("wg_b", "#ifdef C\n\tb();\n#elif D\n\tb(e, f);\n#else\n\tERR_PTR(1);\n#endif"), None),
    (HERE % ("wg_b", '/* if (c)\n\t * d(); e(); */\n\tb("?;;, /*", g == h); // i, j'), None),
    (HERE % ("wg_b", "c->d |= 1;") + '\nMODULE_VERSION("1, 0");\n', None),
    ("static int b(void)\n{\n\treturn 1;\n}\n", "static int b ( void ): no helper"),
    ("static int b = 1;\n", "static int b = 1: no helper"),
    ("static struct b c = {\n\t.d = 1,\n};\n", "static struct b c =: no helper"),
    ("__rust_helper int b(void)\n{\n\treturn 1;\n}\n", "__rust_helper int b ( void ): no helper"),
    ("#define B c, d\n", "#define B c, d: no helper"),
    ('#include "b.h"\n', '#include "b.h": no helper'),
    ("#include <b.h>\n", None),
    (HERE % ("wg_b", "b({);"), "wg_b: without an end"),
)


def tokens(text):
    """What the compiler sees; strings, of which it does not matter what they are, are a `."""
    return TOKEN.findall(
        SKIPPED.sub(lambda match: match[1] or ("`" if match[0][0] in "\"'" else " "), "\n" + text)
    )


class Function:
    """What is said of a helper, or, if it has no name, not said of what is none."""

    def __init__(self, name):
        self.name, self.found, self.called = name, None, False
        self.statements, self.parts, self.steps = 0, [], 0
        # Whether what is in parentheses are arguments, and what it is; and whether it was a type.
        self.enclosing, self.last, self.cast = [], "", False

    def is_(self, what):
        self.found = self.found or what

    def directive(self, word):
        """Of parts of which one is compiled, the one with the most statements counts."""
        if word.startswith("if"):
            self.parts.append((self.statements, self.statements))
        elif self.parts:
            before, most = self.parts.pop()
            most = max(most, self.statements)
            if word != "endif":
                self.parts.append((before, most))
            self.statements = most if word == "endif" else before

    def token(self, token):
        named = re.match(r"[\w)\]]", self.last) and self.last not in WORDS and not self.cast
        arguments = token == "(" and named
        if arguments:
            self.call(self.last, any(each for each, _ in self.enclosing))
        if BRANCH.fullmatch(token):
            self.is_("a branch")
        if BARRIER.fullmatch(token):
            self.is_("a barrier")
        self.cast = False
        if token in "([{":
            self.enclosing.append((arguments, []))
        elif token in ")]}" and self.enclosing:
            called, inside = self.enclosing.pop()
            self.cast = not called and TYPE.fullmatch("".join(f"{each} " for each in inside))
        if self.enclosing and token not in "([{":
            self.enclosing[-1][1].append(token)
        if token == ",":
            if not (self.enclosing and self.enclosing[-1][0]):
                self.is_("a comma")
        elif token == ";":
            self.statements, self.steps = self.statements + 1, 0
        elif token in CHANGES:
            self.steps += 1
        if self.statements > 1 or self.steps > 1:
            self.is_("several statements")
        self.last = token

    def call(self, called, nested):
        """What is called; what is so for arguments of another is no step of its own."""
        own = self.name and called == self.name.removeprefix("wg_") and PLAIN.fullmatch(called)
        if nested and (own or called in OTHERS):
            self.is_(f"calls {called} for another")
        elif not own and called not in (*OTHERS, *VALUES):
            self.is_(f"calls {called}")
        self.called = self.called or own
        self.steps += not nested

    def complaints(self):
        if self.name and not self.name.startswith("wg_") and not self.called:
            self.is_("of another name")
        return [f"{self.name}: {self.found}"] if self.name and self.found else []


def look(text, defined=()):
    """What is wrong with a file, which may have directives that are `defined`."""
    complaints, head, function = [], [], None
    for token in tokens(text):
        if token.startswith("\n"):
            directive = " ".join(token.strip("\n\t #").split())
            word = re.match(r"\w*", directive)[0]
            if word in ("if", "ifdef", "ifndef", "elif", "else", "endif"):
                if function:
                    function.directive(word)
            elif directive not in defined and (function or not directive.startswith("include <")):
                complaints.append(f"#{directive}: no helper")
        elif function and token == "}" and not function.enclosing:
            complaints += function.complaints()
            function = None
        elif function:
            function.token(token)
        elif token in ("{", ";"):
            head, said = [], " ".join(head)
            match = HELPER.match(said) if token == "{" else INFORMATION.match(said)
            if said and not match:
                complaints.append(f"{said}: no helper")
            if token == "{":
                function = Function(match and match[1])
        else:
            head.append(token)
    if function:
        complaints.append(f"{function.name}: without an end")
    return complaints


def main():
    for text, complaint in PLANTED:
        if look(text) != ([complaint] if complaint else []):
            sys.exit(f"{text}is said to be {look(text)}")
    files = sys.argv[1:]
    included = tuple(f'include "{os.path.basename(file)}"' for file in files)
    status = 0
    for file in files:
        with open(file) as source:
            defined = (*included, *DEFINED) if os.path.basename(file) == ALL else ()
            for complaint in look(source.read(), defined):
                print(f"{file}: {complaint}")
                status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
