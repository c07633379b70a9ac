#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Requests with one to three bits or bytes changed. Runs inside requests.sh."""

import hashlib
import random
import re
import socket
import struct

from wgnl import *  # noqa: F403

WG0 = text(Device.IFNAME, "wg0")
# An endpoint of a peer, and its padding.
HEAD = struct.pack("=HHH", 20, Peer.ENDPOINT, socket.AF_INET)
ENDPOINT4 = re.compile(b"(" + re.escape(HEAD) + b".{6}).{8}", re.DOTALL)
# The same in every run.
rnd = random.Random(5)
wireguard = WireGuard()


def answer(action, *args, **options):
    try:
        action(*args, **options)
    except Answer as error:
        return f"{error.errno} {error.message}"
    return "0"


def stream():
    """Five peers with all that a peer can have."""
    ours = []
    for n in range(5):
        one = attr(Peer.PUBLIC_KEY, key(n)) + attr(Peer.PRESHARED_KEY, key(100 + n))
        one += u32(Peer.FLAGS, rnd.choice((0, 2, 4)))
        one += attr(
            Peer.ENDPOINT, rnd.choice((endpoint4("192.0.2.1", n), endpoint6("fe80::1", n, 5, 1)))
        )
        one += u16(Peer.KEEPALIVE, n) + u32(Peer.PROTOCOL_VERSION, 1)
        ips = (prefix(f"10.{n}.0.0/16"), prefix(f"fd00:{n}::/32", 0), prefix("0.0.0.0/0"))
        ours.append(one + allowed_ips(*ips))
    head = attr(Device.PRIVATE_KEY, key(77)) + u16(Device.LISTEN_PORT, 55555)
    return WG0 + head + u32(Device.FWMARK, 7) + u32(Device.FLAGS, rnd.choice((0, 1))) + peers(*ours)


def state():
    """A digest of the device: what a dump says, less what is different in each run, and less the
    padding of endpoints, which differences.rst is about."""
    digest = hashlib.sha256()
    for message in wireguard.get(WG0):
        for kind, nested, payload in message.attributes():
            if kind != Device.IFINDEX:
                payload = ENDPOINT4.sub(rb"\1" + bytes(8), payload)
                digest.update(struct.pack("=HB", kind, nested) + payload)
    return digest.hexdigest()[:12]


def main():
    for number in range(2000):
        message = bytearray(stream())
        begin = len(WG0)
        for _ in range(rnd.randrange(1, 4)):
            place = rnd.randrange(begin, len(message))
            if rnd.random() < 0.5:
                message[place] ^= 1 << rnd.randrange(8)
            else:
                message[place] = rnd.choice((0, 1, 2, 0x7F, 0x80, 0xFF))
        if rnd.random() < 0.1:
            del message[rnd.randrange(begin, len(message)) :]
        said = answer(wireguard.set, bytes(message))
        print(number, said, state())
        if number % 50 == 0:
            wireguard.set(WG0 + u32(Device.FLAGS, Device.F_REPLACE_PEERS))


main()
