#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The guest's half of run: one section, in which drivers take turns, round after round.

Writes a line of JSON for each figure to standard output.
"""

import argparse
import json
import os
import subprocess
import sys

import control
import links
import traffic
from tunnel import DRIVERS, MODES, MTU, Tunnel, Vxlan, driver, run, unload

BOTH = ("rust", "c")
ALL = ("rust", "c", "c-softirq")


class Section:
    """What is measured of each driver in turn."""

    def __init__(self, drivers, measure, mode="veth", tunnel=True, rounds=None):
        self.drivers, self.measure, self.mode = drivers, measure, mode
        self.tunnel, self.rounds = tunnel, rounds

    def once(self, driver, emit):
        """One driver's part of a round."""
        if not self.tunnel:
            self.measure(emit)
            return
        with Tunnel(driver, self.mode):
            self.measure(emit)


def in_mode(mode):
    """One TCP stream over an eth0 of a certain kind."""
    return lambda emit: traffic.one_stream(emit, label=f"TCP, 1 stream, {mode}")


SECTIONS = {
    "tcp": Section(ALL, traffic.tcp),
    "ping": Section(ALL, traffic.ping),
    "smoke": Section(BOTH, lambda emit: (traffic.one_stream(emit), traffic.ping(emit))),
    "handshakes": Section(BOTH, control.handshakes, tunnel=False),
    "wire": Section(BOTH, links.wire),
    "policer": Section(BOTH, links.policer),
    "rewrite": Section(BOTH, links.rewrite),
}
for megabits in (10, 100):
    SECTIONS[f"uplink-{megabits}"] = Section(BOTH, lambda emit, n=megabits: links.uplink(emit, n))
for length in (64, 256, 1400):
    SECTIONS[f"udp-{length}"] = Section(BOTH, lambda emit, n=length: traffic.udp(emit, n))
    SECTIONS[f"router-{length}"] = Section(ALL, lambda emit, n=length: traffic.router(emit, n))
for each in MODES:
    SECTIONS[f"mode-{each}"] = Section(BOTH, in_mode(each), mode=each)
for count in (1000, 10000, 50000, 100000):
    SECTIONS[f"config-{count}"] = Section(
        BOTH, lambda emit, n=count: control.config(emit, n), tunnel=False,
        rounds=None if count <= 10000 else 1,
    )  # fmt: skip


def plain(emit):
    """The same cable without a tunnel, and with one that does not encrypt: what is not the driver's."""
    with Tunnel(None):
        run("ip", "netns", "exec", "a", "ip", "link", "set", "eth0", "mtu", str(MTU))
        run("ip", "netns", "exec", "b", "ip", "link", "set", "eth0", "mtu", str(MTU))
        references(emit, "no tunnel")
    with Vxlan():
        references(emit, "VXLAN")


def references(emit, label):
    """What is there to compare tunnels that encrypt with."""
    traffic.one_stream(emit, label=f"TCP, 1 stream, {label}")
    average = traffic.back_to_back(traffic.SERVER)
    emit(f"ping, back to back, average, {label}", average, "us")


def bound(emit, module):
    """What encryption and copying cost by themselves."""
    run("modprobe", "--all", "libchacha20poly1305")
    run("insmod", module)
    with open("/sys/kernel/debug/wireguard-bound", encoding="ascii") as file:
        for line in file:
            length, *times = (int(field) for field in line.split())
            names = ("encrypted in place", "encrypted elsewhere", "copied", "copied and summed")
            for name, picoseconds in zip(names, times):
                emit(f"{length} bytes {name}", picoseconds / 1000, "ns")
    run("rmmod", "bound")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--drivers", default="")
    parser.add_argument("--bound", help="the module of that name")
    parser.add_argument("section", choices=(*SECTIONS, "bound"))
    options = parser.parse_args()
    section = SECTIONS.get(options.section)

    def emitter(driver, number):
        def emit(what, value, unit, once=False):
            # Later rounds find what earlier ones have left behind.
            if once and number > 0:
                return
            line = {"section": options.section, "what": what, "driver": driver, "round": number,
                    "cpus": os.cpu_count(), "value": value, "unit": unit}  # fmt: skip
            print(json.dumps(line), flush=True)

        return emit

    def reference(number):
        unload()
        bound(emitter("none", number), options.bound)
        plain(emitter("none", number))

    if section is None:
        for number in range(options.rounds):
            reference(number)
        return
    drivers = [driver(name) for name in options.drivers.split(",") if name] or [
        DRIVERS[name] for name in section.drivers
    ]
    for number in range(section.rounds or options.rounds):
        # Forwards and backwards, so that none always comes first.
        for one in drivers if number % 2 == 0 else reversed(drivers):
            try:
                one.load()
                section.once(one, emitter(one.name, number))
            except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
                print(f"{options.section}, {one.name}: {error}", file=sys.stderr, flush=True)
    unload()


if __name__ == "__main__":
    main()
