#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Requests during which one allocation after the other fails. Runs inside faults.sh."""

import ctypes
import errno
import gc
import os
import socket
import struct
import subprocess
import sys
import time

import tap
from wgnl import (
    F_ACK,
    F_CREATE,
    F_DUMP_INTR,
    F_REQUEST,
    NETLINK_ROUTE,
    AllowedIp,
    Answer,
    Device,
    Netlink,
    Peer,
    WireGuard,
    allowed_ips,
    attr,
    dump_peers,
    endpoint4,
    endpoint6,
    key,
    nest,
    peers,
    prefix,
    prefixes,
    text,
    u16,
    u32,
)

NEWLINK, DELLINK, F_EXCL = 16, 17, 0x200
IFNAME, LINKINFO, INFO_KIND, UP = 3, 18, 1, 1
FINIT_MODULE, DELETE_MODULE = 313, 176
STEP = int(os.environ.get("WG_FAULTS", 1))
# More allocations than any request makes.
LIMIT = 5000
# What a request may be refused with when there is no memory; the last is for sockets.
REFUSALS = (errno.ENOMEM, errno.ENOBUFS, errno.ENFILE)

PATIENCE = float(os.environ.get("PATIENCE", 60))

libc = ctypes.CDLL(None, use_errno=True)
NAME = "wgf"


class Faults:
    """Has the kernel fail one allocation of this thread."""

    def __init__(self):
        self.nth = os.open("/proc/thread-self/fail-nth", os.O_RDWR)

    def run(self, number, action):
        """Does it, with that allocation failing: (errno or None, whether it came to that)."""
        wrong = None
        os.pwrite(self.nth, b"%d" % number, 0)
        try:
            action()
        except (Answer, OSError) as error:
            wrong = error.errno or errno.ETIMEDOUT
        left = int(os.pread(self.nth, 16, 0).strip(b"\n\0"))
        os.pwrite(self.nth, b"0", 0)
        return wrong, left == 0


def sweep(what, prepare, action, look, also=()):
    """Fails each allocation of an action in turn, up to a time when it makes no more.

    `prepare` returns what `action` gets, and is done before each; `look` says what is wrong then.
    `also` are further errors that it may end with.
    """
    faults = Faults()
    problems, refused, number, first = [], 0, 1, True
    while number < LIMIT:
        given = prepare()
        wrong, failed = faults.run(number, lambda: action(given))
        refused += wrong is not None
        problem = look(wrong)
        if wrong not in REFUSALS + also + (None,):
            problem = f"errno {wrong}"
        if problem:
            problems.append(f"allocation {number}, errno {wrong}: {problem}")
        if not failed:
            break
        number += STEP
    tap.ok(f"{what}: it fails cleanly or works", not problems, *problems[:20])
    tap.ok(f"{what}: in the end it works", not failed and wrong is None, f"errno {wrong}")
    tap.ok(f"{what}: memory mattered", refused > 0 and number > 1)
    tap.note(f"{what}: {number} allocations in steps of {STEP}, {refused} refusals")


# Module -------------------------------------------------------------------------------------------


def call(number, *args):
    if libc.syscall(number, *args) != 0:
        raise OSError(ctypes.get_errno(), "system call")


def is_loaded():
    return os.path.isdir("/sys/module/wireguard")


def unload():
    if is_loaded():
        call(DELETE_MODULE, b"wireguard", os.O_NONBLOCK)


def module():
    file = os.open(sys.argv[2], os.O_RDONLY)

    def look(wrong):
        if is_loaded() != (wrong is None):
            return f"loaded: {is_loaded()}"
        try:
            WireGuard().close()
        except Answer as error:
            return None if wrong else f"no family: {error}"
        return "a family is left" if wrong else None

    # Whoever asks for the family must not have it loaded.
    with open("/proc/sys/kernel/modprobe", "r+") as modprobe:
        path = modprobe.read()
        os.pwrite(modprobe.fileno(), b"\n", 0)
        sweep("insmod", unload, lambda _: call(FINIT_MODULE, file, b"", 0), look)
        os.pwrite(modprobe.fileno(), path.encode(), 0)
    os.close(file)


