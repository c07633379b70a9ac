#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Requests during which one allocation after the other fails. Runs inside faults.sh."""

import errno
import gc
import os
import socket
import struct
import subprocess
import sys
import time

import faults_devices
import faults_traffic
import tap
from faults_base import (
    MOVED,
    NINE,
    NAME,
    PATIENCE,
    SEED,
    STEP,
    Log,
    absent,
    adding,
    clear,
    configure,
    is_open,
    judge,
    present,
    public,
    request,
    shown,
    shown_device,
    sweep,
    up,
)
from wgnl import (
    F_DUMP_INTR,
    AllowedIp,
    Device,
    Peer,
    WireGuard,
    allowed_ips,
    attr,
    dump_peers,
    endpoint4,
    endpoint6,
    peers,
    prefix,
    prefixes,
    text,
    u16,
    u32,
)

# Configuration ------------------------------------------------------------------------------------

BEFORE = dict(enumerate(NINE))


def empty():
    clear()
    return configure(NINE)


def filled(change):
    def prepare():
        clear()
        configure(NINE)()
        return change()

    return prepare


def everything():
    """A SET that says all that can be said: of the device, of peers that go, stay and come."""
    port, count = 1002, 12
    own = bytes(range(32, 64))
    lists = [[f"10.{n}.{m}.0/24" for m in range(3)] + [f"fd00:{n + 1:x}::/32"] for n in range(count)]

    def body():
        each = [
            public(n)
            + u32(Peer.FLAGS, Peer.F_REPLACE_ALLOWEDIPS)
            + attr(Peer.PRESHARED_KEY, bytes([n + 1]) * 32)
            + attr(Peer.ENDPOINT, endpoint6("::1", 5) if n % 2 else endpoint4("127.0.0.1", 5))
            + u16(Peer.KEEPALIVE, 25)
            + allowed_ips(*map(prefix, lists[n]))
            for n in range(count)
        ]
        gone = public(1) + u32(Peer.FLAGS, Peer.F_REMOVE_ME)
        absent_one = public(98) + u32(Peer.FLAGS, Peer.F_UPDATE_ONLY)
        return (
            attr(Device.PRIVATE_KEY, own)
            + u32(Device.FLAGS, Device.F_REPLACE_PEERS)
            + peers(*each, gone, absent_one)
        )

    def prepare():
        clear()
        configure(NINE)()
        request({Device.LISTEN_PORT: 1000, Device.FWMARK: 1}, attr(Device.PRIVATE_KEY, bytes(32)))()
        return request({Device.LISTEN_PORT: port, Device.FWMARK: 0x1234}, body())

    def look(wrong):
        steps = [("clear", None, None), *adding(lists), ("remove", 1, None)]
        found = is_open(1000), is_open(port)
        if found != ("", "46") and (wrong is None or found != ("46", "")):
            return f"sockets: {found}"
        return judge(wrong, BEFORE, steps)

    sweep("SET of everything", prepare, lambda run: run(), look)

    def other_mark():
        request({Device.FWMARK: 1})()
        return request({Device.FWMARK: 2})

    def mark(wrong):
        found = shown_device()[Device.FWMARK]
        allowed = (2,) if wrong is None else (1, 2)
        return None if struct.unpack("=I", found)[0] in allowed else f"mark: {found}"

    sweep("SET of a mark", other_mark, lambda run: run(), mark)


def seen():
    """What is shown is what packets find: when a request has worked, at once, and otherwise with the next."""
    subprocess.run(("ip", "addr", "replace", "10.99.0.1/8", "dev", NAME), check=True)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    places = {"10.1.0.0/16": "10.1.0.1", "10.2.0.0/16": "10.2.0.1", "10.2.2.0/24": "10.2.2.1"}
    old, *new = places

    def change():
        clear()
        request(each=peers(public(0) + allowed_ips(prefix(old))))()
        lists = prefix(old, AllowedIp.F_REMOVE_ME), *map(prefix, new)
        return request(each=peers(public(0) + allowed_ips(*lists)))

    def is_found(address):
        try:
            sender.sendto(b"", (address, 9))
        except OSError as error:
            if error.errno not in (errno.ENOKEY, errno.EDESTADDRREQ):
                raise
            # That of somebody who cannot be reached.
            return error.errno == errno.EDESTADDRREQ
        return True

    def as_shown(wrong):
        if wrong is not None:
            request({Device.FWMARK: 1})()
        listed = shown().get(0, [])
        covered = {one: one in listed or (one == "10.2.2.0/24" and "10.2.0.0/16" in listed) for one in places}
        found = {one: is_found(address) for one, address in places.items()}
        return None if found == covered else f"shown: {listed}, found: {found}"

    sweep("SET of what packets find", change, lambda run: run(), as_shown)


def three_peers():
    """They are added, and found by their keys and by packets."""
    present()
    up()()
    sweep(
        "SET with three peers",
        empty,
        lambda run: run(),
        lambda wrong: judge(wrong, {}, adding(NINE)),
    )
    seen()
    absent()


