#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""helpers.py FILE...: is each helper of C an inline function or macro made callable, and nothing else?

Files of helpers have nothing but these. Each has the name of the function that it calls, or one of its own,
which begins with wg_, and is one statement without branches, barriers, or steps within it. What of it is
compiled is decided when the kernel is configured.

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
BRANCH = re.compile(r"if|else|for|while|do|switch|goto|[?]|&&|\|\||\w*for_each\w*|asm|__asm__")
BARRIER = re.compile(
    r"(?:[a-z0-9]+_)*(?:mb|rmb|wmb|barrier)(?:_[a-z0-9_]*)?"
    r"|smp_(?:store|load|cond|acquire|mb|rmb|wmb)[a-z_]*|READ_ONCE|WRITE_ONCE"
)
CHANGES = ("=", "<<=", ">>=", "++", "--")
# Of these, what is in parentheses are no arguments.
WORDS = ("return", "sizeof", "typeof")

HERE = "__rust_helper int rust_helper_%s(void)\n{\n\t%s\n}\n"
PLANTED = (
    (HERE % ("b", "return c;"), "b: of another name"),
    (HERE % ("b", "return /* b() */ c();"), "b: of another name"),
    (HERE % ("wg_b", "return c;"), None),
    (HERE % ("wg_b", "if (c)\n\t\td();"), "wg_b: a branch"),
    (HERE % ("wg_b", "/* c */ if (d) e(); /* f */"), "wg_b: a branch"),
    (HERE % ("wg_b", "return c ?: 1;"), "wg_b: a branch"),
    (HERE % ("wg_b", "return c && d();"), "wg_b: a branch"),
    (HERE % ("wg_b", "while (c());"), "wg_b: a branch"),
    (HERE % ("wg_b", "WRITE_ONCE(c, 1);"), "wg_b: a barrier"),
    (HERE % ("wg_b", "smp_mb ();"), "wg_b: a barrier"),
    (HERE % ("wg_b", "c();\n\td();"), "wg_b: several statements"),
    (HERE % ("wg_b", "c(); /* d */ e(); /* f */"), "wg_b: several statements"),
    (HERE % ("wg_b", "c();\n#ifdef C\n\td();\n#endif\n\te(f());"), "wg_b: several statements"),
    (HERE % ("wg_b", "#if C\n#if D\n\tc();\n\td();\n#endif\n#endif"), "wg_b: several statements"),
    (HERE % ("wg_b", "return ({ c(); d(); });"), "wg_b: several statements"),
    (HERE % ("wg_b", "c = d++;"), "wg_b: several statements"),
    (HERE % ("wg_b", "return c(), d();"), "wg_b: a comma"),
    (HERE % ("wg_b", "return (c(), d());"), "wg_b: a comma"),
    (HERE % ("wg_b", "c(d, (void)(e(), f));"), "wg_b: a comma"),
    (HERE % ("wg_b", "#define C d();"), "#define C d();: no helper"),
    (HERE % ("wg_b", "#ifdef C\n\tc();\n#elif D\n\td(e, f);\n#else\n\tg();\n#endif"), None),
    (HERE % ("wg_b", '/* if (c)\n\t * d(); e(); */\n\tf("?;;, /*", g == h); // i, j'), None),
    (HERE % ("wg_b", "c->d |= 1;") + '\nMODULE_VERSION("1, 0");\n', None),
    ("static int b(void)\n{\n\treturn 1;\n}\n", "static int b ( void ): no helper"),
    ("static int b = 1;\n", "static int b = 1: no helper"),
    ("static struct b c = {\n\t.d = 1,\n};\n", "static struct b c =: no helper"),
    ("__rust_helper int b(void)\n{\n\treturn 1;\n}\n", "__rust_helper int b ( void ): no helper"),
    ("#define B c, d\n", "#define B c, d: no helper"),
    ('#include "b.h"\n', '#include "b.h": no helper'),
    ("#include <b.h>\n", None),
    (HERE % ("wg_b", "c({);"), "wg_b: without an end"),
)


def tokens(text):
    """What the compiler sees; strings, of which it does not matter what they are, are a `."""
    return TOKEN.findall(
        SKIPPED.sub(lambda match: match[1] or ("`" if match[0][0] in "\"'" else " "), "\n" + text)
    )


class Function:
    """What is said of a helper, or, if it has no name, not said of what is none."""

    def __init__(self, name):
        self.name, self.found, self.calls = name, None, set()
        self.statements, self.parts, self.changes = 0, [], 0
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
        arguments = token == "(" and self.last.isidentifier() and self.last not in WORDS
        if arguments:
            self.calls.add(self.last)
            if BARRIER.fullmatch(self.last):
                self.is_("a barrier")
        if BRANCH.fullmatch(token):
            self.is_("a branch")
        if token in "([{":
            self.enclosing.append(arguments)
        elif token in ")]}" and self.enclosing:
            self.enclosing.pop()
        elif token == ",":
            if not (self.enclosing and self.enclosing[-1]):
                self.is_("a comma")
        elif token == ";":
            self.statements, self.changes = self.statements + 1, 0
        elif token in CHANGES:
            self.changes += 1
        if self.statements > 1 or self.changes > 1:
            self.is_("several statements")
        self.last = token

    def complaints(self):
        if self.name and not self.name.startswith("wg_") and self.name not in self.calls:
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
