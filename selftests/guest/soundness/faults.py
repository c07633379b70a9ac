#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Requests during which one allocation after the other fails. Runs inside faults.sh."""

import ctypes
import errno
import gc
import os
import socket
import subprocess
import sys
import time

import tap
from faults_base import (
    MOVED,
    NAME,
    NINE,
    absent,
    add,
    clear,
    configure,
    delete,
    exists,
    is_open,
    judge,
    present,
    public,
    request,
    shown,
    sweep,
    up,
)
from wgnl import (
    F_DUMP_INTR,
    AllowedIp,
    Answer,
    Device,
    Peer,
    WireGuard,
    allowed_ips,
    attr,
    dump_peers,
    endpoint4,
    peers,
    prefix,
    prefixes,
    text,
    u32,
)

FINIT_MODULE, DELETE_MODULE = 313, 176

PATIENCE = float(os.environ.get("PATIENCE", 60))

libc = ctypes.CDLL(None, use_errno=True)

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