def configuration():
    present()
    up()()
    sweep(
        "SET that moves allowed IPs",
        filled(lambda: configure(MOVED)),
        lambda run: run(),
        lambda wrong: judge(wrong, BEFORE, adding(MOVED)),
    )
    rest = [each[1:] for each in NINE]
    sweep(
        "SET that replaces allowed IPs",
        filled(lambda: configure(rest, replace=True)),
        lambda run: run(),
        lambda wrong: judge(wrong, BEFORE, adding(rest, replace=True)),
    )
    sweep(
        "SET that takes one away",
        filled(
            lambda: request(
                each=peers(public(0) + allowed_ips(prefix("10.1.0.0/16", AllowedIp.F_REMOVE_ME)))
            )
        ),
        lambda run: run(),
        lambda wrong: judge(wrong, BEFORE, [("take", 0, "10.1.0.0/16")]),
    )
    removal = u32(Peer.FLAGS, Peer.F_REMOVE_ME)
    sweep(
        "SET that removes a peer",
        filled(lambda: request(each=peers(public(1) + removal))),
        lambda run: run(),
        lambda wrong: judge(wrong, BEFORE, [("remove", 1, None)]),
    )
    everything()
    private = attr(Device.PRIVATE_KEY, bytes(range(32)))
    other = attr(Device.PRIVATE_KEY, bytes(32))

    def other_key():
        request(each=other)()
        return request(each=private)

    sweep("SET of a private key", other_key, lambda run: run(), lambda wrong: None)

    def one_port():
        request({Device.LISTEN_PORT: 1000})()
        return request({Device.LISTEN_PORT: 1001})

    def one_of(wrong):
        found = is_open(1000), is_open(1001)
        allowed = (("", "46"),) if wrong is None else (("", "46"), ("46", ""))
        return None if found in allowed else f"sockets: {found}"

    sweep("SET of a port", one_port, lambda run: run(), one_of)
    clear()
    configure(NINE)()
    dumped = []

    def reader():
        netlink = WireGuard()
        netlink.socket.settimeout(5)
        dumped.clear()
        return netlink

    def dump(netlink):
        dumped.extend(netlink.get(text(Device.IFNAME, NAME)))

    def whole(wrong):
        if wrong is None and not any(message.flags & F_DUMP_INTR for message in dumped):
            found = [sorted(prefixes(one)) for one in dump_peers(dumped)]
            return None if found == [sorted(each) for each in NINE] else f"dumped: {found}"
        return None

    sweep("GET", reader, dump, whole)

    # Too much for one message.
    many = [[f"10.{n}.{m}.0/24" for m in range(40)] for n in range(20)]
    clear()
    request(each=peers(*(public(n) + allowed_ips(*map(prefix, each)) for n, each in enumerate(many))))()

    def all_of_it(wrong):
        if wrong is None and not any(message.flags & F_DUMP_INTR for message in dumped):
            found = {}
            for one in dump_peers(dumped):
                found.setdefault(one[Peer.PUBLIC_KEY], []).extend(prefixes(one))
            if [sorted(each) for each in found.values()] != [sorted(each) for each in many]:
                return f"dumped: {found}"
        return None

    sweep("GET in several messages", reader, dump, all_of_it)
    absent()


# Leftovers ----------------------------------------------------------------------------------------


def leftovers():
    """A peer is removed while there is no memory to take it out of the table of allowed IPs.

    It is removed all the same: it is not shown, and its packets are those of whom they would belong
    to without it. What is left of it is gone with the next request.
    """
    log = Log()
    ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for number, end in enumerate(ends):
        end.bind(("127.0.0.1", 7000 + number))
        end.settimeout(0.01)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    lists = [["10.0.0.0/8"], ["10.1.0.0/16", "10.1.1.0/24", "10.1.1.4/30"]]
    lingered = []

    def receiver():
        """Who a packet for the second peer is sent to."""
        sender.sendto(b"", ("10.1.1.5", 9))
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for number, end in enumerate(ends):
                try:
                    end.recv(4096)
                    return number
                except TimeoutError:
                    pass
        return None

    def two_peers():
        present()
        up()()
        subprocess.run(("ip", "addr", "replace", "10.99.0.1/8", "dev", NAME), check=True)
        clear()
        request(each=attr(Device.PRIVATE_KEY, bytes(range(32))))()
        request(
            each=peers(
                *(
                    public(number)
                    + attr(Peer.ENDPOINT, endpoint4("127.0.0.1", 7000 + number))
                    + allowed_ips(*map(prefix, lists[number]))
                    for number in range(2)
                )
            )
        )()
        # Those of the last time are gone by now.
        log.has_destroyed("Peer", 0.3)
        list(log.lines())
        return request(each=peers(public(1) + u32(Peer.FLAGS, Peer.F_REMOVE_ME)))

    def is_gone(wrong):
        gone = 1 not in shown()
        if not gone and wrong is None:
            return "it is shown"
        whose = receiver()
        if whose != (0 if gone else 1):
            return f"gone: {gone}, and its packets are those of {whose}"
        if gone and not log.has_destroyed("Peer", 1):
            lingered.append(wrong)
            request({Device.FWMARK: 1})()
            if not log.has_destroyed("Peer"):
                return "it is not freed with the next request"
        return None

    sweep("a peer that is removed", two_peers, lambda run: run(), is_gone)
    tap.note(f"{len(lingered)} times something was left until the next request")
    if os.environ["WG_DRIVER"] == "rust" and STEP == 1:
        tap.ok("a peer that is removed: something was left of it", lingered)

    def goes_too(wrong):
        absent()
        return None if log.has_destroyed("Interface") else "the device is not freed"

    sweep("a peer, and then the device", two_peers, lambda run: run(), goes_too)


def main():
    # Whatever Python itself asks for must not count.
    gc.disable()
    tap.note(f"WG_SEED={SEED} WG_FAULTS={STEP}")
    parts = (
        faults_devices.insmod,
        faults_devices.rmmod,
        faults_devices.device,
        faults_devices.exits,
        three_peers,
        configuration,
        leftovers,
        faults_traffic.send,
        faults_traffic.handshake,
    )
    {part.__name__: part for part in parts}[sys.argv[1]]()


main()
