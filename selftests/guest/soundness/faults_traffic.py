# SPDX-License-Identifier: GPL-2.0
"""A tunnel, for faults.py: what is sent, and how sessions are made.

The arguments are the address at the other end, and the namespace that this is in.
"""

import contextlib
import os
import socket
import struct
import sys
import time

import tap
from faults_base import (
    IFNAME,
    NEWLINK,
    PATIENCE,
    UP,
    WorkersFaults,
    sweep,
    within,
)
from wgnl import (
    F_ACK,
    F_REQUEST,
    NETLINK_ROUTE,
    Device,
    Netlink,
    Peer,
    WireGuard,
    dump_peers,
    text,
)

TUNNEL = "wg0"
UDP_SEGMENT = 103


def sender(segment=0):
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if segment:
        out.setsockopt(socket.SOL_UDP, UDP_SEGMENT, segment)
    return out


def send():
    """Packets may be lost, and whoever sends may be told."""
    to = sys.argv[2], 9
    for what, size, segment in (
        ("a datagram", 1000, 0),
        ("a datagram in fragments", 20000, 0),
        ("datagrams in one packet", 12000, 1200),
    ):
        out, data = sender(segment), bytes(size)
        sweep(
            f"{what} is sent",
            lambda: None,
            lambda _, out=out, data=data: out.sendto(data, to),
            lambda wrong: None,
            mattered=False,
        )


class Side:
    """One end of the tunnel."""

    def __init__(self, space):
        with within(space) if space is not None else contextlib.nullcontext():
            self.route, self.wireguard = Netlink(NETLINK_ROUTE), WireGuard()

    def cycle(self):
        """Down and up: no session is left."""
        for state in 0, UP:
            body = struct_ifinfo(state) + text(IFNAME, TUNNEL)
            self.route.talk(NEWLINK, F_REQUEST | F_ACK, body)

    def last_handshake(self):
        (one,) = dump_peers(self.wireguard.get(text(Device.IFNAME, TUNNEL)))
        return one[Peer.LAST_HANDSHAKE_TIME]


def struct_ifinfo(state):
    return struct.pack("=BxHiII", 0, 0, 0, state, UP)


def handshake():
    """Workers and who polls the sockets make a session, or not; next time they do."""
    sides = Side(None), Side(os.open(sys.argv[3], os.O_RDONLY))
    to = sys.argv[2], 9
    out = sender()
    before = []

    def made():
        return all(side.last_handshake() != old for side, old in zip(sides, before, strict=True))

    def anew():
        for side in sides:
            side.cycle()
        before[:] = [side.last_handshake() for side in sides]
        # Timestamps of two initiations have to differ.
        time.sleep(0.05)

    def greet(limit=0.4):
        out.sendto(b"", to)
        end = time.monotonic() + limit
        while not made() and time.monotonic() < end:
            time.sleep(0.01)

    def next_time(_wrong):
        end = time.monotonic() + PATIENCE
        while not made():
            if time.monotonic() > end:
                return "no session is made any more"
            anew()
            greet(2)
        return None

    sweep(
        "a handshake",
        anew,
        lambda _: greet(),
        next_time,
        refuses=False,
        faults=WorkersFaults(),
    )
