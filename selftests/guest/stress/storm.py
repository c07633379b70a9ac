#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Dumps that are resumed when what they have come to is gone. Runs inside storm.sh.

Some processes read dumps of hundreds of peers, slowly, and abandon one now and then; meanwhile
peers are removed and added in every way, and so is the device.
"""

import random
import subprocess
import sys
import time

import tap
from background import Background
from wgnl import (
    NLMSG_DONE,
    NLMSG_ERROR,
    Answer,
    Device,
    Peer,
    WireGuard,
    allowed_ips,
    attr,
    dump_peers,
    key,
    peers,
    prefix,
    text,
    u32,
)

COUNT, READERS = 300, 4
NAME = "wgs"
DEVICE = text(Device.IFNAME, NAME)


def everything():
    """All peers, a few dozen in each request."""
    step = 50
    for start in range(0, COUNT, step):
        yield DEVICE + peers(
            *(
                attr(Peer.PUBLIC_KEY, key(n))
                + allowed_ips(*(prefix(f"10.{n >> 8}.{n & 255}.{i}/32") for i in range(8)))
                for n in range(start, start + step)
            )
        )


def reader(number):
    """Reads dumps for ever, and leaves some."""
    chance = random.Random(number)
    while True:
        netlink = WireGuard()
        try:
            netlink.start(DEVICE)
            while True:
                last = netlink.receive()[-1]
                if last.kind in (NLMSG_DONE, NLMSG_ERROR) or chance.random() < 0.03:
                    break
                time.sleep(chance.random() * 0.01)
        except (Answer, OSError):
            pass
        netlink.close()


def link(*args):
    subprocess.run(("ip", "link") + args, check=True)


def main():
    link("add", NAME, "type", "wireguard")
    readers = []
    for number in range(READERS):
        readers.append(Background(f"dumps: reader {number}", reader, number))
    netlink = WireGuard()
    chance = random.Random(0)
    rounds, end = 0, time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end:
        for request in everything():
            netlink.set(request)
        for _ in range(20):
            gone = attr(Peer.PUBLIC_KEY, key(chance.randrange(COUNT)))
            netlink.set(DEVICE + peers(gone + u32(Peer.FLAGS, Peer.F_REMOVE_ME)))
        for _ in range(20):
            one = attr(Peer.PUBLIC_KEY, key(chance.randrange(COUNT)))
            ips = allowed_ips(prefix(f"10.0.{chance.randrange(256)}.0/24"))
            netlink.set(DEVICE + peers(one + ips))
        if rounds % 3 == 2:
            link("del", NAME)
            link("add", NAME, "type", "wireguard")
        else:
            netlink.set(DEVICE + u32(Device.FLAGS, Device.F_REPLACE_PEERS))
        rounds += 1
    for request in everything():
        netlink.set(request)
    found = {one[Peer.PUBLIC_KEY] for one in dump_peers(netlink.get(DEVICE))}
    tap.equal("dumps: all peers are there in the end", len(found), COUNT)
    for one in readers:
        one.end()
    deletion = subprocess.run(("ip", "link", "del", NAME), timeout=60)
    tap.equal("dumps: then the device can be deleted", deletion.returncode, 0)
    tap.ok("dumps: there were some", rounds > 0)
    tap.note(f"{rounds} rounds")


main()
