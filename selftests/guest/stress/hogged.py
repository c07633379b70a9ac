#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Handshakes while one CPU is not to be had. Runs inside hogged.sh."""

import os
import sys
import time

import noise
import rate
import tap
from lab import Lab

# Initiations a second that are not by anybody, but have a good first MAC.
FLOOD = 2000


def receive_on(cpu):
    """Has packets processed by that CPU as they come in."""
    with open("/sys/class/net/eth0/queues/rx-0/rps_cpus", "w") as file:
        file.write(f"{1 << cpu:x}")


def main():
    noise.self_check()
    lab, seconds = Lab(sys.argv[1]), float(sys.argv[2])
    handshakes = rate.Handshakes(lab, 4001)
    parts = [handshakes.prepare(seconds) for _ in range(5)]
    free = handshakes.at_rate(parts[0])
    tap.note(f"all CPUs free: {free}")
    hogged = max(os.sched_getaffinity(0))
    hog = rate.hog(hogged)
    time.sleep(0.2)
    before = handshakes.at_rate(parts[1])
    tap.note(f"CPU {hogged} hogged, before the flood: {before}")
    flooding = handshakes.flood(FLOOD)
    time.sleep(0.5)
    during = handshakes.at_rate(parts[2])
    tap.note(f"CPU {hogged} hogged, {FLOOD} more a second: {during}")
    flooding.end()
    # Until there is no load any more.
    time.sleep(3)
    after = handshakes.at_rate(parts[3])
    tap.note(f"CPU {hogged} hogged, after the flood: {after}")
    # What comes in is queued by the CPU that never gets to a worker.
    receive_on(hogged)
    there = handshakes.at_rate(parts[4])
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
        tap.ok(f"{what}: in time", figures.quantile(0.99) < limit, str(figures))


main()
