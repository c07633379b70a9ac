# SPDX-License-Identifier: GPL-2.0
"""What the kernel counts, and whether it grows, for soak.py.

The slope of a gauge is the median of those of all pairs of its samples (Theil and Sen). What is left beside
that line is noise; its size and how one sample follows the last say how large a slope may come of it: what is
more than SIGMAS standard errors is none of that, be there hundreds of gauges with tails heavier than those of
a normal distribution. A slope of less than HALF an object, or page, for each change is none either.
"""

import glob
import math
import statistics
from contextlib import suppress

from soak_mesh import Inside

SIGMAS, HALF = 5, 0.5
MEMINFO = "SUnreclaim", "SReclaimable", "Percpu", "VmallocUsed", "KernelStack", "PageTables"
# What else is counted, and is not the kernel's own; this test keeps all samples.
USERS = "Cached", "Buffers", "AnonPages"
# Caches that are not looked at: of areas that were given back and are to be unmapped with many others (VmallocUsed
# counts those in use). And in less time than that, what is kept for ten minutes after its last use.
LAZY, KEEPING, KEPT = ("slab vmap_area",), ("slab inet_peer",), 1200
# In kB, what the least change of such a one is, and of those that count slabs, of which most have that many.
PAGE, SLAB = 4, 32


def shrink():
    """What allocators keep for later goes back, so that what is counted is in use."""
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")
    for name in glob.glob("/sys/kernel/slab/*/shrink"):
        with suppress(OSError), open(name, "w") as file:
            file.write("1")


def slabs():
    """Objects in use, of each cache."""
    with open("/proc/slabinfo") as file:
        lines = file.readlines()[2:]
    return {line.split()[0]: int(line.split()[1]) for line in lines}


def sockets(mesh):
    """In all namespaces."""
    used = datagrams = 0
    for space in mesh.namespaces():
        with Inside(space):
            for name in "sockstat", "sockstat6":
                with open(f"/proc/thread-self/net/{name}") as file:
                    for line in file:
                        what, *fields = line.split()
                        used += int(fields[1]) if what == "sockets:" else 0
                        datagrams += int(fields[1]) if what in ("UDP:", "UDP6:") else 0
    return used, datagrams


def sample(mesh):
    """All gauges, by name, as (value, least change)."""
    shrink()
    out = {f"slab {name}": (value, 1) for name, value in slabs().items()}
    with open("/proc/meminfo") as file:
        memory = {line.split(":")[0]: int(line.split()[1]) for line in file}
    for name in MEMINFO:
        if name in memory:
            out[name] = memory[name], SLAB if name.startswith("S") else PAGE
    counted = sum(memory.get(name, 0) for name in MEMINFO + USERS)
    out["pages of nobody"] = memory["MemTotal"] - memory["MemFree"] - counted, PAGE
    with open("/proc/loadavg") as file:
        out["threads"] = int(file.read().split()[3].split("/")[1]), 1
    out["sockets"], out["sockets of UDP"] = ((value, 1) for value in sockets(mesh))
    return out


class Slope:
    """Of one gauge; per second."""

    def __init__(self, name, unit, times, values, changes):
        self.name, self.unit = name, unit
        seconds = times[-1] - times[0]
        pairs = range(len(times))
        self.slope = statistics.median(
            (values[j] - values[i]) / (times[j] - times[i]) for i in pairs for j in pairs[i + 1 :]
        )
        rest = [value - self.slope * time for time, value in zip(times, values)]
        self.level = statistics.median(rest)
        rest = [one - self.level for one in rest]
        self.median = statistics.median(values)
        # As a standard deviation, and not less than that of rounding.
        self.noise = max(
            1.4826 * statistics.median(map(abs, rest)), unit / math.sqrt(12)
        )
        square = sum(one * one for one in rest)
        follows = sum(a * b for a, b in zip(rest, rest[1:])) / square if square else 0
        follows = min(max(follows, 0), 0.9)
        mean = statistics.fmean(times)
        error = 1.05 * self.noise / math.sqrt(sum((time - mean) ** 2 for time in times))
        error *= math.sqrt((1 + follows) / (1 - follows))
        self.bound = max(SIGMAS * error, HALF * unit * changes / seconds)

    @property
    def grows(self):
        return self.slope > self.bound

    def __str__(self):
        hour = 3600
        return (
            f"{self.name:<28} median {self.median:>9.0f}  noise {self.noise:>8.1f}  "
            f"slope {self.slope * hour:>+10.1f}/h  bound {self.bound * hour:>9.1f}/h"
        )


def slopes(times, samples, changes):
    """Those of all gauges that each sample has."""
    names = set.intersection(*(set(one) for one in samples))
    return [
        Slope(name, samples[0][name][1], times, [one[name][0] for one in samples], changes)
        for name in sorted(names)
    ]
