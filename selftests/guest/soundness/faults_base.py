# SPDX-License-Identifier: GPL-2.0
"""How faults.py has allocations fail, and the device to which it does."""

import contextlib
import errno
import os
import random
import socket
import struct
import time

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
    flat,
    key,
    nest,
    peers,
    prefix,
    prefixes,
    text,
    u16,
    u32,
)

NEWLINK, DELLINK, GETLINK, F_EXCL = 16, 17, 18, 0x200
IFNAME, MTU, LINKINFO, NET_NS_FD, INFO_KIND, UP = 3, 4, 18, 28, 1, 1
# How far it is from one number to the next, on average and at most; and what they are drawn with.
STEP = int(os.environ.get("WG_FAULTS", 1))
SEED = int(os.environ.get("WG_SEED", 0)) or random.randrange(1, 1 << 32)
PATIENCE = float(os.environ.get("PATIENCE", 60))
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


class WorkersFaults:
    """Has it fail one allocation of each worker of the workqueues that there is now.

    Whoever uses this sees to it that only those of the driver count.
    """

    PROCESSES = os.environ.get("WG_ALL_PROCESSES", "/proc")

    def each(self):
        """The files of all workers."""
        for pid in filter(str.isdigit, os.listdir(self.PROCESSES)):
            try:
                with open(f"{self.PROCESSES}/{pid}/comm") as comm:
                    if not comm.read().startswith("kworker/"):
                        continue
                yield os.open(f"{self.PROCESSES}/{pid}/fail-nth", os.O_RDWR)
            except (FileNotFoundError, ProcessLookupError):
                # It has ended.
                pass

    def run(self, number, action):
        workers = list(self.each())
        for worker in workers:
            os.pwrite(worker, b"%d" % number, 0)
        wrong, failed = None, False
        try:
            action()
        except (Answer, OSError) as error:
            wrong = error.errno or errno.ETIMEDOUT
        for worker in workers:
            try:
                failed |= int(os.pread(worker, 16, 0).strip(b"\n\0")) == 0
                os.pwrite(worker, b"0", 0)
            except ProcessLookupError:
                pass
            os.close(worker)
        return wrong, failed


def sweep(what, prepare, action, look, also=(), refuses=True, mattered=True, faults=None):
    """Fails each allocation of an action in turn, up to a time when it makes no more.

    `prepare` returns what `action` gets, and is done before each; `look` says what is wrong then.
    `also` are further errors that it may end with. One that does not refuse must not fail, and one for
    which memory does not matter need not.
    """
    faults = faults or Faults()
    chosen = random.Random(f"{SEED} {what}")
    problems, refused, number, tried = [], 0, chosen.randint(1, min(STEP, 8)), 0
    while number < LIMIT:
        given = prepare()
        wrong, failed = faults.run(number, lambda: action(given))
        tried += 1
        refused += wrong is not None
        problem = look(wrong)
        if wrong not in ((None,) if not refuses else REFUSALS + also + (None,)):
            problem = f"errno {wrong}: {problem}"
        if problem:
            problems.append(f"allocation {number}, errno {wrong}: {problem}")
        if not failed:
            break
        number += chosen.randint(1, 2 * min(STEP, number) - 1)
    tap.ok(f"{what}: it fails cleanly or works", not problems, *problems[:20])
    tap.ok(f"{what}: in the end it works", not failed and wrong is None, f"errno {wrong}")
    if STEP == 1:
        tap.ok(f"{what}: memory mattered", refused > 0 or not (refuses and mattered))
        tap.ok(f"{what}: some was asked for", number > 1)
    tap.note(f"{what}: {tried} of about {number} allocations, {refused} refusals")


def link(kind, flags, attributes=b"", state=0, change=0, index=0):
    netlink = Netlink(NETLINK_ROUTE)
    netlink.socket.settimeout(5)
    body = struct.pack("=BxHiII", 0, 0, index, state, change) + attributes
    return lambda: netlink.talk(kind, F_REQUEST | F_ACK | flags, body)


