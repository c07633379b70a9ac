#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints a dump of a device, attribute by attribute as they came."""

import base64
import os
import socket
import sys

from lab import describe
from wgnl import *  # noqa: F403

# The keys of lib.sh by their names.
KEYS = {
    base64.b64decode(os.environ[name]): name
    for name in ("KEY_A", "KEY_B", "KEY_C", "PUB_A", "PUB_B", "PUB_C", "PSK")
}
NAMES = {
    kind: {value: name for name, value in vars(kind).items() if isinstance(value, int)}
    for kind in (Device, Peer, AllowedIp)
}
# WGALLOWEDIP and the others have flags of the same numbers.
for names, kind in ((NAMES[Device], Device), (NAMES[Peer], Peer), (NAMES[AllowedIp], AllowedIp)):
    names.update({v: n for n, v in vars(kind).items() if isinstance(v, int) and n[:2] != "F_"})


def key(payload):
    return KEYS.get(payload) or ("none" if payload == bytes(len(payload)) else payload.hex())


def number(payload):
    return str(int.from_bytes(payload, sys.byteorder))


def port(payload):
    """One that somebody has set, or any."""
    number = int.from_bytes(payload, sys.byteorder)
    return number if number == 0 or 51820 <= number < 51840 else "any"


SHOW = {
    (Device, Device.LISTEN_PORT): port,
    (Device, Device.IFINDEX): lambda payload: "N",
    (Device, Device.IFNAME): lambda payload: payload.rstrip(b"\0").decode(),
    (Device, Device.PRIVATE_KEY): key,
    (Device, Device.PUBLIC_KEY): key,
    (Peer, Peer.PUBLIC_KEY): key,
    (Peer, Peer.PRESHARED_KEY): key,
    (Peer, Peer.ENDPOINT): lambda payload: f"{describe(payload)} {payload.hex()}",
    (Peer, Peer.LAST_HANDSHAKE_TIME): lambda payload: "some" if any(payload) else "never",
    (AllowedIp, AllowedIp.IPADDR): lambda payload: socket.inet_ntop(
        socket.AF_INET if len(payload) == 4 else socket.AF_INET6, payload
    ),
}
NESTED = {(Device, Device.PEERS): Peer, (Peer, Peer.ALLOWEDIPS): AllowedIp}


def walk(attributes, kind, depth):
    for number_, nested, payload in attributes:
        name = NAMES[kind].get(number_, str(number_))
        inner = NESTED.get((kind, number_))
        head = f"{'  ' * depth}{name}{' nested' if nested else ''} {len(payload)}"
        if number_ == 0 and not payload:
            # For alignment, which depends on what the message begins with.
            continue
        if inner is None:
            print(f"{head}: {SHOW.get((kind, number_), number)(payload)}")
            continue
        print(head.rsplit(" ", 1)[0])
        for index, is_nested, element in parse(payload):
            print(f"{'  ' * depth}  [{index}{' nested' if is_nested else ''}]")
            walk(parse(element), inner, depth + 2)


def main():
    netlink = WireGuard()
    for message in netlink.get(text(Device.IFNAME, sys.argv[1])):
        print(f"message {message.body[:4].hex()} {message.flags & ~F_DUMP_INTR:#x}")
        walk(message.attributes(), Device, 1)


if __name__ == "__main__":
    main()
