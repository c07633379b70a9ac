# SPDX-License-Identifier: GPL-2.0
"""A tunnel, for faults.py: what is sent, how sessions are made, and a suspend.

The arguments are the address at the other end, and the namespace that this is in.
"""

import contextlib
import errno
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
POWER = "/sys/power"
PM_TEST_DELAY = "/sys/module/suspend/parameters/pm_test_delay"


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


def suspend():
    """As far as to where the processes are frozen, if the kernel can end it there."""
    if not os.path.exists(f"{POWER}/pm_test") or not os.path.exists(PM_TEST_DELAY):
        tap.note("this kernel cannot be suspended for a test")
        return
    write(f"{POWER}/pm_test", b"freezer")
    write(PM_TEST_DELAY, b"0")
    state = os.open(f"{POWER}/state", os.O_WRONLY)
    # A process may be in the midst of something.
    refused = (errno.EBUSY, errno.EAGAIN)
    sweep(
        "a suspend",
        lambda: sender().sendto(b"", (sys.argv[2], 9)),
        lambda _: os.write(state, b"freeze"),
        lambda wrong: None,
        also=refused,
        mattered=False,
    )
    os.close(state)
    write(f"{POWER}/pm_test", b"none")


def write(path, value):
    with open(path, "wb") as file:
        file.write(value)
