#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The guest's half of count: sends known numbers of packets between marks for the plugin.

Leaves in the directory given what each mark was about, and where functions were.
"""

import ctypes
import json
import mmap
import os
import struct
import sys
import time

import traffic
from control import In
from tunnel import DRIVERS, UNDERLAY, Tunnel, at, counter, run

LENGTH = 1420
# A batch must fit in all queues on the way.
BATCH, BATCHES = 256, 12
HOLE = "10.9.0.2"
# A segment with timestamps in a packet of 1420 bytes.
SEGMENT = 1368
TRANSFER = 20 << 20


class Mark:
    """The instruction that the plugin looks for."""

    def __init__(self):
        self.memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))

    def __call__(self, tag):
        """Executes it, with a tag."""
        code = b"\x0f\x1f\x80" + struct.pack("<HH", tag, 0x5747) + b"\xc3"
        # Each tag has code of its own, so that none is translated and then changed.
        self.memory[tag * 16 : tag * 16 + len(code)] = code
        ctypes.CFUNCTYPE(None)(self.address + tag * 16)()


class Counter:
    """Counts what happens in a `with`, and says what that was."""

    mark, tag = Mark(), 0

    def __init__(self, directory, driver, what):
        Counter.tag += 1
        self.directory, self.tag = directory, Counter.tag
        self.about = {"tag": self.tag, "driver": driver, "what": what}

    def __enter__(self):
        # Whatever is left to be done from before.
        time.sleep(0.5)
        self.mark(0)
        return self

    def __exit__(self, kind, *_):
        self.mark(self.tag)
        if kind is None:
            with open(f"{self.directory}/about", "a", encoding="utf-8") as file:
                file.write(json.dumps(self.about) + "\n")


def batches(counting, where):
    """Lets the generator send, and says how many packets came to their end."""
    with In("a"), open("/proc/net/pktgen/pgctrl", "w", encoding="ascii") as start:
        before = counter(*where, "tx_packets")
        with counting:
            for _ in range(BATCHES):
                start.write("start\n")
                start.flush()
                time.sleep(0.3)
            counting.about["packets"] = BATCH * BATCHES
        arrived = counter(*where, "tx_packets") - before
    if not BATCH * BATCHES * 0.999 <= arrived <= BATCH * BATCHES * 1.01:
        raise RuntimeError(f"{arrived} of {BATCH * BATCHES} packets arrived")


def forwarding(directory, name):
    """One way, without user space: into a device that drops all, then to the other side."""
    traffic.gateways()
    generator = traffic.Pktgen("a", "lan")
    generator.aim(LENGTH, BATCH)
    run("ip", "-n", "a", "link", "add", "hole", "type", "dummy")
    run("ip", "-n", "a", "address", "add", "10.9.0.1/24", "dev", "hole")
    run("ip", "-n", "a", "link", "set", "hole", "up")
    run("ip", "-n", "a", "neighbor", "add", HOLE, "lladdr", "02:00:00:00:00:02", "dev", "hole")
    if name == "none":
        run("ip", "-n", "a", "route", "replace", "10.2.0.0/24", "via", HOLE)
    else:
        # A keepalive from there would have the endpoint follow it.
        run("ip", "-n", "b", "route", "add", "blackhole", UNDERLAY["a"])
        peer = at("a", "wg", "show", "wg0", "peers").strip()
        at("a", "wg", "set", "wg0", "peer", peer, "endpoint", f"{HOLE}:51820")
    batches(Counter(directory, name, "TX"), ("a", "hole"))
    if name == "none":
        run("ip", "-n", "a", "route", "replace", "10.2.0.0/24", "via", traffic.SERVER)
    else:
        run("ip", "-n", "b", "route", "del", "blackhole", UNDERLAY["a"])
        at("a", "wg", "set", "wg0", "peer", peer, "endpoint", f"{UNDERLAY['b']}:51820")
    batches(Counter(directory, name, "TX and RX"), ("b", "lan"))


def stream(directory, name):
    """A TCP stream, with the acknowledgements that belong to it."""
    with traffic.Server():
        traffic.client("-n", "2M")
        with Counter(directory, name, "TCP") as counting:
            traffic.client("-n", str(TRANSFER))
            counting.about["packets"] = TRANSFER / SEGMENT


def keep_symbols(path):
    """Where functions are, until the next module is loaded."""
    with open("/proc/kallsyms", encoding="ascii") as source, open(path, "w", encoding="ascii") as file:
        file.writelines(line for line in source if line.split()[1] in "tTwW")


def main():
    directory = sys.argv[1]
    for name in ("none", "c", "rust"):
        driver = DRIVERS.get(name)
        if driver:
            driver.load()
        with Tunnel(driver):
            stream(directory, name)
            forwarding(directory, name)
        keep_symbols(f"{directory}/symbols-{name}")
    os.sync()


if __name__ == "__main__":
    main()
