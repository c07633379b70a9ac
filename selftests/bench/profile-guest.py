#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The guest's half of profile: profile-guest.py DRIVER MODE LOAD SECONDS.

Prints where the modules' functions are, and when the load began and ended.
"""

import sys
import time

import traffic
from tunnel import Tunnel, driver


def symbols():
    """The functions of modules; those of the kernel are in its image."""
    with open("/proc/kallsyms", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if len(fields) == 4 and fields[1] in "tT":
                print("symbol", fields[0], fields[2], fields[3].strip("[]"))


def ping(one, mode, seconds):
    """Echoes back to back instead of a stream; their average is printed in place of its rate."""
    one.load()
    with Tunnel(one, mode):
        traffic.back_to_back(traffic.SERVER, 1000)
        start = time.time()
        average = 0.0
        while time.time() < start + seconds:
            average = traffic.back_to_back(traffic.SERVER)
        print("load", start, time.time(), average)
        symbols()


def main():
    name, mode, load, seconds = sys.argv[1:]
    if load == "ping":
        ping(driver(name), mode, int(seconds))
        return
    options = ("-t", seconds, *traffic.BLOCK)
    if load.startswith("udp-"):
        options = ("-t", seconds, "-u", "-b", "0", "-l", str(int(load.removeprefix("udp-")) - 28))
    one = driver(name)
    one.load()
    with Tunnel(one, mode), traffic.Server():
        traffic.client("-n", "20M")
        start = time.time()
        end = traffic.client(*options)
        print("load", start, time.time(), traffic.gigabits(end.get("sum_received", end.get("sum"))))
        symbols()


if __name__ == "__main__":
    main()
