# SPDX-License-Identifier: GPL-2.0
"""Faults that are planted in a copy of the sources, one after the other, each of which something must notice.

A list of them is a text file whose first paragraph is about itself. Each further one is a fault: what it
is (behind #), fields, and which lines of which file are replaced (those behind - by those behind +;
indentation does not count).
"""

import contextlib
import filecmp
import re
import shutil
import sys
import time


class Plant:
    """One fault."""

    def __init__(self, text, where):
        self.title, self.fields, self.edits = '', {}, []
        for line in text.splitlines():
            field = re.fullmatch(r'(\w+):\s*(.*)', line)
            if line.startswith('# '):
                self.title = (self.title + ' ' + line[2:]).strip()
            elif line.startswith('-'):
                self.edits[-1][1].append(line[1:].strip())
            elif line.startswith('+'):
                self.edits[-1][2].append(line[1:].strip())
            elif field and field[1] == 'file':
                self.edits.append((field[2], [], []))
            elif field:
                self.fields[field[1]] = field[2]
            else:
                sys.exit(f'{where}: {line}')

    @contextlib.contextmanager
    def planted(self, copy):
        """Changes the copy for as long as this lasts."""
        before, after = {}, {}
        for name, old, new in self.edits:
            path = copy / name
            before.setdefault(path, path.read_text())
            lines = after.get(path, before[path]).splitlines()
            bare = [line.strip() for line in lines]
            places = [i for i in range(len(lines)) if bare[i:i + len(old)] == old]
            if len(places) != 1:
                raise ValueError(f'{name}: the lines are there {len(places)} times')
            lines[places[0]:places[0] + len(old)] = new
            after[path] = '\n'.join(lines) + '\n'
        try:
            for path, text in after.items():
                path.write_text(text)
            yield
        finally:
            for path, text in before.items():
                path.write_text(text)


def read(path, words=()):
    """The faults of a list, or those of them that have one of the words in their titles."""
    text = path.read_text().split('\n\n', 1)[1].strip()
    plants = [Plant(part, path.name) for part in re.split(r'\n\n+', text)]
    if words:
        plants = [plant for plant in plants if any(word in plant.title for word in words)]
        if not plants:
            sys.exit(f'no fault of {path.name} has that in its title')
    return plants


def refresh(top, copy, names):
    """Makes the copy's files of these names those of the checkout. What is the same already stays as it is,
    with what was built of it; what was one of the checkout's, and is none any more, is removed."""
    listed = copy / '.names'
    if listed.is_file():
        for name in set(listed.read_text().splitlines()) - set(names):
            (copy / name).unlink(missing_ok=True)
    copy.mkdir(parents=True, exist_ok=True)
    listed.write_text('\n'.join(names))
    for name in names:
        there = copy / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if (top / name).is_symlink():
            there.unlink(missing_ok=True)
            there.symlink_to((top / name).readlink())
        elif not there.is_file() or not filecmp.cmp(top / name, there, shallow=False):
            # Newer than what was built of a copy before, perhaps with a fault planted.
            shutil.copyfile(top / name, there)
            shutil.copymode(top / name, there)


class Results:
    """What was found, as TAP."""

    def __init__(self):
        self.failures = 0

    def say(self, good, title, detail):
        self.failures += not good
        print(f'{"ok" if good else "not ok"} - {title}', flush=True)
        for line in detail.splitlines():
            print(f'# {line}', flush=True)

    def plant(self, plant, copy, run):
        """Plants a fault; `run` says whether anything has failed, and how, or raises ValueError."""
        start = time.monotonic()
        try:
            with plant.planted(copy):
                failed, how = run(plant)
        except ValueError as error:
            self.say(False, plant.title, str(error))
            return
        how += f' ({time.monotonic() - start:.0f} s)'
        self.say(failed != ('unnoticed' in plant.fields), plant.title, how)
