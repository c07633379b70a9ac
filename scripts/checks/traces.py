#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""traces.py: does each requirement name code that does it, and a test of it?

Reads selftests/paper.txt, which says so of the protocol's paper, and selftests/code.txt, which says
where the facts of selftests/behaviour.txt, which name their own tests, are code. The items and the
tests have to exist.

Before that, each kind of error is shown to be found. ``--items FILE...`` lists what can be named.
"""

import os
import re
import sys

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '../..'))
ID = re.compile(r'^((?:[A-Z]+|[0-9](?:\.[0-9])*)-[0-9]+)(?: |$)')
ITEM = re.compile(r'(?:pub(?:\([a-z]+\))? )?(?:(?:const|unsafe) (?=fn |unsafe ))*'
                  r'(fn|struct|enum|trait|const|static|type|macro_rules!) (?:mut )?([A-Za-z_]\w*)')
TEST = re.compile(r'#\[test\]\n(?:\s*(?:#\[(?!ignore).*|//.*)\n)*\s*fn (\w+)\(')


def path(name):
    return os.path.join(TOP, name)


def read(name):
    with open(path(name), errors='replace') as file:
        return file.read()


def owner(header):
    """The type that `impl<...> Trait<...> for Type<...> {` is about."""
    header = re.sub(r'^(?:unsafe )?impl\b', '', header)
    # What is in angle brackets goes, from the inside.
    while True:
        shorter = re.sub(r'<[^<>]*>', '', header.replace('->', ''))
        if shorter == header:
            break
        header = shorter
    header = re.split(r'\bwhere\b', header)[0]
    header = re.split(r'\bfor\b', header)[-1]
    words = re.findall(r'\w+', header)
    return words[-1] if words else ''


def items(text):
    """Items of a file that rustfmt has formatted: `name`, or `Type::name` in an impl or a trait."""
    # Tests are no code.
    text = re.sub(r'^#\[cfg\(test\)\]\nmod \w+ \{\n.*?^\}\n', '', text, flags=re.MULTILINE | re.DOTALL)
    found = set()
    block = None
    header = None
    for line in text.split('\n'):
        if header is not None or re.match(r'(?:unsafe )?impl\b[^_]', line):
            header = (header or '') + ' ' + line
            if line.rstrip().endswith(('{', '{}')):
                block = None if line.rstrip().endswith('{}') else owner(header.strip())
                header = None
            continue
        if line.startswith('}'):
            block = None
            continue
        member = line.startswith('    ') and not line.startswith('     ')
        match = ITEM.match(line.lstrip() if member else line)
        if not match or (member and block is None):
            continue
        kind, name = match.groups()
        found.add(f'{block}::{name}' if member else name)
        if kind == 'trait' and not member and not line.rstrip().endswith('}'):
            block = name
    return found


class Tree:
    """What can be named."""

    def __init__(self):
        self.cache = {}
        self.facts = {}
        for line in read('selftests/behaviour.txt').split('\n'):
            match = ID.match(line)
            if match:
                self.facts[match.group(1)] = line.split()[1]

    def file(self, name, what):
        key = name, what
        if key not in self.cache:
            found = None
            if os.path.isfile(path(name)):
                found = items(read(name)) if what == 'items' else set(TEST.findall(read(name)))
            self.cache[key] = found
        return self.cache[key]

    def item(self, name):
        """`proto/FILE.rs::ITEM`, in rust/, or a file of another kind, such as a script."""
        file, _, item = name.partition('::')
        found = self.file('rust/' + file, 'items')
        if found is None:
            return f'{name}: there is no file rust/{file}'
        return None if item in found else f'{name}: there is no such item'

    def test(self, name):
        """`proto/FILE.rs::TEST`, `host/FILE.rs::TEST`, `check/CHECK`, or `TEST:ID` for a guest's result."""
        if name.startswith('check/'):
            function = f'check_{name[len("check/"):]}() {{'
            return None if function in read('scripts/check.sh').split('\n') else f'{name}: there is no such check'
        if ':' in name and '::' not in name:
            test, _, fact = name.partition(':')
            if fact not in self.facts:
                return f'{name}: there is no such fact in behaviour.txt'
            return None if test in self.facts[fact].split(',') else f'{name}: {fact} does not name that test'
        file, _, test = name.partition('::')
        file = re.sub('^proto/', 'rust/proto/', re.sub('^host/', 'selftests/host/tests/', file))
        found = self.file(file, 'tests')
        if found is None:
            return f'{name}: there is no file {file}'
        return None if test in found else f'{name}: there is no such test'


def entries(text):
    """Yields (id, {'': text, 'CODE': names, 'TEST': names}), or (None, line) for what is neither."""
    current = None
    field = ''
    for line in text.split('\n'):
        if not line.strip() or line.startswith(('#', '== ')):
            continue
        match = ID.match(line)
        if match:
            if current:
                yield current
            current = match.group(1), {'': '', 'CODE': '', 'TEST': ''}
            field = ''
            line = line[match.end():]
        elif not line.startswith(' ') or not current:
            yield None, line
            continue
        label = re.match(r'\s+(CODE|TEST): ', line)
        if label:
            field = label.group(1)
            line = line[label.end():]
        current[1][field] += ' ' + line.strip()
    if current:
        yield current


def names(text):
    return [name for name in re.split(r'[,\s]+', text) if name]


