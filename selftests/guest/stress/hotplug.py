#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Handshakes while CPUs come and go, and after. Runs inside hotplug.sh."""

import os
import sys
import time

import rate
import tap
from lab import Lab

# Initiations a second that are not by anybody, but have a good first MAC.
FLOOD = 500
# How many handshakes are asked for when all CPUs are back.
AFTER = 50


def main():
    lab, running, seconds = Lab(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    handshakes = rate.Handshakes(lab, 4001)
    flooding = handshakes.flood(FLOOD)
    answered, asked = 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        figures = handshakes.at_rate(handshakes.prepare(0.5))
        answered += len(figures.answered)
        asked += len(figures.waits)
    # Now the CPUs come back.
    os.unlink(running)
    flooding.end()
    tap.note(f"meanwhile, {answered} of {asked} handshakes were answered")
    # Until there is no load any more, and nobody has sent too much.
    time.sleep(3)
    figures = handshakes.at_rate(handshakes.prepare(AFTER / rate.RATE))
    tap.note(f"after that: {figures}")
    tap.ok("handshakes are answered when CPUs have come and gone", figures.share >= 0.9)


main()
