#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Made-up packets in good messages, and damaged messages. Runs inside inner.sh."""

import random
import struct
import sys
import time

from lab import INNER4, INNER6, Lab, changes, pack4, pack6, wait_until
from noise import ipv4, ipv6, udp
from wire_base import PLAIN4, PLAIN6, Base

# The same in every run.
rnd = random.Random(6)
# What the IP stack says to them is its own affair.
OURS = "rx_packets rx_bytes rx_errors rx_dropped rx_frame_errors rx_length_errors P.rx P.endpoint"


def inner():
    """A packet that may be wrong anywhere."""
    payload = rnd.randbytes(rnd.choice((0, 1, 8, 20, 100, 1000)))
    four = rnd.random() < 0.6
    source = rnd.choice((PLAIN4, PLAIN4, "192.168.242.7", "192.168.242.8", "10.9.9.9", INNER4))
    source6 = rnd.choice((PLAIN6, PLAIN6, "fd00::9", INNER6))
    # To nobody, so that nobody answers.
    if four:
        addresses = pack4(source), pack4("192.168.99.1")
        packet = ipv4(*addresses, udp(*addresses, 1, 2, payload), tos=rnd.randrange(256))
    else:
        addresses = pack6(source6), pack6("fd00::99:1")
        packet = ipv6(*addresses, udp(*addresses, 1, 2, payload), tclass=rnd.randrange(256))
    packet = bytearray(packet)
    if rnd.random() < 0.5:
        for _ in range(rnd.randrange(1, 4)):
            place = rnd.randrange(min(len(packet), 40))
            packet[place] = rnd.randrange(256)
        # But not to us, nor to everybody.
        if four:
            packet[16:20] = pack4("192.168.99.1")
    if rnd.random() < 0.2:
        packet = packet[: rnd.randrange(len(packet))]
    if rnd.random() < 0.7:
        packet += bytes(-len(packet) % 16)
    if rnd.random() < 0.2:
        packet += rnd.randbytes(rnd.randrange(64))
    return bytes(packet)


def main():
    test = Base(Lab(sys.argv[1]))
    names = OURS.split()

    def now():
        snapshot = test.lab.snapshot()
        return {name: snapshot[name] for name in names}

    session = test.peer.handshake(test.first)
    test.lab.probe()
    test.lab.settle()
    wires = (test.first, test.second, test.third)
    last = now()
    for number in range(1000):
        plain = inner()
        rnd.choice(wires).send(session.data(plain), tos=rnd.randrange(256))
        # Each of them changes something.
        wait_until(lambda: now() != last, 5)
        time.sleep(0.001)
        current = now()
        print("packet", number, len(plain), changes(last, current))
        last = current
    for number in range(300):
        good = bytearray(
            rnd.choice(
                (
                    session.data(bytes(rnd.randrange(64))),
                    test.peer.initiator().initiation(),
                    struct.pack("<III", 2, 1, session.index) + rnd.randbytes(80),
                    struct.pack("<II", 3, session.index) + rnd.randbytes(56),
                )
            )
        )
        good[rnd.randrange(len(good))] ^= 1 << rnd.randrange(8)
        # The second MAC does not matter, and what is good after all is not meant here.
        if good[0] == 1 and len(good) == 148:
            good[116] ^= 1
        test.second.send(bytes(good))
        test.lab.probe()
    current = now()
    print("damaged", changes(last, current), "less the probes'")


main()
