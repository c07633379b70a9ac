#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sends what is of no use to a device, or a load that is of use. Runs inside junk.sh.

    junk.py load ADDRESS [SOURCE RATE]
    junk.py data|forged|initiations|cookies ADDRESS PORT CPU RATE
"""

import base64
import itertools
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
ETH_P_ALL = 3
IP_PKTINFO = 8
# Addresses that cookies are asked for from.
SOURCES = 4000
DATA_HEAD = struct.pack("<I", noise.DATA)
# Datagrams a second of the load, each as long as the tunnel allows.
LOAD = 2000


def send(target, batches, rate, size=None, source="", sources=None):
    """Sends these in turn, so many messages a second, for ever: a batch is what a datagram holds or,
    cut into those of `size`, several do. What cannot be sent is junk too. Each batch is from the
    next one of `sources`."""
    out = nonces.scripted(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    if source:
        out.bind((source, 0))
    if size:
        out.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
    ancillary = itertools.cycle(
        (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4x", 0, address)) for address in sources or ()
    )
    begun, count = time.monotonic(), 0
    while True:
        for batch in batches:
            try:
                out.sendmsg([batch], [next(ancillary)] if sources else [], 0, target)
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


def forged(port):
    """Data that say to be of the session that is used just now, as anybody on the way can make them."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as tap:
        while True:
            packet = tap.recv(2048)
            udp = packet[(packet[0] & 15) * 4 :]
            head = udp[2:4] + udp[8:12]
            if packet[9] == socket.IPPROTO_UDP and head == struct.pack(">H", port) + DATA_HEAD:
                break
    size = 16 + 16
    for _ in range(4):
        random = [udp[8:16] + os.urandom(size - 8) for _ in range(BATCH)]
        yield size, b"".join(random)


def initiations():
    """Initiations whose first MAC is wrong."""
    size = noise.INITIATION_LEN
    for _ in range(4):
        random = [os.urandom(size - 4) for _ in range(BATCH)]
        yield size, b"".join(struct.pack("<I", noise.INITIATION) + part for part in random)


def cookies():
    """Initiations whose first MAC is right, and nothing else."""
    public = base64.b64decode(os.environ["PUB_A"])
    size = noise.INITIATION_LEN
    for _ in range(4):
        body = struct.pack("<I", noise.INITIATION) + os.urandom(size - 36)
        yield size, noise.add_macs(body, public) * BATCH


def main():
    what, address = sys.argv[1:3]
    if what == "load":
        source, rate = (*sys.argv[3:], "", LOAD)[:2]
        return send((address, DISCARD), [bytes(1392)] * 10, int(rate), source=source)
    port, cpu, rate = map(int, sys.argv[3:6])
    os.sched_setaffinity(0, {cpu})
    kinds = {"data": data, "forged": lambda: forged(port), "initiations": initiations, "cookies": cookies}
    sizes, batches = zip(*kinds[what]())
    sources = None
    if what == "cookies":
        sources = [bytes((10, 1, n >> 8, n & 255)) for n in range(256, 256 + SOURCES)]
    send((address, port), batches, rate, sizes[0], sources=sources)


main()
