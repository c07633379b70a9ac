#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Looks at workers all the time, until one works for the queue that is named, or was the last time it did.

workers.py QUEUE SECONDS    fails if none is seen for so long
"""

import glob
import os
import sys
import time

# Those of the kernel are not in the namespace of a test.
PROCESSES = os.environ.get("WG_ALL_PROCESSES", "/proc")


def workers():
    """The files with the names of all workers. They say what they work for, too: kworker/u8:1+queue."""
    found = []
    for path in glob.glob(f"{PROCESSES}/[0-9]*/comm"):
        if name(path).startswith("kworker/"):
            found.append(path)
    return found


def name(path):
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        # It has ended.
        return ""


def main(queue, seconds):
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        # There may be others after a while.
        paths = workers()
        for _ in range(20):
            if any(name(path).endswith(queue) for path in paths):
                return 0
            # The CPU is for others, too.
            time.sleep(0.002)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
