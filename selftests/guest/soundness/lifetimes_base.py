# SPDX-License-Identifier: GPL-2.0
"""What lifetimes.py asks the kernel for: namespaces, links, addresses and routes,
its log, and that allocations fail."""

import contextlib
import os
import socket
import statistics
import struct
import sys
import threading
import time

import wgnl
from wgnl import F_ACK, F_CREATE, F_REQUEST, attr, nest, parse, text, u32

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_NEWADDR, RTM_NEWROUTE = 16, 17, 18, 20, 24
RTM_NEWNSID, RTM_DELNSID = 88, 89
RTNLGRP_LINK, RTNLGRP_NSID, NETLINK_ADD_MEMBERSHIP = 1, 28, 1
IFLA_IFNAME, IFLA_LINKINFO, IFLA_STATS64, IFLA_NET_NS_FD = 3, 18, 23, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFA_ADDRESS, IFA_LOCAL, IFA_F_NODAD = 1, 2, 2
RTA_DST, RTA_OIF, RTA_GATEWAY, RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST = 1, 4, 5, 254, 3, 1
NETNSA_NSID, NETNSA_FD = 1, 3
F_EXCL, IFF_UP = 0x200, 1

PATIENCE = int(os.environ.get("PATIENCE", "60"))


def transformations(kind):
    """Lines for `ip -batch`: the states of both sides, and the policy of a."""
    ends = ("10.1.0.1", "10.2.0.1") if kind.endswith("4") else ("fd01::1", "fd02::1")
    ends = "src {} dst {}".format(*ends)
    states = (
        f"xfrm state add {ends} proto esp spi 0x100 mode transport"
        " enc cbc(aes) 0x000102030405060708090a0b0c0d0e0f"
        " auth hmac(sha256) 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
    )
    return states, f"xfrm policy add {ends} dir out tmpl {ends} proto esp mode transport\n"


def eventually(what, *arguments):
    """Waits until it is true."""
    until = time.monotonic() + PATIENCE
    while not what(*arguments):
        if time.monotonic() > until:
            raise TimeoutError(what.__doc__)
        time.sleep(0.02)


def busy():
    """How many seconds CPUs have worked until now."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, hard, soft = map(int, file.readline().split()[1:8])
    return (user + nice + system + hard + soft) / os.sysconf("SC_CLK_TCK")


def milliseconds(values):
    return f"{1000 * statistics.median(values):.1f} ms, {1000 * max(values):.1f} at most" if values else "?"


class Space:
    """A network namespace, which something else keeps or which lives as long as it is open."""

    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def __init__(self, path=None):
        if path:
            self.fd = os.open(path, os.O_RDONLY)
            return
        os.unshare(os.CLONE_NEWNET)
        try:
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        finally:
            os.setns(self.home, os.CLONE_NEWNET)

    def close(self):
        os.close(self.fd)

    @contextlib.contextmanager
    def inside(self):
        """This thread is in it, and what it opens or starts."""
        os.setns(self.fd, os.CLONE_NEWNET)
        try:
            yield
        finally:
            os.setns(self.home, os.CLONE_NEWNET)

    def read(self, name):
        """A file below /proc/net."""
        with self.inside(), open(f"/proc/thread-self/net/{name}", encoding="ascii") as file:
            return file.read()

    def write(self, name, value):
        """A file below /proc/sys/net."""
        with self.inside(), open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
            file.write(value)


def link_body(index=0, flags=0, change=0):
    return struct.pack("=BxHiII", 0, 0, index, flags, change)


class Route(wgnl.Netlink):
    """rtnetlink in a namespace."""

    def __init__(self, space):
        with space.inside():
            super().__init__(wgnl.NETLINK_ROUTE)

    def ask(self, kind, body, flags=0):
        return self.talk(kind, F_REQUEST | F_ACK | flags, body)

    def received(self, name):
        """How many packets a link has received."""
        (reply,) = self.ask(RTM_GETLINK, link_body() + text(IFLA_IFNAME, name))
        return struct.unpack_from("=Q", wgnl.flat(parse(reply.body[16:]))[IFLA_STATS64])[0]

    def add_wireguard(self, index, name, space=None):
        """A device that has its sockets here, and is here or in another namespace."""
        body = link_body(index) + text(IFLA_IFNAME, name)
        body += nest(IFLA_LINKINFO, text(IFLA_INFO_KIND, "wireguard"))
        if space:
            body += u32(IFLA_NET_NS_FD, space.fd)
        self.ask(RTM_NEWLINK, body, F_CREATE | F_EXCL)

    def add_veth(self, index, name, space, peer):
        """A cable to eth0 of another namespace, with the numbers of both ends; this one is up."""
        end = link_body(peer) + text(IFLA_IFNAME, "eth0") + u32(IFLA_NET_NS_FD, space.fd)
        end = nest(IFLA_INFO_DATA, attr(VETH_INFO_PEER, end))
        info = nest(IFLA_LINKINFO, text(IFLA_INFO_KIND, "veth"), end)
        self.ask(RTM_NEWLINK, link_body(index) + text(IFLA_IFNAME, name) + info, F_CREATE | F_EXCL)
        self.set_up(index)

    def set_up(self, index, up=True):
        self.ask(RTM_NEWLINK, link_body(index, IFF_UP if up else 0, IFF_UP))

    def move(self, index, space):
        self.ask(RTM_NEWLINK, link_body(index) + u32(IFLA_NET_NS_FD, space.fd))

    def delete(self, name):
        self.ask(RTM_DELLINK, link_body() + text(IFLA_IFNAME, name))

    def add_address(self, index, address, length):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        packed = socket.inet_pton(family, address)
        flags = IFA_F_NODAD if family == socket.AF_INET6 else 0
        body = struct.pack("=BBBBi", family, length, flags, 0, index)
        body += attr(IFA_LOCAL, packed) + attr(IFA_ADDRESS, packed)
        self.ask(RTM_NEWADDR, body, F_CREATE | F_EXCL)

    def add_route(self, index, gateway, destination=None, length=0):
        """One to some addresses, or all."""
        family = socket.AF_INET6 if ":" in gateway else socket.AF_INET
        head = family, length, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0
        body = struct.pack("=BBBBBBBBI", *head)
        if destination:
            body += attr(RTA_DST, socket.inet_pton(family, destination))
        body += u32(RTA_OIF, index) + attr(RTA_GATEWAY, socket.inet_pton(family, gateway))
        self.ask(RTM_NEWROUTE, body, F_CREATE | F_EXCL)

    def name_space(self, space):
        """Gives another namespace a number here, so that its end is told."""
        number = u32(NETNSA_NSID, -1)
        self.ask(RTM_NEWNSID, struct.pack("=B3x", 0) + number + u32(NETNSA_FD, space.fd))


class Ends(Route):
    """What is told in a namespace of the ends of others."""

    def __init__(self, space):
        super().__init__(space)
        for group in RTNLGRP_LINK, RTNLGRP_NSID:
            self.socket.setsockopt(wgnl.SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        self.socket.settimeout(PATIENCE)

    def forget(self):
        """What has been told until now."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.recv(1)
        self.socket.settimeout(PATIENCE)

    def gone(self, index):
        """Waits until a link has gone; when the exit of a namespace began and when that was, or None."""
        began = None
        while True:
            for message in self.receive(65536):
                if message.kind == RTM_DELNSID and began is None:
                    began = time.monotonic()
                if message.kind == RTM_DELLINK and struct.unpack_from("=4xi", message.body)[0] == index:
                    return began, time.monotonic()


