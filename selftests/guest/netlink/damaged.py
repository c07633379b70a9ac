#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Damaged and excessive requests. Runs inside damaged.sh, whose traffic goes through wg0."""

import random
import subprocess
import time

import tap
from errors_base import answer
from wgnl import *  # noqa: F403

# The same in every run.
rnd = random.Random(3)
wireguard = WireGuard()
WG1 = text(Device.IFNAME, "wg1")


def show(device):
    """A dump that has to make sense: peers by their keys, with their prefixes."""
    found = {}
    for one in dump_peers(wireguard.get(text(Device.IFNAME, device))):
        if len(one[Peer.PUBLIC_KEY]) != 32:
            raise ValueError("a peer without a key")
        found.setdefault(one[Peer.PUBLIC_KEY], []).extend(prefixes(one))
    return found


def echo():
    """Does the tunnel work?"""
    command = "ping -n -q -c 1 -W 20 192.168.241.2".split()
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0


def stream():
    """A request as wg setconf would send it, for thirty peers."""
    ours = []
    for n in range(30):
        one = attr(Peer.PUBLIC_KEY, key(n)) + u32(Peer.FLAGS, Peer.F_REPLACE_ALLOWEDIPS)
        if n % 3 == 0:
            one += attr(Peer.PRESHARED_KEY, key(1000 + n))
        if n % 2 == 0:
            one += attr(Peer.ENDPOINT, endpoint4(f"192.0.2.{n}", 1000 + n))
        else:
            one += attr(Peer.ENDPOINT, endpoint6(f"2001:db8::{n:x}", 1000 + n))
        one += u16(Peer.KEEPALIVE, n)
        one += allowed_ips(prefix(f"10.0.{n}.0/24"), prefix(f"fd00:{n:x}::/32"))
        ours.append(one)
    return (
        WG1
        + attr(Device.PRIVATE_KEY, key(77))
        + u16(Device.LISTEN_PORT, 55555)
        + u32(Device.FWMARK, 0)
        + u32(Device.FLAGS, Device.F_REPLACE_PEERS)
        + peers(*ours)
    )


def flipped():
    tap.note("flipped bits")
    # Whatever is damaged, it is wg1 that is meant, or nothing.
    good = stream()
    begin = len(WG1)
    seen = {}
    work = 0
    for round_ in range(600):
        damaged = bytearray(good)
        for _ in range(rnd.randrange(1, 4)):
            damaged[rnd.randrange(begin, len(damaged))] ^= 1 << rnd.randrange(8)
        number, _ = answer(wireguard.set, bytes(damaged))
        seen[number] = seen.get(number, 0) + 1
        work += len(show("wg1"))
        if round_ % 20 == 0 and not echo():
            tap.ok("DMG-1 the tunnel works", False, f"not after round {round_}")
            return
    tap.note(f"answers: {seen}")
    tap.ok("DMG-1 most are understood", seen.get(0, 0) > 100, str(seen))
    tap.ok("DMG-1 some are not", len(seen) > 2, str(seen))
    tap.equal("DMG-1 the good one is", answer(wireguard.set, good), (0, ""))
    tap.equal("DMG-1 and makes its peers", len(show("wg1")), 30)
    # What ends within the list of peers, which is the last and longest of its attributes.
    wrong = []
    for less in range(1, len(good) - len(WG1) - 80, 7):
        if answer(wireguard.set, good[: len(good) - less])[0] != 22:
            wrong.append(less)
    tap.equal("DMG-1 what is cut off is refused", wrong, [])


def bombs():
    tap.note("nested too deep")
    before = len(show("wg1"))
    for depth in (2, 8, 20, 1000, 10000):
        inner = b""
        for _ in range(depth):
            if len(inner) > 60000:
                break
            inner = nest(Device.PEERS, inner)
        for name, body in (
            ("lists of peers", WG1 + inner),
            ("peers", WG1 + nest(Device.PEERS, nest(0, nest(Peer.ALLOWEDIPS, inner)))),
        ):
            number, _ = answer(wireguard.set, body)
            tap.equal(f"DMG-2 {name} in {depth} others", number, 22)
    tap.equal("DMG-2 no peer is made or lost", len(show("wg1")), before)
    tap.ok("DMG-2 the tunnel works", echo())


def empty():
    tap.note("empty peers")
    many = nest(0) * (65000 // 4)
    tap.equal(
        "DMG-3 64 kB of empty peers", answer(wireguard.set, WG1 + nest(Device.PEERS, many))[0], 22
    )
    many = nest(0, attr(Peer.PUBLIC_KEY, key(1))) * (65000 // 40)
    tap.equal(
        "DMG-3 64 kB of the same peer",
        answer(wireguard.set, WG1 + nest(Device.PEERS, many)),
        (0, ""),
    )
    many = b"".join(nest(0, attr(Peer.PUBLIC_KEY, key(n))) for n in range(65000 // 40))
    begun = time.monotonic()
    tap.equal(
        "DMG-3 64 kB of other peers",
        answer(wireguard.set, WG1 + nest(Device.PEERS, many)),
        (0, ""),
    )
    tap.equal("DMG-3 they are there", len(show("wg1")), 65000 // 40)
    wireguard.set(WG1 + u32(Device.FLAGS, Device.F_REPLACE_PEERS))
    tap.equal("DMG-3 and go", len(show("wg1")), 0)
    tap.note(f"made and gone in {time.monotonic() - begun:.2f} s")
    tap.ok("DMG-3 the tunnel works", echo())


def moved():
    tap.note("a prefix that goes back and forth")
    # As many as fit in a request, each for the other one of two peers.
    one = prefix("198.51.100.0/24")
    pair = b"".join(
        nest(0, attr(Peer.PUBLIC_KEY, key(n)) + allowed_ips(one, one, one, one, one))
        for n in (1, 2)
    )
    request = WG1 + nest(Device.PEERS, pair * (60000 // len(pair)))
    each = 10 * (60000 // len(pair))
    total = 0
    begun = time.monotonic()
    while total < 100000:
        wireguard.set(request)
        total += each
    tap.note(f"{total} times in {time.monotonic() - begun:.2f} s")
    wanted = {key(1): [], key(2): ["198.51.100.0/24"]}
    tap.equal("DMG-4 it is where it was put last", show("wg1"), wanted)
    tap.ok("DMG-4 the tunnel works", echo())


def main():
    subprocess.run("ip link add wg1 type wireguard".split(), check=True)
    subprocess.run("ip link set wg1 up".split(), check=True)
    for part in (flipped, bombs, empty, moved):
        part()
    subprocess.run("ip link del wg1".split(), check=True)


main()
