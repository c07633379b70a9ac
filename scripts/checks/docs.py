#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""docs.py KERNEL: do the names in Documentation and the READMEs exist?

Looks at ``literals``, for names of code and of files; at all of the text, for files; and at commands,
for targets of make and checks of check.sh. A name has to occur in the project's sources, outside of
comments, or in scripts/checks/names, which says in which file of the kernel's source, in KERNEL, it is found.
`Type::name` has to be a field, a variant, a function or the like of `Type`, or an item of that module.
In comments of sources, looks at paths and at documents. And the map in overview.rst has the files.

Before that, each kind of error is shown to be found.
"""

import fnmatch
import os
import re
import subprocess
import sys

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '../..'))
WORD = re.compile(r'[A-Za-z_]\w*')
DIRECTORIES = r'(?:rust|scripts|selftests|qemu-test|Documentation)'
PATH = re.compile(r'(?<![\w/.~$}-])' + DIRECTORIES + r'/[\w./*+-]*')
FILE = re.compile(r'(?<![\w/.*-])(?:[\w-]+/)*[\w-]+\.(?:rst|rs|sh|py|c|h|config|patch|toml|md|txt)\b(?![\w/])')
MAP = 'Documentation/overview.rst'
# Where a document stands for any name.
ANY = re.compile(r'\b(?:NAME|ROOM|PROGRAM|KERNEL|X)\b')


def read(name):
    with open(os.path.join(TOP, name), errors='replace') as file:
        return file.read()


def without_comments(name, text):
    if name.endswith(('.rs', '.c', '.h')):
        text = re.sub(r'//.*', '', text)
    if name.endswith(('.c', '.h')):
        text = re.sub(r'/\*.*?\*/', '', text, flags=re.DOTALL)
    return text


def body(text, start):
    """What is between the brace that opens next, before any end of an item, and the one that closes it."""
    match = re.compile(r'[^;{]*\{').match(text, start)
    if not match:
        return ''
    depth, end = 1, match.end()
    for brace in re.compile(r'[{}]').finditer(text, end):
        depth += 1 if brace.group() == '{' else -1
        end = brace.start()
        if not depth:
            break
    return text[match.end():end]


ITEMS = re.compile(r'\b(?:fn|const|static|type|struct|enum|union|trait|mod|macro_rules!)\s+(?!fn\b)(?:mut\s+)?(\w+)')
FIELDS = re.compile(r'(\w+)\s*:(?!:)|^\s*(\w+)\s*(?:[,({=]|$)', re.MULTILINE)


def members(outer, path, text):
    """What the source of this path has of the type, trait or module `outer`."""
    found = set()
    for match in re.finditer(r'\b(struct|enum|union|trait|mod)\s+' + outer + r'\b', text):
        inside = body(text, match.end())
        found.update(ITEMS.findall(inside))
        if match.group(1) in ('struct', 'enum', 'union'):
            found.update(name for names in FIELDS.findall(inside) for name in names)
    for match in re.finditer(r'\bimpl\b[^{};]*\b' + outer + r'\b', text):
        found.update(ITEMS.findall(body(text, match.end())))
    if outer in os.path.splitext(path)[0].split('/')[-2:]:
        found.update(ITEMS.findall(text))
        found.update(name for use in re.findall(r'\bpub(?:\([a-z]+\))? use ([^;]+);', text) for name in WORD.findall(use))
    return found


class Sources:
    """What there is."""

    def __init__(self, kernel):
        listed = subprocess.run(
            ['git', '-c', 'safe.directory=*', '-C', TOP, 'ls-files', '--cached', '--others', '--exclude-standard'],
            check=True, stdout=subprocess.PIPE, text=True).stdout.split('\n')
        self.files = [name for name in listed if name and os.path.exists(os.path.join(TOP, name))]
        self.documents = [name for name in self.files if name.endswith(('.rst', '.md'))]
        self.texts = {name: without_comments(name, read(name)) for name in self.files
                      if name not in self.documents and name != 'scripts/checks/names'
                      and name != os.path.relpath(__file__, TOP) and os.path.isfile(os.path.join(TOP, name))}
        self.words = set()
        for name, text in self.texts.items():
            self.words.update(WORD.findall(text), WORD.findall(name))
        self.targets = re.findall(r'^([a-z_-]+):', read('Makefile'), re.MULTILINE)
        self.checks = re.findall(r'^check_([a-z-]+)\(', read('scripts/check.sh'), re.MULTILINE)
        self.wrong = []
        self.foreign = self.read_names(kernel)
        self.used = set()
        self.members = {}

    def read_names(self, kernel):
        """The names that others have, and whether they do."""
        names = {}
        for line in read('scripts/checks/names').split('\n'):
            if not line or line.startswith('#'):
                continue
            name, where = line.split(None, 1)
            names[name] = where
            if where.startswith('('):
                continue
            path = os.path.join(kernel, where)
            found = os.path.exists(path) and ('/' + where).endswith('/' + name.rstrip('/'))
            if not found and os.path.isfile(path):
                with open(path, errors='replace') as file:
                    found = re.search(r'\b' + re.escape(name.removeprefix('CONFIG_')) + r'\b', file.read())
            if not found:
                self.wrong.append(f'scripts/checks/names: {name}: is not in {where} of the kernel')
        return names

    def is_foreign(self, name):
        if name in self.foreign:
            self.used.add(name)
        return name in self.foreign

    def has_word(self, word):
        """Is there this word, or one that begins or ends like it?"""
        if word.endswith('_'):
            return any(known.startswith(word) for known in self.words)
        if word.startswith('_'):
            return any(known.endswith(word) for known in self.words)
        return word in self.words or self.is_foreign(word)

    def has_file(self, name):
        """Is there a file of this name, or whose path ends in it, or a directory?"""
        if self.is_foreign(name):
            return True
        name = ANY.sub('*', name).rstrip('/')
        return any(fnmatch.fnmatchcase(path, name) or fnmatch.fnmatchcase(path, '*/' + name) or
                   fnmatch.fnmatchcase(path, name + '/*') for path in self.files)

    def has_member(self, outer, name):
        """Is `name` something of the type, trait, module or crate `outer`?"""
        outer = outer.removeprefix('wg_')
        if outer not in self.members:
            self.members[outer] = {}
            for path, text in self.texts.items():
                if path.endswith('.rs'):
                    place = self.members[outer].setdefault(path.startswith('rust/'), set())
                    place.update(members(outer, path, text))
        # Tests stand in for what the module has.
        of_module = self.members[outer].get(True)
        return name in (of_module or self.members[outer].get(False, ()))


def literals(name, text):
    """What stands in quotation marks for code."""
    if name.endswith('.md'):
        return re.findall(r'`([^`\n]+)`', text)
    return re.findall(r'``(.+?)``', text, re.DOTALL)


def blocks(text):
    """Lines that are indented, as examples are."""
    return re.findall(r'^(?:    |       )\S.*$', text, re.MULTILINE)


def check_literal(sources, literal):
    """What is wrong with one."""
    if re.search(r'\s', literal) or literal.startswith(('-', '/', '~', '<')) or \
            FILE.fullmatch(literal) or PATH.fullmatch(literal):
        return
    path = WORD.findall(literal) if '::' in literal else []
    for word in WORD.findall(literal):
        if not sources.has_word(word):
            yield f'``{literal}``: there is no {word}'
            return
    if len(path) > 1 and path[0] not in ('kernel', 'core', 'alloc', 'bindings') and not sources.is_foreign(path[0]):
        outer, name = re.search(r'(\w+)::(\w+)', literal[literal.rfind('::', 0, literal.rfind('::')) + 1:]).groups()
        if not sources.has_member(outer, name):
            yield f'``{literal}``: {outer} has no {name}'


def tables(text):
    """Lines of simple tables that stand between columns."""
    columns, before = None, ''
    for line in text.split('\n'):
        is_border = re.fullmatch(r' *=+(?: +=+)+', line)
        if is_border and not columns:
            columns = [match.span() for match in re.finditer(' +', line) if match.start()]
        elif not line and re.match(' *==', before):
            # A border ends the table if nothing follows it.
            columns = None
        elif columns and any(line[start:end].strip() for start, end in columns):
            yield line
        before = line


def check_document(sources, name, text):
    """What is wrong in one."""
    if name.endswith('.rst'):
        yield from (f'a line of a table is in two columns: {line}' for line in tables(text))
    for literal in literals(name, text):
        yield from check_literal(sources, literal)
    for path in PATH.findall(text) + FILE.findall(text):
        path = path.rstrip('.')
        if not sources.has_file(path):
            yield f'there is no file {path}'
    for command in literals(name, text) + blocks(text):
        for target in re.findall(r'\bmake ([a-z][a-z_-]*)\b', command):
            if target not in sources.targets:
                yield f'there is no make {target}'
        for check in re.findall(r'\bCHECK="?([a-z][a-z -]*)', command):
            yield from (f'there is no check {one}' for one in check.split() if one not in sources.checks)
    for path in re.findall(r'\]\(([^):#]+)\)', text):
        if not sources.has_file(os.path.normpath(os.path.join(os.path.dirname(name), path))):
            yield f'there is no file {path}'
    titles = re.findall(r'^(.+)\n(?:=+|-+)$', text, re.MULTILINE)
    for title in re.findall(r'(?<!`)`([^`<]+)`_', text):
        if ' '.join(title.split()) not in titles:
            yield f'there is no section "{title}"'


def check_source(sources, name, text):
    """What is wrong in the comments of one, and what it says of documents."""
    for document in re.findall(r'[\w-]+\.rst\b', text):
        if not sources.has_file(document):
            yield f'there is no file {document}'
    for comment in re.findall(r'^\s*(?:#|//[/!]?|\*) (.*)$', text, re.MULTILINE):
        for path in PATH.findall(comment):
            if not sources.has_file(path.rstrip('.')):
                yield f'there is no file {path}'


def check_map(files, text):
    """Which files of these directories the map has not, in the section of each."""
    for directory in 'rust/wireguard/', 'rust/proto/', 'rust/net/':
        section = text.partition(f'``{directory}``\n--')[2].partition('\n\n``rust/')[0]
        for name in files:
            inside = name.removeprefix(directory)
            if inside != name and inside.endswith(('.rs', '.c')) and inside != 'lib.rs' and '/tests' not in inside and \
                    f'``{inside}``' not in section:
                yield f'the map has no {name}'


def check(sources):
    for wrong in check_map(sources.files, read(MAP)):
        yield f'{MAP}: {wrong}'
    for name in sources.documents:
        for wrong in check_document(sources, name, read(name)):
            yield f'{name}: {wrong}'
    for name in sources.texts:
        for wrong in check_source(sources, name, read(name)):
            yield f'{name}: {wrong}'
    yield from sources.wrong
    yield from (f'scripts/checks/names: {name}: no document has it'
                for name in sources.foreign if name not in sources.used)


WRONG = {
    '``clear_handshakes_at_noon``': 'there is no clear_handshakes_at_noon',
    '``Peer::expire_claims``': 'there is no expire_claims',
    '``Peer::open_in_place``': 'Peer has no open_in_place',
    # Some method of a device calls it, and a model of a device has it.
    '``Device::next_cpu``': 'Device has no next_cpu',
    'see noon.rst': 'there is no file noon.rst',
    '``proto/noon.rs`` has': 'there is no file proto/noon.rs',
    '``rust/noon/``': 'there is no file rust/noon/',
    'in selftests/guest/noon*.sh': 'there is no file selftests/guest/noon*.sh',
    '``make noon``': 'there is no make noon',
    '``make check CHECK="docs noon"``': 'there is no check noon',
    'table\n\n==== ====\nnoon noon\n==== ====\nnoonnoon\n==== ====\n\n': 'a line of a table is in two columns: noonnoon',
    '[Noon](noon)': 'there is no file noon',
    '`At noon`_': 'there is no section "At noon"',
}
RIGHT = ('``SkBuff`` and ``Peer::send_initiation()``, see locking.rst, ``proto/crypto.rs``, ``rust/net/``, '
         'selftests/guest/NAME.sh\n\n    make check CHECK=docs\n\nTitle\n=====\n\nAs in `Title`_.\n')


def self_check(sources):
    for text, wrong in WRONG.items():
        found = list(check_document(sources, 'noon.rst', f'Before {text} after.\n'))
        if len(found) != 1 or wrong not in found[0]:
            yield f'{text}: is to be found wrong, as {wrong}, and what is found is {found}'
    for found in check_document(sources, 'noon.rst', RIGHT):
        yield f'is not wrong: {found}'
    there = '\n\n``rust/proto/``\n--\n\n``a.rs``\n``a/b.rs``\n\n``rust/net/``\n--\n\n``a.c``\n``noon.rs``\n'
    files = [f'rust/proto/{name}.rs' for name in ('lib', 'a', 'a/b', 'a/noon', 'a/tests', 'noon')] + ['rust/net/a.c']
    found = list(check_map(files, there))
    if found != ['the map has no rust/proto/a/noon.rs', 'the map has no rust/proto/noon.rs']:
        yield f'two files are to be found missing in the map, and what is found is {found}'
    for sign in '#', '//', '//!', ' *':
        found = list(check_source(sources, 'noon.sh', f'At\n{sign} noon, scripts/noon does.\nscripts/noon\n'))
        if found != ['there is no file scripts/noon']:
            yield f'comments with {sign}: scripts/noon is to be found, and what is found is {found}'


def main():
    sources = Sources(sys.argv[1])
    wrong = sorted(set(self_check(sources)) or set(check(sources)))
    print('\n'.join(wrong) if wrong else f'{len(sources.documents)} documents')
    return bool(wrong)


if __name__ == '__main__':
    sys.exit(main())
