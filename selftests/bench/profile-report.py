#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Counts the samples of a profile by function: SYSTEM-MAP GUEST SCRIPT.

GUEST is what profile-guest.py printed, SCRIPT is the output of perf script.
"""

import argparse
import bisect
import collections
import json
import re

# Addresses of the host's kernel.
HOST = 1 << 63
# Further from the beginning of a function is not in it.
LONGEST = 1 << 16
CRYPTO = re.compile(r"chacha|poly1305|_fpu_|crypto_memneq")


def demangle(name):
    """The words of a name that Rust has mangled."""
    if not name.startswith("_R"):
        return name
    words, rest = [], name[2:]
    while match := re.search(r"([0-9]+)_?", rest):
        length, rest = int(match.group(1)), rest[match.end() :]
        word = rest[:length]
        if len(word) == length and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", word):
            words.append(word)
            rest = rest[length:]
    return "::".join(words)


class Symbols:
    """Functions by address."""

    def __init__(self):
        self.found = []

    def add(self, address, name, module):
        """One function."""
        self.found.append((int(address, 16), name, module))

    def sort(self):
        """To be called before they are looked up."""
        self.found.sort()
        self.addresses = [one[0] for one in self.found]

    def at(self, address):
        """Module and name of the function that an address is in."""
        if address >= HOST:
            return "host", "the host's kernel"
        number = bisect.bisect(self.addresses, address) - 1
        if number < 0 or address - self.addresses[number] > LONGEST:
            return "unknown", "user space and others"
        return self.found[number][2], self.found[number][1]


def read_guest(path, symbols):
    """Adds the modules' functions; returns when the load began and ended, and what was measured."""
    load = None
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            kind, *fields = line.split() or [""]
            if kind == "symbol":
                symbols.add(*fields)
            elif kind == "load":
                *times, unit = fields
                load = [*map(float, times), unit]
    if load is None:
        raise SystemExit(f"{path}: the guest says nothing of a load")
    return load


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--json")
    parser.add_argument("map")
    parser.add_argument("guest")
    parser.add_argument("script")
    options = parser.parse_args()

    symbols = Symbols()
    with open(options.map, encoding="ascii") as file:
        for line in file:
            address, kind, name = line.split()
            if kind in "tTwW":
                symbols.add(address, name, "kernel")
    start, end, value, unit = read_guest(options.guest, symbols)
    symbols.sort()

    functions, groups = collections.Counter(), collections.Counter()
    with open(options.script, encoding="utf-8", errors="replace") as file:
        for line in file:
            # The name of a command may have blanks.
            match = re.match(r"\s*(.*?)\s+([0-9]+\.[0-9]+):\s+([0-9a-f]+)", line)
            if not match or not start <= float(match.group(2)) <= end:
                continue
            # User space of the guest is processes of their own, at the addresses of others.
            if match.group(1) != "image":
                module, name = "user", "user space of the guest"
            else:
                module, name = symbols.at(int(match.group(3), 16))
            functions[module, name] += 1
            crypto = module != "wireguard" and CRYPTO.search(name)
            groups["AEAD" if crypto else module] += 1
    total = sum(functions.values())
    if not total:
        raise SystemExit(f"{options.script}: no samples while there was load")
    print(f"{value:.2f} {unit}, {total} samples in {end - start:.1f} s")
    for name, count in groups.most_common():
        if count * 200 >= total:
            print(f"{count * 100 / total:6.1f} %  {name}")
    print()
    for (module, name), count in functions.most_common(options.lines):
        print(f"{count * 100 / total:6.1f} %  {module:12}  {demangle(name)}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            rows = [[module, demangle(name), count] for (module, name), count in functions.most_common()]
            json.dump({"value": value, "unit": unit, "samples": total, "functions": rows}, file)


if __name__ == "__main__":
    main()
