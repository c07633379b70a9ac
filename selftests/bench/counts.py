#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes figures of what the plugin counted: by group of functions, and for each packet.

Prints lines of JSON, and leaves symbols.txt, the functions with the most instructions.
"""

import argparse
import bisect
import json

CRYPTO_MODULES = {"libchacha", "libpoly1305", "libchacha20poly1305"}
# Saving and restoring what encryption uses belongs to it.
CRYPTO_PREFIXES = ("chacha", "poly1305", "hchacha", "kernel_fpu_", "irq_fpu_usable", "__crypto_memneq")
GENERATOR_MODULES = {"pktgen"}
# How often a function is entered, which says more than what it costs.
EVENTS = {
    "wake-ups of threads": ("try_to_wake_up",),
    "writes to the APIC": ("native_apic_mem_write", "native_apic_mem_eoi"),
}
KERNEL = 1 << 63
TOP = 25


class Symbols:
    """Which function an address is in."""

    def __init__(self, path):
        found = []
        with open(path, encoding="ascii") as file:
            for line in file:
                address, _, name, *module = line.split()
                found.append((int(address, 16), name, module[0][1:-1] if module else ""))
        found.sort()
        self.addresses = [one[0] for one in found]
        self.found = found

    def at(self, address):
        """(start, name, module)"""
        index = bisect.bisect_right(self.addresses, address) - 1
        return self.found[index] if index >= 0 else (0, "?", "")


def group(name, module):
    """What a function counts as."""
    if module in CRYPTO_MODULES or (not module and name.startswith(CRYPTO_PREFIXES)):
        return "AEAD"
    if module in GENERATOR_MODULES:
        return "generator"
    return "driver" if module == "wireguard" else "kernel"


def parse(path):
    """The blocks of each mark."""
    marks, blocks = {}, None
    with open(path, encoding="ascii") as file:
        for line in file:
            first, *rest = line.split()
            if first == "mark":
                blocks = marks[int(rest[0])] = []
            else:
                blocks.append((int(first, 16), *map(int, rest)))
    return marks


def totals(blocks, symbols):
    """What was executed in the kernel, by group, by event and by function."""
    groups, events, functions = {}, {}, {}
    for address, times, insns, locked, _simd, wrmsr in blocks:
        if address < KERNEL:
            continue
        start, name, module = symbols.at(address)
        one = group(name, module)
        sums = groups.setdefault(one, {"instructions": 0, "locked": 0, "wrmsr": 0})
        sums["instructions"] += insns
        sums["locked"] += locked
        sums["wrmsr"] += wrmsr
        label = f"{name} [{module}]" if module else name
        functions[label] = functions.get(label, 0) + insns
        for event, names in EVENTS.items():
            if address == start and name in names:
                events[event] = events.get(event, 0) + times
    return groups, events, functions


def figures(groups, events, packets):
    """Figures for each packet."""

    def total(field, *names):
        return sum(groups.get(name, {}).get(field, 0) for name in names) / packets

    return {
        ("instructions outside AEAD", "instructions"): total("instructions", "driver", "kernel"),
        ("instructions in the driver", "instructions"): total("instructions", "driver"),
        ("instructions in AEAD", "instructions"): total("instructions", "AEAD"),
        ("locked operations", "operations"): total("locked", "driver", "kernel"),
        ("writes of MSRs", "operations"): total("wrmsr", "driver", "kernel"),
        **{
            (event, "operations"): events.get(event, 0) / packets for event in EVENTS
        },
    }


def difference(one, other):
    """Figure by figure."""
    return {key: one[key] - other[key] for key in one}


def emit(what, driver, values, cpus):
    """Prints figures."""
    for (name, unit), value in values.items():
        line = {"section": "count", "what": f"{what}: {name}", "driver": driver, "round": 0,
                "cpus": cpus, "value": value, "unit": unit}  # fmt: skip
        print(json.dumps(line))


def read(directory):
    """The figures of each mark, and symbols.txt."""
    marks = parse(f"{directory}/counts")
    results, symbols = {}, {}
    with open(f"{directory}/about", encoding="utf-8") as file, open(
        f"{directory}/symbols.txt", "w", encoding="utf-8"
    ) as listing:
        for about in map(json.loads, file):
            driver = about["driver"]
            if driver not in symbols:
                symbols[driver] = Symbols(f"{directory}/symbols-{driver}")
            groups, events, functions = totals(marks[about["tag"]], symbols[driver])
            results[about["what"], about["driver"]] = figures(groups, events, about["packets"])
            print(f"\n{about['what']}, {about['driver']}: instructions a packet", file=listing)
            for label, insns in sorted(functions.items(), key=lambda item: -item[1])[:TOP]:
                print(f"{insns / about['packets']:10.1f}  {label}", file=listing)
    return results


def forwarded(results, cpus):
    """Prints the figures of one guest; what the same packets cost without a tunnel is not the driver's."""
    for driver in ("c", "rust"):
        emit("TCP", driver, results["TCP", driver], cpus)
        sent = difference(results["TX", driver], results["TX", "none"])
        both = difference(results["TX and RX", driver], results["TX and RX", "none"])
        emit("TX", driver, sent, cpus)
        emit("RX", driver, difference(both, sent), cpus)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--forwarding", help="the directory of what one guest forwards")
    parser.add_argument("--prefix", default="", help="of the names of figures")
    parser.add_argument("cpus", type=int)
    parser.add_argument("sides", nargs="*", help="the directories of guests that have sent or received")
    options = parser.parse_args()
    if options.forwarding:
        forwarded(read(options.forwarding), options.cpus)
    for side in options.sides:
        for (what, driver), values in read(side).items():
            emit(options.prefix + what, driver, values, options.cpus)


if __name__ == "__main__":
    main()