class Echo:
    """Echo requests to one address, from one namespace or one link in it."""

    def __init__(self, space, address, link=None):
        with space.inside():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        if link:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
        self.address = address
        self.count = 0

    def close(self):
        self.socket.close()

    def send(self, size=56):
        """One request, whether or not it can be sent."""
        self.count = self.count + 1 & 0xFFFF
        body = struct.pack("!HH", os.getpid() & 0xFFFF, self.count) + bytes(size)
        total = 0x0800 + sum(struct.unpack(f"!{len(body) // 2}H", body))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        with contextlib.suppress(OSError):
            self.socket.sendto(struct.pack("!BBH", 8, 0, ~total & 0xFFFF) + body, (self.address, 0))

    def answered(self, seconds):
        """Whether the last request is answered in time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(2048)
            except OSError:
                return False
            if data[20] == 0 and data[26:28] == struct.pack("!H", self.count):
                return True
        return False

    def reaches(self, size=56):
        """One is answered, sooner or later."""
        until = time.monotonic() + PATIENCE
        wait = 0.02
        while time.monotonic() < until:
            self.send(size)
            if self.answered(wait):
                return
            wait = min(2 * wait, 1)
        raise TimeoutError(f"{self.address} does not answer")


class Meanwhile(threading.Thread):
    """A request that is under way when the end comes. Its error may be one of those that are excused."""

    def __init__(self, *call, excused=(), long=False):
        super().__init__(daemon=True)
        self.call, self.excused, self.long, self.error = call, excused, long, None
        self.begun, self.over = time.monotonic(), 0
        self.start()

    def run(self):
        try:
            self.call[0](*self.call[1:])
        except wgnl.Answer as answer:
            self.error = answer
        self.over = time.monotonic()

    def wait(self):
        self.join(PATIENCE)
        if self.is_alive():
            raise TimeoutError("a request that was under way does not come to its end")
        if self.error and self.error.errno not in self.excused:
            raise self.error


class NoMemory:
    """With it, allocations of the driver fail, of which there must be some."""

    directory = "/sys/kernel/debug/failslab/"
    plenty = 1000000

    def set(self, name, value):
        with open(self.directory + name, "w", encoding="ascii") as file:
            file.write(f"{value}\n")

    def __enter__(self):
        self.set("times", self.plenty)
        self.set("probability", 100)

    def __exit__(self, kind, *_):
        self.set("probability", 0)
        with open(self.directory + "times", encoding="ascii") as file:
            failed = self.plenty - int(file.read())
        if not failed and not kind:
            raise ValueError("nothing asked for memory")


class Log:
    """The kernel's log from now on."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def read(self):
        """The lines that were not read yet."""
        lines = []
        while True:
            try:
                record = os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return lines
            except BrokenPipeError:
                lines.append("BUG: the log has gone on before it was read")
                continue
            lines.append(record.partition(";")[2].partition("\n")[0])


def report(good, what, *explanation):
    """A result for `adopt` of lib.sh."""
    print("ok" if good else "not ok", "-", what)
    for line in explanation:
        print(line)
    sys.stdout.flush()
