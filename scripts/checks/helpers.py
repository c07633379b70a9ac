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
# What a helper may call besides what it is named after, without wg_, which is no macro of capitals. None
# of these decides, waits or orders anything.
OTHERS = """
    __flush_workqueue __raw_spin_lock_init __spin_lock_init cpumask_next DEV_STATS_ADD DEV_STATS_INC ERR_PTR
    inet_sk lockdep_assert_held netif_elide_gro ns_capable pr_warn spinlock_check task_stack_page this_cpu_read
    totalram_pages within_module
""".split()
PLAIN = re.compile(r"[a-z][a-z0-9_]*")
BRANCH = re.compile(r"do|else|goto|[?]|&&|\|\|")
BARRIER = re.compile(
    r"(?:[a-z0-9]+_)*(?:mb|rmb|wmb|barrier)(?:_[a-z0-9_]*)?|smp_(?:store|load|cond|acquire)[a-z_]*|_*volatile_*"
)
CHANGES = ("=", "<<=", ">>=", "++", "--")
# Of these, what is in parentheses are no arguments.
WORDS = ("return", "sizeof", "typeof")

HERE = "__rust_helper int rust_helper_%s(void)\n{\n\t%s\n}\n"
PLANTED = (
    (HERE % ("b", "return c;"), "b: of another name"),
    (HERE % ("b", "return /* b() */ c();"), "b: calls c"),
    (HERE % ("b", "ns_capable(c, b());"), "b: calls b for another"),
    (HERE % ("b", "b(spinlock_check(c));"), None),
    (HERE % ("wg_b", "return c;"), None),
    (HERE % ("wg_b", "return (int)b(c) << 1;"), None),
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
        self.enclosing, self.last = [], ""

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
        arguments = token == "(" and re.match(r"[\w)\]]", self.last) and self.last not in WORDS
        if arguments:
            self.call(self.last, any(self.enclosing))
        if BRANCH.fullmatch(token):
            self.is_("a branch")
        if BARRIER.fullmatch(token):
            self.is_("a barrier")
        if token in "([{":
            self.enclosing.append(arguments)
        elif token in ")]}" and self.enclosing:
            self.enclosing.pop()
        elif token == ",":
            if not (self.enclosing and self.enclosing[-1]):
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
        if own and nested:
            self.is_(f"calls {called} for another")
        elif not own and called not in OTHERS:
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