def check_paper(tree, text):
    """Sections in order, and in each entries with a sentence, code and tests that exist."""
    wrong = []
    last = {}
    section = None
    for line in text.split('\n'):
        match = re.match(r'== ([0-9.]+) +([0-9]+) +\S', line)
        if match:
            section, count = match.group(1), int(match.group(2))
            last[section] = [0, count]
            continue
        match = ID.match(line)
        if match:
            prefix, number = match.group(1).rsplit('-', 1)
            if prefix != section:
                wrong.append(f'{match.group(1)} stands in section {section}')
            elif int(number) != last[section][0] + 1:
                wrong.append(f'{match.group(1)} comes where {section}-{last[section][0] + 1} should')
            else:
                last[section][0] += 1
    wrong += [f'{section} has {has} requirements and should have {should}'
              for section, (has, should) in last.items() if has != should]
    if not last:
        wrong.append('there are no sections')
    for identifier, fields in entries(text):
        if identifier is None:
            wrong.append(f'not understood: {fields}')
            continue
        if not fields[''].strip():
            wrong.append(f'{identifier}: says nothing')
        for field, look in (('CODE', tree.item), ('TEST', tree.test)):
            if not names(fields[field]):
                wrong.append(f'{identifier}: has no {field}')
            wrong += [f'{identifier}: {error}' for error in map(look, names(fields[field])) if error]
    return wrong


def check_code(tree, text):
    """All facts, each with code that exists."""
    wrong = []
    seen = {}
    for identifier, fields in entries(text):
        if identifier is None:
            wrong.append(f'not understood: {fields}')
            continue
        if identifier in seen:
            wrong.append(f'{identifier}: is there twice')
        if identifier not in tree.facts:
            wrong.append(f'{identifier}: is not in behaviour.txt')
        seen[identifier] = names(fields[''])
        if not seen[identifier]:
            wrong.append(f'{identifier}: has no code')
        wrong += [f'{identifier}: {error}' for error in map(tree.item, seen[identifier]) if error]
    return wrong + [f'{fact}: has no code' for fact in tree.facts if fact not in seen]


GOOD_PAPER = '''
== 1.2 2  A section
1.2-1  A requirement.
       CODE: proto/wire.rs::classify, proto/replay.rs::Window::accept
       TEST: proto/wire.rs::lays_out_an_initiation, wire:HSK-7
1.2-2  Another, in
       two lines.
       CODE: proto/limits.rs::REKEY_TIMEOUT
       TEST: host/sessions.rs::what_was_seen_is_ignored, check/behaviour
'''

PLANTED = (
    ('an item that is missing', 'wire.rs::classify', 'wire.rs::classyfy'),
    ('a test in the place of an item', 'wire.rs::classify', 'wire.rs::lays_out_an_initiation'),
    ('a method of another type', 'Window::accept', 'Ring::accept'),
    ('a file that is missing', 'proto/limits.rs', 'proto/limit.rs'),
    ('a test that is missing', 'lays_out_an_initiation', 'lays_out_an_imitation'),
    ('an item in the place of a test', 'lays_out_an_initiation', 'classify'),
    ('a test in another file', 'host/sessions.rs::', 'host/timers.rs::'),
    ('a fact that is missing', 'HSK-7', 'HSK-99'),
    ('a test of other facts', 'wire:HSK-7', 'vrf:HSK-7'),
    ('no code', 'CODE: proto/limits.rs::REKEY_TIMEOUT\n', ''),
    ('no test', 'TEST: host/sessions.rs::what_was_seen_is_ignored, check/behaviour\n', ''),
    ('a check that is missing', 'check/behaviour', 'check/behavior'),
    ('no words', 'A requirement.', ''),
    ('a requirement that is missing', '== 1.2 2', '== 1.2 3'),
    ('an id out of order', '1.2-2', '1.2-3'),
    ('an id of another section', '1.2-2', '1.3-2'),
    ('nonsense', '\n1.2-1', '\nnonsense\n1.2-1'),
)


def self_check(tree, paper, code):
    wrong = []
    if check_paper(tree, GOOD_PAPER):
        wrong.append(f'what is right is found wrong: {check_paper(tree, GOOD_PAPER)}')
    for what, old, new in PLANTED:
        assert old in GOOD_PAPER, old
        if not check_paper(tree, GOOD_PAPER.replace(old, new)):
            wrong.append(f'not found: {what}')
    # The lists themselves: each entry counts, and each name.
    for what, text, check in (('paper.txt', paper, check_paper), ('code.txt', code, check_code)):
        places = [match.end() for match in re.finditer(r'::\w+(?=[,\s])', text)]
        for place in places:
            if not check(tree, text[:place] + 'X' + text[place:]):
                wrong.append(f'not found: an item that is missing in {what}, at byte {place}')
                break
    lines = code.split('\n')
    for number, line in enumerate(lines):
        if ID.match(line) and not check_code(tree, '\n'.join(lines[:number] + lines[number + 1:])):
            wrong.append(f'not found: a fact that is missing: {line}')
            break
    return wrong


def main():
    if sys.argv[1:2] == ['--items']:
        for name in sys.argv[2:]:
            print(name + ':', ' '.join(sorted(items(read(name)))))
        return 0
    tree = Tree()
    paper, code = read('selftests/paper.txt'), read('selftests/code.txt')
    wrong = check_paper(tree, paper) + check_code(tree, code)
    wrong = wrong or self_check(tree, paper, code)
    for line in wrong:
        print(line)
    if not wrong:
        count = sum(1 for _ in entries(paper))
        print(f'{count} requirements with code and tests, {len(tree.facts)} facts with code, '
              f'{len(PLANTED)} kinds of errors found')
    return bool(wrong)


sys.exit(main())
