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


def main():
    noise.self_check()
    lab, seconds = Lab(sys.argv[1]), float(sys.argv[2])
    handshakes = rate.Handshakes(lab, 4001)
    parts = [handshakes.prepare(seconds) for _ in range(4)]
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
    hog.end()
    # A machine that has much else to do is late in any case.
    limit = max(0.05, 5 * free.quantile(0.99))
    for what, figures in (("before", before), ("after", after)):
        tap.ok(f"{what} the flood: 99 % are answered", figures.share >= 0.99, str(figures))
        tap.ok(f"{what} the flood: in time", figures.quantile(0.99) < limit, str(figures))


main()
