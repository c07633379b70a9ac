#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sends what is of no use to a device, or a load that is of use. Runs inside junk.sh.

    junk.py load ADDRESS [SOURCE RATE]
    junk.py data|initiations ADDRESS PORT CPU RATE
"""

import os
import socket
import struct
import sys
import time

import noise
import nonces

# The port of `discard`, where nobody listens: it is the tunnel that is looked at.
DISCARD = 9
# How many messages a sender of junk gives the kernel at once, which makes datagrams of them.
BATCH = 60
UDP_SEGMENT = 103
# Datagrams a second of the load, each as long as the tunnel allows.
LOAD = 2000


def send(target, batches, rate, size=None, source=""):
    """Sends these in turn, so many messages a second, for ever: a batch is what a datagram holds or,
    cut into those of `size`, several do. What cannot be sent is junk too."""
    out = nonces.scripted(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    if source:
        out.bind((source, 0))
    if size:
        out.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
    begun, count = time.monotonic(), 0
    while True:
        for batch in batches:
            try:
                out.sendto(batch, target)
            except OSError:
                pass
            count += len(batch) // size if size else 1
        if rate:
            time.sleep(max(begun + count / rate - time.monotonic(), 0))


def data():
    """Data of no session; each batch goes to another NAPI instance."""
    size = 16 + 16
    for index in range(1, 1 + 8):
        yield size, (struct.pack("<IIQ", noise.DATA, index, 1) + bytes(16)) * BATCH


def initiations():
    """Initiations whose first MAC is wrong."""
    size = noise.INITIATION_LEN
    for _ in range(4):
        random = [os.urandom(size - 4) for _ in range(BATCH)]
        yield size, b"".join(struct.pack("<I", noise.INITIATION) + part for part in random)


def main():
    what, address = sys.argv[1:3]
    if what == "load":
        source, rate = (*sys.argv[3:], "", LOAD)[:2]
        return send((address, DISCARD), [bytes(1392)] * 10, int(rate), source=source)
    port, cpu, rate = map(int, sys.argv[3:6])
    os.sched_setaffinity(0, {cpu})
    sizes, batches = zip(*{"data": data, "initiations": initiations}[what]())
    send((address, port), batches, rate, sizes[0])


main()
