#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints what came by in a step: how long after its begin or the packet before it, and what."""

import struct
import sys

from pcap import describe, packets


def times(path):
    with open(path, "rb") as file:
        data = file.read()
    offset = 24
    while offset + 16 <= len(data):
        seconds, micros, length = struct.unpack_from("=III", data, offset)
        if offset + 16 + length > len(data):
            return
        yield seconds + micros / 1e6
        offset += 16 + length


def gap(seconds):
    """A class of times: at once, or so many seconds, which may be a third late."""
    return "now" if seconds < 0.7 else f"+{int(seconds + 0.1)}s"


def main():
    path, state, begin = sys.argv[1:]
    with open(state) as file:
        seen = int(file.read())
    last = float(begin)
    print("--- wire")
    count = 0
    for when, packet in zip(times(path), packets(path)):
        count += 1
        if count <= seen:
            continue
        line = describe(packet)
        if line:
            print(gap(when - last), line)
            last = when
    with open(state, "w") as file:
        print(count, file=file)


if __name__ == "__main__":
    main()
