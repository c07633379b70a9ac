#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Shows that guest tests notice faults: plants each one of plants.txt in a copy of the checkout, in turn,
builds the module there, and has the test that is named run, which must fail. Prints TAP.

usage: planted [--kernel KERNEL] [PART-OF-A-TITLE...]

With --kernel, only those for that kernel.
"""

import os
import pathlib
import re
import subprocess
import sys

import plants

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
COPY = TOP / 'target/planted-guest'
# What says nothing about the driver. A guest that dies of a fault has noticed it.
NOTHING = re.compile(r'the guest did not start|no lane failed|ran to its end|ends within \d+ s')


def names():
    """The files of the checkout, those not yet committed too."""
    command = ['git', '-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
    listed = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [name for name in listed.split('\0') if name and os.path.lexists(TOP / name)]


def command(*arguments, **environment):
    return subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=os.environ | environment, text=True, errors='replace', check=False)


def run(plant):
    """Builds the module and runs the test; returns whether that failed, and how."""
    kernel, test = plant.fields.get('kernel', 'uml'), plant.fields['test']
    built = command(COPY / 'scripts/kbuild.sh', kernel, 'modules')
    if built.returncode:
        raise ValueError('it does not compile:\n' + built.stdout[-3000:])
    environment = dict(one.split('=', 1) for one in plant.fields.get('with', '').split())
    result = command(COPY / 'selftests/run', '--kernel', kernel, '--driver', 'rust', test, **environment)
    label = f'{kernel}/rust/{test}: '
    found = re.findall(r'^(ok|not ok) \d+ - (.*)', result.stdout, re.M)
    failed = [text.removeprefix(label) for good, text in found if good == 'not ok' and not NOTHING.search(text)]
    if not any(text.startswith(label) for _, text in found):
        raise ValueError('no test was run:\n' + result.stdout[-3000:])
    how = f'{label}{failed[0]}' if failed else f'{label}{len(found)} results'
    return bool(failed), how


def main():
    words, wanted = sys.argv[1:], None
    if words[:1] == ['--kernel']:
        wanted, words = words[1], words[2:]
    chosen = plants.read(HERE / 'plants.txt', words)
    chosen = [plant for plant in chosen if wanted in (None, plant.fields.get('kernel', 'uml'))]
    if not chosen:
        sys.exit(f'there is no fault for {wanted}')
    plants.refresh(TOP, COPY, names())
    results = plants.Results()
    for plant in chosen:
        results.plant(plant, COPY, run)
    # Once each, with the settings of one of its faults.
    each = {(plant.fields.get('kernel'), plant.fields['test'], plant.fields.get('with')): plant for plant in chosen}
    for plant in each.values():
        try:
            failed, how = run(plant)
        except ValueError as error:
            failed, how = True, str(error)
        results.say(not failed, f'{plant.fields["test"]}: nothing is noticed where nothing is planted', how)
    return results.failures != 0


sys.exit(main())