# Devices ------------------------------------------------------------------------------------------


def link(kind, flags, attributes=b"", state=0, change=0, index=0):
    netlink = Netlink(NETLINK_ROUTE)
    netlink.socket.settimeout(5)
    body = struct.pack("=BxHiII", 0, 0, index, state, change) + attributes
    return lambda: netlink.talk(kind, F_REQUEST | F_ACK | flags, body)


def add():
    kind = nest(LINKINFO, text(INFO_KIND, "wireguard"))
    return link(NEWLINK, F_CREATE | F_EXCL, text(IFNAME, NAME) + kind)


def delete():
    return link(DELLINK, 0, text(IFNAME, NAME))


def up(state=UP):
    return link(NEWLINK, 0, text(IFNAME, NAME), state, UP)


def exists():
    try:
        return socket.if_nametoindex(NAME) != 0
    except OSError:
        return False


def absent():
    if exists():
        delete()()


def present():
    if not exists():
        add()()


def is_open(port):
    """Which families listen on the port."""
    out = ""
    for family in ("", "6"):
        with open(f"/proc/self/net/udp{family}") as file:
            if any(line.split()[1].endswith(f":{port:04X}") for line in file):
                out += family or "4"
    return out


def device():
    def without():
        absent()
        return add()

    # The answer may be lost, and all be done. Of one allocation of its own, the core says EINVAL.
    sweep(
        "link add",
        without,
        lambda run: run(),
        lambda wrong: None if wrong or exists() else "it is not there",
        also=(errno.EINVAL,),
    )

    def is_down():
        present()
        up(0)()
        request({Device.LISTEN_PORT: 1000})()
        return up()

    def open_or_not(wrong):
        families = is_open(1000)
        if families not in ("", "46") or (wrong is None and not families):
            return f"sockets: {families!r}"
        return None

    sweep("link up", is_down, lambda run: run(), open_or_not)

    def with_device():
        present()
        configure(NINE)()
        return delete()

    sweep(
        "link del",
        with_device,
        lambda run: run(),
        lambda wrong: None if wrong or not exists() else "it is there",
    )
    absent()


# Configuration ------------------------------------------------------------------------------------

NINE = [
    ["10.0.0.0/8", "10.1.0.0/16", "fd00::/8"],
    ["10.1.1.0/24", "fd00:1::/32", "0.0.0.0/0"],
    ["10.1.1.1/32", "fd00:1::1/128", "::/0"],
]
# The same, moved on by one peer.
MOVED = NINE[-1:] + NINE[:-1]


def public(number):
    return attr(Peer.PUBLIC_KEY, key(number))


def request(values=None, each=b""):
    """A SET."""
    netlink = WireGuard()
    netlink.socket.settimeout(5)
    body = text(Device.IFNAME, NAME)
    for kind, value in (values or {}).items():
        body += u16(kind, value) if kind == Device.LISTEN_PORT else u32(kind, value)
    return lambda: netlink.set(body + each)


def configure(lists, replace=False):
    """A SET of peers with these allowed IPs."""
    flags = u32(Peer.FLAGS, Peer.F_REPLACE_ALLOWEDIPS) if replace else b""
    return request(
        {Device.FWMARK: 7},
        peers(
            *(
                public(number)
                + flags
                + attr(Peer.PRESHARED_KEY, bytes([number]) * 32)
                + attr(
                    Peer.ENDPOINT,
                    endpoint6("::1", 5) if number == 1 else endpoint4("127.0.0.1", 5),
                )
                + u16(Peer.KEEPALIVE, 1)
                + allowed_ips(*map(prefix, lists[number]))
                for number in range(len(lists))
            )
        ),
    )


def shown():
    """Peers by number, and their allowed IPs."""
    netlink = WireGuard()
    out = {}
    for one in dump_peers(netlink.get(text(Device.IFNAME, NAME))):
        number = struct.unpack_from("!Q", one[Peer.PUBLIC_KEY])[0]
        out.setdefault(number, []).extend(prefixes(one))
    netlink.close()
    return out


