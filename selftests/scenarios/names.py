#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Gives peers and key pairs in messages numbers by the order in which they are first seen."""

import re
import sys

NUMBER = re.compile(r"(Peer|peer|Keypair) (\d+)")


def main():
    path = sys.argv[1]
    names = {}
    try:
        with open(path) as file:
            names = dict(line.split() for line in file)
    except FileNotFoundError:
        pass

    def name(match):
        kind = match[1].lower()
        known = f"{kind}{match[2]}"
        if known not in names:
            names[known] = str(sum(one.startswith(kind) for one in names) + 1)
        return f"{match[1]} #{names[known]}"

    for line in sys.stdin:
        print(re.sub(r"0x[0-9a-f]{8,16}", "0xADDRESS", NUMBER.sub(name, line.rstrip("\n"))))
    with open(path, "w") as file:
        for known, number in names.items():
            print(known, number, file=file)


if __name__ == "__main__":
    main()
