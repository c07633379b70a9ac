#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Handshakes beside junk, and while one CPU is not to be had, which is named. Runs inside hogged.sh."""

import os
import sys
import time

import noise
import rate
import tap
from lab import Lab

DRIVER = os.environ["WG_DRIVER"]
# Initiations a second that are not by anybody, but have a good first MAC.
FLOOD = 2000


def receive_on(cpu):
    """Has packets processed by that CPU as they come in."""
    with open("/sys/class/net/eth0/queues/rx-0/rps_cpus", "w") as file:
        file.write(f"{1 << cpu:x}")


def received():
    """How many packets have come in."""
    with open("/sys/class/net/eth0/statistics/rx_packets") as file:
        return int(file.read())


def main():
    noise.self_check()
    lab, seconds, hogged = Lab(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    uml = os.environ.get("WG_KERNEL") == "uml"
    handshakes = rate.Handshakes(lab, 4001)
    # In the order of their timestamps.
    parts = iter([handshakes.prepare(seconds) for _ in range(6)])
    free = handshakes.at_rate(next(parts))
    tap.note(f"all CPUs free: {free}")
    junk = handshakes.junk()
    time.sleep(0.5)
    before = received()
    beside = handshakes.at_rate(next(parts))
    count = received() - before
    junk.end()
    tap.note(f"all CPUs free, and {count} messages, of which most are junk: {beside}")
    tap.ok("junk: there was much", count >= 20 * len(beside.waits), str(count))
    if uml:
        # Elsewhere the emulated CPUs that make the junk leave the others too little.
        tap.ok("beside junk: many are answered at the first try", beside.share >= 0.9, str(beside))
    # Until there is no load any more.
    time.sleep(3)
    hog = rate.hog(hogged)
    time.sleep(0.2)
    before = handshakes.at_rate(next(parts))
    tap.note(f"CPU {hogged} hogged, before the flood: {before}")
    flooding = handshakes.flood(FLOOD)
    time.sleep(0.5)
    during = handshakes.at_rate(next(parts))
    tap.note(f"CPU {hogged} hogged, {FLOOD} more a second: {during}")
    flooding.end()
    # Until there is no load any more.
    time.sleep(3)
    after = handshakes.at_rate(next(parts))
    tap.note(f"CPU {hogged} hogged, after the flood: {after}")
    # What comes in is queued by the CPU that never gets to a worker.
    receive_on(hogged)
    there = handshakes.at_rate(next(parts))
    tap.note(f"CPU {hogged} hogged, and messages are received there: {there}")
    hog.end()
    # A machine that has much else to do is late in any case.
    limit = max(0.05, 5 * free.quantile(0.99))
    for what, figures in (
        ("before the flood", before),
        ("after the flood", after),
        ("received on that CPU", there),
    ):
        tap.ok(f"{what}: 99 % are answered", figures.share >= 0.99, str(figures))
        # The in-tree driver takes longer where CPUs are emulated, in turn.
        if uml or DRIVER == "rust":
            tap.ok(f"{what}: in time", figures.quantile(0.99) < limit, str(figures))


main()