def clear():
    request({Device.FLAGS: Device.F_REPLACE_PEERS})()


def mapping():
    """What is wrong between the list of a peer and the table that packets are looked up in.

    All is given to one peer: each of the others loses what the table says was its own.
    """
    everything = [one for each in NINE for one in each]
    request(each=peers(public(99) + allowed_ips(*map(prefix, everything))))()
    after = shown()
    if sorted(after.pop(99)) != sorted(everything):
        return "the last peer does not have all"
    left = {number: rest for number, rest in after.items() if rest}
    return f"somebody kept what was taken away: {left}" if left else None


def judge(wrong, allowed, wanted):
    """All must be as wanted, or with an error as far as it came."""
    found = shown()
    if wrong is None and {n: sorted(p) for n, p in found.items()} != {
        n: sorted(p) for n, p in wanted.items()
    }:
        return f"shown: {found}"
    owners = [one for each in found.values() for one in each]
    if len(owners) != len(set(owners)):
        return f"two have the same: {found}"
    for number, each in found.items():
        if not set(each) <= set(allowed.get(number, [])):
            return f"it was not asked for: {found}"
    return mapping()


def numbered(lists):
    return dict(enumerate(lists))


def empty():
    clear()
    return configure(NINE)


def filled(change):
    def prepare():
        clear()
        configure(NINE)()
        return change()

    return prepare


def configuration():
    present()
    up()()
    sweep(
        "SET with three peers",
        empty,
        lambda run: run(),
        lambda wrong: judge(wrong, numbered(NINE), numbered(NINE)),
    )
    both = {n: NINE[n] + MOVED[n] for n in range(3)}
    sweep(
        "SET that moves allowed IPs",
        filled(lambda: configure(MOVED)),
        lambda run: run(),
        lambda wrong: judge(wrong, both, numbered(MOVED)),
    )
    sweep(
        "SET that replaces allowed IPs",
        filled(lambda: configure([each[1:] for each in NINE], replace=True)),
        lambda run: run(),
        lambda wrong: judge(wrong, numbered(NINE), numbered([each[1:] for each in NINE])),
    )
    taken = [one for one in NINE[0] if one != "10.1.0.0/16"]
    sweep(
        "SET that takes one away",
        filled(
            lambda: request(
                each=peers(public(0) + allowed_ips(prefix("10.1.0.0/16", AllowedIp.F_REMOVE_ME)))
            )
        ),
        lambda run: run(),
        lambda wrong: judge(wrong, numbered(NINE), numbered([taken] + NINE[1:])),
    )
    removal = u32(Peer.FLAGS, Peer.F_REMOVE_ME)
    sweep(
        "SET that removes a peer",
        filled(lambda: request(each=peers(public(1) + removal))),
        lambda run: run(),
        lambda wrong: judge(wrong, numbered(NINE), {0: NINE[0], 2: NINE[2]}),
    )
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
    absent()


# Leftovers ----------------------------------------------------------------------------------------


class Log:
    """What the driver says."""

    def __init__(self):
        self.file = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.file, 0, os.SEEK_END)

    def lines(self):
        """Since the last call."""
        while True:
            try:
                yield os.read(self.file, 8192).decode(errors="replace")
            except BrokenPipeError:
                # Some was overwritten.
                pass
            except BlockingIOError:
                return

    def has_destroyed(self, what, limit=PATIENCE):
        """Is a peer, or an interface, freed in that many seconds?"""
        end = time.monotonic() + limit
        while not any(f": {what} " in line and "destroyed" in line for line in self.lines()):
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True


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
    if os.environ["WG_DRIVER"] == "rust":
        tap.ok("a peer that is removed: something was left of it", lingered)

    def goes_too(wrong):
        absent()
        return None if log.has_destroyed("Interface") else "the device is not freed"

    sweep("a peer, and then the device", two_peers, lambda run: run(), goes_too)


def main():
    # Whatever Python itself asks for must not count.
    gc.disable()
    parts = (module, device, configuration, leftovers)
    {part.__name__: part for part in parts}[sys.argv[1]]()


main()
