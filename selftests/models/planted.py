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

import plants

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
COPY = TOP / 'target/planted'
LIMIT = 900


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
    chosen = plants.read(HERE / 'plants.txt', sys.argv[1:])
    for part in ['rust', 'selftests', '.cargo']:
        shutil.rmtree(COPY / part, ignore_errors=True)
    # Newer than what was built of a copy before, perhaps with a fault planted.
    fresh = {'copy_function': shutil.copyfile, 'ignore': shutil.ignore_patterns('target')}
    for part in ['rust', 'selftests/models', '.cargo']:
        shutil.copytree(TOP / part, COPY / part, **fresh)
    results = plants.Results()
    for plant in chosen:
        results.plant(plant, COPY, lambda plant: run(plant.fields['model']))
    failed, how = run(' '.join(sorted({word for p in chosen for word in p.fields['model'].split()})))
    results.say(not failed, 'nothing is noticed where nothing is planted', how)
    return results.failures != 0


sys.exit(main())
