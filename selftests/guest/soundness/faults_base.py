# SPDX-License-Identifier: GPL-2.0
"""How faults.py has allocations fail, and the device that it does it to."""

import errno
import os
import socket
import struct

import tap
from wgnl import (
    F_ACK,
    F_CREATE,
    F_REQUEST,
    NETLINK_ROUTE,
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
STEP = int(os.environ.get("WG_FAULTS", 1))
# More allocations than any request makes.
LIMIT = 5000
# What a request may be refused with when there is no memory; the last is for sockets.
REFUSALS = (errno.ENOMEM, errno.ENOBUFS, errno.ENFILE)

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
    problems, refused, number = [], 0, 1
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
