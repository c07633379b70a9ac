# SPDX-License-Identifier: GPL-2.0
"""What goes on beside the actions of `actions`: traffic through the tunnel, and programs that plans start."""

import contextlib
import ctypes
import errno
import os
import random
import signal
import socket
import struct
import sys
import time

import nonces
from actions_world import INNER, other
from verdicts import Verdicts

PORT = 5003
UDP_SEGMENT = 103
SO_RCVBUFFORCE = 33
# Number, length, and a pattern that the number says where to begin.
HEAD = struct.Struct("!QH")
PATTERN = random.Random("pattern").randbytes(1 << 16)
# What a socket may say of a way that random actions have barred or bent.
EXPECTED = {
    errno.EACCES,
    errno.EADDRNOTAVAIL,
    errno.EAGAIN,
    errno.ECONNREFUSED,
    errno.EDESTADDRREQ,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EINVAL,
    errno.EIO,
    errno.EMSGSIZE,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENOBUFS,
    errno.ENODEV,
    errno.ENOKEY,
    errno.ENONET,
    errno.ENXIO,
    errno.EPERM,
    errno.EPROTO,
}
# What programs may be told when they begin.
REFUSED = EXPECTED | {errno.EADDRINUSE, errno.EBUSY, errno.EEXIST, errno.ENOENT, errno.EOPNOTSUPP, errno.ENOSYS}

libc = ctypes.CDLL(None)


def expected(number):
    start = number * 7919 % (len(PATTERN) - 1500)
    return PATTERN[start : start + 1500]


def datagram(number, length):
    return HEAD.pack(number, length) + expected(number)[: length - HEAD.size]


def intact(data):
    number, length = HEAD.unpack_from(data)
    return len(data) == length and data[HEAD.size :] == expected(number)[: length - HEAD.size]


def request(family, number):
    """One for an echo. The kernel makes the sum for IPv6."""
    head = struct.pack("!BBHHH", 8 if family == socket.AF_INET else 128, 0, 0, 0x5747, number & 0xFFFF)
    total = sum(struct.unpack("!4H", head))
    if family == socket.AF_INET:
        head = head[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[4:]
    return head + bytes(700)


def send(report, side, pause):
    """Datagrams of both families, one by one and many at once, and echo requests."""
    rnd, count, unexpected = random.Random(side), 0, set()
    socks = []
    icmp = (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6)
    for family, protocol, to in zip((socket.AF_INET, socket.AF_INET6), icmp, INNER[other(side)]):
        sock, echo = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_RAW, protocol)
        for one in sock, echo:
            one.setblocking(False)
        socks.append((sock, echo, (to, PORT)))
    while True:
        sock, echo, to = rnd.choice(socks)
        length, many = rnd.choice((20, 200, 1000, 1372)), rnd.choice((1, 1, 3, 20, 40))
        with_gso = rnd.random() < 0.6
        parts = [datagram(count + number, length) for number in range(many)]
        count += many
        try:
            if rnd.random() < 0.3:
                echo.sendto(request(echo.family, count), (to[0], 0))
            if with_gso:
                sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, length)
                sock.sendto(b"".join(parts), to)
                parts = []
            sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
            for part in parts:
                sock.sendto(part, to)
        except OSError as error:
            if error.errno not in EXPECTED | unexpected:
                unexpected.add(error.errno)
                report("wrong", f"sending from {side}: {error}")
        time.sleep(pause)


def receive(report, side):
    """What arrives is what was sent."""
    socks = []
    for family in socket.AF_INET, socket.AF_INET6:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)
        sock.bind(("", PORT))
        sock.settimeout(0.1)
        socks.append(sock)
    total = bad = 0
    while True:
        for sock in socks:
            with contextlib.suppress(OSError):
                while True:
                    if not intact(sock.recv(65536)) and not bad:
                        bad = 1
                        report("wrong", f"what {side} has received is not what was sent")
                    total += 1
                    if total % 100 == 0:
                        report("received", side, 100)


class Beside:
    """A process that ends with its parent, and is where it is to be."""

    def __init__(self, world, space, run, *arguments):
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid:
            return
        libc.prctl(1, signal.SIGKILL)
        if os.getppid() != parent:
            # That has ended before it could be told.
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            world.enter(space)
            run(*arguments)
        except BaseException as error:  # pylint: disable=broad-except
            print(f"not ok - {run.__name__}: {error!r}", file=sys.stderr, flush=True)
        finally:
            os._exit(0)

    def end(self):
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def program(*words):
    """One that takes the place of this process, and whose output nobody reads."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.execvp(words[0], words)


def traffic(world, report, pause):
    """All that goes through the tunnel, as processes."""
    out = []
    for side in "ab":
        peer = INNER[other(side)]
        out.append(Beside(world, side, send, report, side, pause))
        out.append(Beside(world, side, receive, report, side))
        # Both ends of TCP, which begin anew when nothing moves.
        bulk = os.path.join(os.environ["LIB"], "bulk.py")
        os.environ["WG_BULK_PAUSE"] = str(5 * pause)
        out.append(Beside(world, side, program, "python3", bulk, INNER[side][0], peer[0]))
    return out


# What plans start ---------------------------------------------------------------------------------


def hold(family, port, reuse):
    """UDP sockets that have a port."""
    socks = []
    for one in {"4": "4", "6": "6", "46": "46"}[family]:
        sock = socket.socket(socket.AF_INET if one == "4" else socket.AF_INET6, socket.SOCK_DGRAM)
        if one == "6":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if int(reuse):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", int(port)))
        socks.append(sock)
    signal.pause()


def tap(device):
    """Sees what a device sends and receives."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as sock:
        sock.bind((device, 3))
        while True:
            sock.recv(65536)


def raw(_device):
    """Sees all UDP of the namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as sock:
        while True:
            sock.recv(65536)


def greet(to):
    """Sends to an address, whatever is said of that."""
    with nonces.scripted(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        while True:
            with contextlib.suppress(OSError):
                sock.sendto(b"greetings", (to, 9))
            time.sleep(0.01)


def verdicts(number):
    """Lets packets of a queue pass, one after the other, but for a few."""
    queue = Verdicts(int(number))
    queue.socket.settimeout(None)
    while True:
        for one in queue.take(1):
            if one % 7:
                queue.accept(one)


def snapshot():
    """As a program that is to write the image of a hibernated machine."""
    with open("/dev/snapshot", "rb"):
        signal.pause()


def tcx(device):
    program("python3", os.path.join(os.environ["LIB"], "../guest/underlay/tcx.py"), device)


PROGRAMS = {one.__name__: one for one in (hold, tap, raw, greet, verdicts, snapshot, tcx)}


def started(report, what, *arguments):
    """One of them; what it may be told is told, and all else is wrong."""
    try:
        PROGRAMS[what](*arguments)
    except OSError as error:
        if error.errno not in REFUSED:
            report("wrong", f"{what} {' '.join(arguments)}: {error}")
