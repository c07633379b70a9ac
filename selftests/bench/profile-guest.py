#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The guest's half of profile: profile-guest.py DRIVER MODE LOAD SECONDS.

Prints where the modules' functions are, and when the load began and ended.
"""

import sys
import time

import control
import traffic
from tunnel import Tunnel, driver


def symbols():
    """The functions of modules; those of the kernel are in its image."""
    with open("/proc/kallsyms", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if len(fields) == 4 and fields[1] in "tT":
                print("symbol", fields[0], fields[2], fields[3].strip("[]"))


def measured(load, unit):
    """Says when the load began and ended, and what it returned."""
    start = time.time()
    value = load()
    print("load", start, time.time(), value, unit)


def stream(load, seconds):
    """Data of TCP or UDP, as much as gets through."""
    options = ("-t", seconds, *traffic.BLOCK)
    if load.startswith("udp-"):
        options = ("-t", seconds, "-u", "-b", "0", "-l", str(int(load.removeprefix("udp-")) - 28))

    def goodput():
        end = traffic.client(*options)
        return traffic.gigabits(end.get("sum_received", end.get("sum")))

    with traffic.Server():
        traffic.client("-n", "20M")
        measured(goodput, "Gbit/s")


def ping(seconds):
    """Echoes, back to back."""

    def average():
        end, latest = time.time() + int(seconds), 0.0
        while time.time() < end:
            latest = traffic.back_to_back(traffic.SERVER)
        return latest

    traffic.back_to_back(traffic.SERVER, 1000)
    measured(average, "us")


def handshakes(seconds):
    """Initiations that are answered in full."""
    with control.Crowd(1000 * int(seconds)) as crowd, crowd.connect() as link:
        measured(lambda: control.all_answered(crowd, link), "/s")
        symbols()


def flood(seconds):
    """Initiations, more than can be answered."""
    with control.Crowd(control.SEGMENTS) as crowd, crowd.connect() as link:
        measured(lambda: control.flooded(crowd, link, int(seconds))[1], "cookies/s")
        symbols()


def main():
    name, mode, load, seconds = sys.argv[1:]
    one = driver(name)
    one.load()
    crowds = {"handshakes": handshakes, "flood": flood}
    if load in crowds:
        crowds[load](seconds)
        return
    with Tunnel(one, mode):
        if load == "ping":
            ping(seconds)
        else:
            stream(load, seconds)
        symbols()


if __name__ == "__main__":
    main()
