#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes a table and a JSON file of what the guests measured.

Input: lines of JSON, each a figure of one driver in one round. Judges nothing.
"""

import argparse
import json
import statistics
import sys

C = ("c", "c-softirq")
KNOWN = ("rust", *C, "none")
# What a TCP segment carries in a packet of 1420 bytes: less IPv4, TCP and its timestamps.
PACKET, PAYLOAD = 1420, 1420 - 20 - 32
LESS_IS_BETTER = {"ms", "us", "ns", "bytes", "instructions", "operations"}


def read(path):
    """Figures by (section, what, CPUs, unit) and driver, in the order in which they came."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            one = json.loads(line)
            key = (one["section"], one["what"], one["cpus"], one["unit"])
            found.setdefault(key, {}).setdefault(one["driver"], []).append(one["value"])
    return found


def summary(values):
    """Median, and half the distance of the extremes as a share of it."""
    middle = statistics.median(values)
    spread = (max(values) - min(values)) / 2 / middle if middle else 0.0
    return {"median": middle, "spread": spread, "values": values}


def better(drivers, unit):
    """The C driver's better result."""
    medians = [drivers[name]["median"] for name in C if name in drivers]
    if not medians:
        return None
    return min(medians) if unit in LESS_IS_BETTER else max(medians)


def ratio(own, other, unit):
    """How many times better ours is; None where that means nothing."""
    if unit in ("", "%") or not own or not other:
        return None
    return other / own if unit in LESS_IS_BETTER else own / other


def bounds(found):
    """TCP's goodput if its packets were encrypted and decrypted and nothing else, by CPUs."""
    out = {}
    for (_, what, cpus, _), drivers in found.items():
        if what == f"{PACKET} bytes encrypted in place" and "none" in drivers:
            nanoseconds = statistics.median(drivers["none"])
            # Two streams of work; a single stream of data cannot use more than two CPUs well.
            out[cpus] = min(cpus, 2) * PAYLOAD * 8 / (2 * nanoseconds)
    return out


def measures(found):
    """All there is to say of each thing that was measured."""
    limit = bounds(found)
    out = []
    for (section, what, cpus, unit), raw in found.items():
        drivers = {name: summary(values) for name, values in raw.items()}
        reference = better(drivers, unit)
        for name, one in drivers.items():
            one["ratio"] = ratio(one["median"], reference, unit)
            if unit == "Gbit/s" and "TCP" in what and name != "none" and cpus in limit:
                one["bound_share"] = one["median"] / limit[cpus]
        out.append(
            {"section": section, "what": what, "cpus": cpus, "unit": unit, "drivers": drivers}
        )
    return out


def number(value):
    """Three digits that matter."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.{2 if abs(value) < 10 else 1}f}"


def cell(drivers, name):
    """Median and spread."""
    one = drivers.get(name)
    return f"{number(one['median'])} ±{one['spread'] * 100:.0f}%" if one else "-"


def rows(everything):
    """Lines of the table."""
    for one in everything:
        drivers, label = one["drivers"], one["what"]
        unit = one["unit"]
        others = [name for name in drivers if name not in KNOWN]
        if "none" in drivers:
            yield label, one["cpus"], unit, cell(drivers, "none"), "-", "-", "-", "-"
        for name in ["rust"] * ("rust" in drivers or "none" not in drivers) + others:
            mine = drivers.get(name, {})
            share = mine.get("bound_share")
            yield (
                label if name == "rust" else f"{label} ({name})",
                one["cpus"],
                unit,
                cell(drivers, name),
                cell(drivers, "c"),
                cell(drivers, "c-softirq"),
                number(mine.get("ratio")),
                f"{share * 100:.0f}%" if share else "-",
            )


def table(everything):
    """The table, aligned."""
    head = ("measure", "CPUs", "unit", "ours", "C", "C, softirq", "ratio", "of bound")
    lines = [head, *(tuple(str(cell) for cell in row) for row in rows(everything))]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    for line in lines:
        cells = [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))]
        print("  ".join(cells).rstrip())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", help="where the JSON goes")
    parser.add_argument("--environment", default="{}", help="JSON that says where it was measured")
    parser.add_argument("raw")
    options = parser.parse_args()
    everything = measures(read(options.raw))
    if not everything:
        sys.exit("nothing was measured")
    table(everything)
    print(
        "\nMedians, ± half of the range of all rounds. The ratio is to the better of the C driver's two"
        "\nsettings, and above 1 where ours is better. The bound is TCP's goodput if there were nothing"
        "\nbut the encryption and decryption of its packets, as the in-tree driver calls them."
    )
    if options.json:
        result = {"environment": json.loads(options.environment), "measures": everything}
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
