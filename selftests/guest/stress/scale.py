#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Many peers: what scale.sh needs besides wg(8).

config FIRST COUNT     peers of a configuration file, numbers FIRST and up, one prefix each
remove FIRST COUNT     removes them from wg0, in one message
count                  peers of wg0, by a dump
hold                   until it is killed: how long others wait for RTNL, at worst
"""

import base64
import signal
import struct
import sys
import time

import wgnl

NETLINK_ROUTE, RTM_NEWLINK = 0, 16


def address(number):
    """The address of a peer, all over 10.0.0.0/8 and close to its neighbours'."""
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def config(first, count):
    for number in range(first, first + count):
        key = base64.b64encode(wgnl.key(number)).decode()
        print(f"[Peer]\nPublicKey = {key}\nAllowedIPs = {address(number)}/32")


def remove(first, count):
    """Netlink knows no peers nest of more than 64 kB, hence at most 1300 at a time."""
    flags = wgnl.u32(wgnl.Peer.FLAGS, wgnl.Peer.F_REMOVE_ME)
    each = [
        wgnl.attr(wgnl.Peer.PUBLIC_KEY, wgnl.key(number)) + flags
        for number in range(first, first + count)
    ]
    client = wgnl.WireGuard()
    client.socket.settimeout(600)
    client.set(wgnl.text(wgnl.Device.IFNAME, "wg0") + wgnl.peers(*each))


def attributes(data, at, end):
    """What attributes there are between two places, as (type, where its payload begins, ends)."""
    while at + 4 <= end:
        length, kind = struct.unpack_from("=HH", data, at)
        yield kind & 0x3FFF, at + 4, at + length
        at += length + 3 & ~3


def count():
    """Looks at no more than it has to: there may be a million."""
    client = wgnl.WireGuard()
    client.socket.settimeout(600)
    client.start(wgnl.text(wgnl.Device.IFNAME, "wg0"))
    keys = set()
    whole = 0
    done = False
    while not done:
        for message in client.receive(65536):
            done = message.kind in (wgnl.NLMSG_ERROR, wgnl.NLMSG_DONE)
            body = message.body
            for kind, at, end in attributes(body, 4, 0 if done else len(body)):
                if kind != wgnl.Device.PEERS:
                    continue
                for _, one, one_end in attributes(body, at, end):
                    for field, start, stop in attributes(body, one, one_end):
                        if field == wgnl.Peer.PUBLIC_KEY:
                            keys.add(body[start:stop])
                        elif field == wgnl.Peer.ALLOWEDIPS:
                            whole += sum(1 for _ in attributes(body, start, stop))
    print(len(keys), whole)


def hold():
    worst = 0

    def report(*_):
        print(int(worst * 1000), flush=True)
        sys.exit()

    signal.signal(signal.SIGTERM, report)
    client = wgnl.Netlink(NETLINK_ROUTE)
    client.socket.settimeout(600)
    # The loopback device, up as it is: changes nothing, and takes RTNL.
    body = struct.pack("=BxHiII", 0, 0, 1, 1, 1)
    while True:
        start = time.monotonic()
        client.talk(RTM_NEWLINK, wgnl.F_REQUEST | wgnl.F_ACK, body)
        worst = max(worst, time.monotonic() - start)
        time.sleep(0.001)


if __name__ == "__main__":
    {"config": config, "remove": remove, "count": count, "hold": hold}[sys.argv[1]](
        *map(int, sys.argv[2:])
    )