def add(name=NAME):
    kind = nest(LINKINFO, text(INFO_KIND, "wireguard"))
    return link(NEWLINK, F_CREATE | F_EXCL, text(IFNAME, name) + kind)


def delete(name=NAME):
    return link(DELLINK, 0, text(IFNAME, name))


def up(state=UP, name=NAME):
    return link(NEWLINK, 0, text(IFNAME, name), state, UP)


def move(space, name=NAME):
    """To the namespace that is open as `space`."""
    return link(NEWLINK, 0, text(IFNAME, name) + u32(NET_NS_FD, space))


def exists(name=NAME):
    try:
        return socket.if_nametoindex(name) != 0
    except OSError:
        return False


def namespace():
    """The namespace that this thread is in, held open."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


@contextlib.contextmanager
def within(space):
    """In another namespace that is held open."""
    home = namespace()
    os.setns(space, os.CLONE_NEWNET)
    try:
        yield
    finally:
        os.setns(home, os.CLONE_NEWNET)
        os.close(home)


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


def request(values=None, each=b"", name=NAME):
    """A SET."""
    netlink = WireGuard()
    netlink.socket.settimeout(5)
    body = text(Device.IFNAME, name)
    for kind, value in (values or {}).items():
        body += u16(kind, value) if kind == Device.LISTEN_PORT else u32(kind, value)
    return lambda: netlink.set(body + each)


def configure(lists, replace=False, name=NAME):
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
        name=name,
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


def shown_device():
    """The attributes of the device itself."""
    netlink = WireGuard()
    first, *_ = netlink.get(text(Device.IFNAME, NAME))
    netlink.close()
    return flat(first.attributes())


def clear():
    request({Device.FLAGS: Device.F_REPLACE_PEERS})()


def mapping(shown_ones=()):
    """What is wrong between the list of a peer and the table that packets are looked up in.

    All is given to one peer: each of the others loses what the table says was its own.
    """
    everything = sorted({*shown_ones, *(one for each in NINE for one in each)})
    request(each=peers(public(99) + allowed_ips(*map(prefix, everything))))()
    after = shown()
    if sorted(after.get(99, ())) != everything:
        return "the last peer does not have all"
    left = {number: rest for number, rest in after.items() if rest and number != 99}
    if left:
        return f"somebody kept what was taken away: {left}"
    # Whoever is shown can be named.
    request(each=peers(*(public(number) + u32(Peer.FLAGS, Peer.F_REMOVE_ME) for number in after)))()
    left = shown()
    return f"somebody cannot be removed: {left}" if left else None


def progress(before, steps):
    """How peers and allowed IPs look after each of the steps of a request, in the order of the request.

    A step is what is done, the number of the peer, and the allowed IP.
    """
    now = {number: list(each) for number, each in before.items()}
    yield {number: sorted(each) for number, each in now.items()}
    for what, number, one in steps:
        if what == "clear":
            now.clear()
        elif what == "remove":
            now.pop(number, None)
        elif what == "add":
            now.setdefault(number, [])
        elif what == "replace":
            now[number] = []
        elif what in ("allow", "take"):
            for each in now.values():
                if one in each:
                    each.remove(one)
            if what == "allow":
                now[number].append(one)
        yield {number: sorted(each) for number, each in now.items()}


def adding(lists, replace=False):
    """The steps of `configure()`."""
    for number, each in enumerate(lists):
        yield "add", number, None
        if replace:
            yield "replace", number, None
        for one in each:
            yield "allow", number, one


def judge(wrong, before, steps):
    """All must be as after the last step, or with an error as after one of them."""
    found = {number: sorted(each) for number, each in shown().items()}
    states = list(progress(before, steps))
    if found not in (states if wrong is not None else states[-1:]):
        return f"shown: {found}"
    return mapping(one for each in found.values() for one in each)


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
