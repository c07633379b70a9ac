#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Packets that the module of contract.sh sends and delivers. Runs inside contract.sh.

When its device is first to send a packet, the module sends datagrams to port 9 and delivers packets,
most of which are not what they must be. After that, it delivers a segment of TCP that it is to send, in one flow with two of its own, and sends on
to port 9 what its socket receives.
"""

import select
import socket
import struct
import subprocess

import tap

DEVICE = "contract0"
ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
DISCARD = 9

# The one before the two that the module has.
SEGMENT = bytes.fromhex(
    "4500008c 00004000 40061458 0a090902 0a090901 12340009 00000000 00000001 50100100 00000000"
) + bytes(100)


def listen(device):
    """A socket that sees all packets of a device, and has clones of them."""
    out = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    out.bind((device, ETH_P_ALL))
    return out


def received(*sockets):
    """What these get until nothing comes any more, each with where it is from; not what is sent."""
    out = {one: [] for one in sockets}
    while ready := select.select(sockets, [], [], 1)[0]:
        for one in ready:
            data, address = one.recvfrom(65536)
            if one.family != socket.AF_PACKET or address[2] != socket.PACKET_OUTGOING:
                out[one].append((data, address))
    return out.values()


def main():
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", DISCARD))
    device = listen(DEVICE)
    ping = "ping -q -c 1 -W 1 10.9.9.2".split()
    subprocess.run(ping, stdout=subprocess.DEVNULL, check=False)
    sent, delivered = received(datagrams, device)
    # Two of one bundle, and one that had no room for headers.
    tap.equal("only what is whole is sent", [len(data) for data, _ in sent], [100, 100, 40])
    # One alone, two that were large before, and three in one.
    lengths = [len(data) for data, _ in delivered]
    tap.equal("only what is whole is delivered", lengths, [40, 140, 340])

    out = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    out.sendto(SEGMENT, (DEVICE, ETH_P_IP))
    _, delivered = received(datagrams, device)
    lengths = [len(data) for data, _ in delivered]
    tap.equal("what others share is not merged", lengths, [140, 240])

    loopback = listen("lo")
    (_, module), *_ = sent
    datagrams.sendto(bytes(40), module)
    forwarded, seen = received(datagrams, loopback)
    tap.equal("a datagram that others share is sent on", len(forwarded), 1)
    ports = [struct.unpack(">H", data[22:24])[0] for data, _ in seen]
    tap.equal("and they keep its headers", ports, [module[1], DISCARD])


if __name__ == "__main__":
    main()
