# SPDX-License-Identifier: GPL-2.0
"""What lib.sh's `adopt` takes over: `ok - WHAT`, `not ok - WHAT` and explanations."""


def note(message):
    print(message, flush=True)


def ok(what, condition, *explanation):
    """One result; the explanation is printed if it is a bad one."""
    print(f"{'ok' if condition else 'not ok'} - {what}", flush=True)
    if not condition:
        for line in explanation:
            note(f"  {line}")
    return condition


def equal(what, got, wanted):
    return ok(what, got == wanted, f"wanted: {wanted!r}", f"got:    {got!r}")
