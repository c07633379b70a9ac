#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Shows that the models notice faults: plants each one of plants.txt in a copy of the driver's
sources, in turn, and has the models that are named there run, which must fail. Prints TAP.

usage: planted [PART-OF-A-TITLE...]
"""

import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
COPY = TOP / 'target/planted'
LIMIT = 900


class Plant:
    """One fault: which lines of a file are replaced by others."""

    def __init__(self, text):
        self.title, self.model, self.edits = '', '', []
        self.unnoticed = False
        for line in text.splitlines():
            if line.startswith('# '):
                self.title = (self.title + ' ' + line[2:]).strip()
            elif line.startswith('model:'):
                self.model = line.split(':', 1)[1].strip()
            elif line.startswith('unnoticed:'):
                self.unnoticed = True
            elif line.startswith('file:'):
                self.edits.append((line.split(':', 1)[1].strip(), [], []))
            elif line.startswith('-'):
                self.edits[-1][1].append(line[1:].strip())
            elif line.startswith('+'):
                self.edits[-1][2].append(line[1:].strip())
            else:
                sys.exit(f'plants.txt: {line}')

    def plant(self):
        """Changes the copy; returns what the files were."""
        before, after = {}, {}
        for name, old, new in self.edits:
            path = COPY / name
            before.setdefault(path, path.read_text())
            lines = after.get(path, before[path]).splitlines()
            bare = [line.strip() for line in lines]
            places = [i for i in range(len(lines)) if bare[i:i + len(old)] == old]
            if len(places) != 1:
                raise ValueError(f'{name}: the lines are there {len(places)} times')
            lines[places[0]:places[0] + len(old)] = new
            after[path] = '\n'.join(lines) + '\n'
        for path, text in after.items():
            path.write_text(text)
        return before


def cargo(*arguments):
    """Runs cargo on the copy."""
    # In a directory of its own: cargo takes crates of the same name for those of the checkout.
    command = [TOP / 'scripts/cargo.sh', 'test', '--target-dir', COPY / 'target', '--manifest-path',
               COPY / 'selftests/models/Cargo.toml', *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', timeout=LIMIT)


def run(model):
    """Builds and runs models; returns whether they failed, and how."""
    try:
        result = cargo('--', '--test-threads=2', *model.split())
    except subprocess.TimeoutExpired:
        raise ValueError(f'no end within {LIMIT} s') from None
    count = re.search(r'^running (\d+) tests?', result.stdout, re.M)
    if not count or count[1] == '0':
        raise ValueError('no model was built and run:\n' + result.stdout)
    reason = re.search(r"^thread '([^']*)'.* panicked at [^\n]*\n([^\n]*)", result.stdout, re.M)
    last = result.stdout.strip().splitlines()[-1]
    # A second panic ends the process at once, as does a reference to what is not there any more. What
    # others do to it, for want of memory, does not count.
    crash = re.search(r'\(signal: (6|11), (\w+)', result.stdout)
    if result.returncode and not reason and not crash:
        raise ValueError('models that did not end:\n' + result.stdout)
    return result.returncode != 0, f'{reason[1]}: {reason[2]}' if reason else crash[2] if crash else last


def main():
    text = (HERE / 'plants.txt').read_text()
    text = text.split('\n\n', 1)[1]
    plants = [Plant(part) for part in re.split(r'\n\n+', text.strip())]
    if len(sys.argv) > 1:
        plants = [p for p in plants if any(word in p.title for word in sys.argv[1:])]
        if not plants:
            sys.exit('no fault of plants.txt has that in its title')
    for part in ['rust', 'selftests', '.cargo']:
        shutil.rmtree(COPY / part, ignore_errors=True)
    # Newer than what was built of a copy before, perhaps with a fault planted.
    fresh = {'copy_function': shutil.copyfile, 'ignore': shutil.ignore_patterns('target')}
    for part in ['rust', 'selftests/models', '.cargo']:
        shutil.copytree(TOP / part, COPY / part, **fresh)
    failures = 0

    def say(good, title, detail):
        nonlocal failures
        failures += not good
        print(f'{"ok" if good else "not ok"} - {title}', flush=True)
        for line in detail.splitlines():
            print(f'# {line}', flush=True)

    for plant in plants:
        start = time.monotonic()
        try:
            before = plant.plant()
            try:
                failed, how = run(plant.model)
            finally:
                for path, content in before.items():
                    path.write_text(content)
        except ValueError as error:
            say(False, plant.title, str(error))
            continue
        how += f' ({time.monotonic() - start:.0f} s)'
        say(failed != plant.unnoticed, plant.title, how)
    failed, how = run(' '.join(sorted({word for p in plants for word in p.model.split()})))
    say(not failed, 'nothing is noticed where nothing is planted', how)
    return failures != 0


sys.exit(main())
