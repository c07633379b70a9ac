# SPDX-License-Identifier: GPL-2.0
"""Traffic between all devices of a mesh, of both families, in datagrams of all sizes and by TCP, for
soak.py. One process of its own, which pauses when it is asked to."""

import mmap
import random
import selectors
import socket
import struct
import time
from contextlib import suppress

from background import Background
from soak_mesh import Inside

UDP_PORT, TCP_PORT = 7001, 7002
SIZES = 20, 200, 1000, 1390, 4000
STREAMS = 1000, 20000, 150000
# Rounds a second, datagrams in each, connections at a time and seconds that one of them may take.
ROUNDS, EACH, CONNECTIONS, PATIENCE = 20, 12, 6, 4
FORGET = struct.pack("ii", 1, 0)
# What is shared with the process that asks for a pause.
WANTED, PAUSED, COUNTS = 0, 1, 8


class Stream:
    """An end of a connection: the first four bytes say how many come, and one byte comes back."""

    def __init__(self, sock, size):
        self.sock, self.left, self.header = sock, size, b""
        self.end = time.monotonic() + PATIENCE
        sock.setblocking(False)
        # Nothing of it stays when it is closed.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, FORGET)


class Traffic:
    def __init__(self, spaces, addresses, seed, shared):
        self.addresses, self.shared = addresses, shared
        self.chance = random.Random(seed)
        self.selector = selectors.DefaultSelector()
        self.spaces, self.udp = spaces, []
        self.clients, self.servers = set(), set()
        self.datagrams = self.streams = self.broken = 0
        for space in spaces:
            with Inside(space):
                pair = []
                for family in socket.AF_INET, socket.AF_INET6:
                    pair.append(self.listen(family, socket.SOCK_DGRAM, UDP_PORT, self.echo))
                    self.listen(family, socket.SOCK_STREAM, TCP_PORT, self.accept)
                self.udp.append(pair)

    def listen(self, family, kind, port, handler):
        sock = socket.socket(family, kind)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("", port))
        sock.setblocking(False)
        if kind == socket.SOCK_STREAM:
            sock.listen(16)
        self.selector.register(sock, selectors.EVENT_READ, (handler, sock))
        return sock

    def echo(self, sock, _):
        with suppress(OSError):
            for _ in range(16):
                data, sender = sock.recvfrom(65536)
                self.datagrams += 1
                if data[0] and self.chance.random() < 0.5:
                    sock.sendto(b"\0" + data[1:], sender[:2])

    def accept(self, sock, _):
        with suppress(OSError):
            accepted, _ = sock.accept()
            stream = Stream(accepted, None)
            self.servers.add(stream)
            self.selector.register(accepted, selectors.EVENT_READ, (self.drain, stream))

    def drain(self, stream, _):
        try:
            data = stream.sock.recv(1 << 17)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close(self.servers, stream)
            return
        if stream.left is None:
            stream.header += data
            if len(stream.header) < 4:
                return
            (stream.left,) = struct.unpack_from("!I", stream.header)
            data, stream.header = stream.header[4:], b""
        stream.left -= len(data)
        if stream.left <= 0:
            with suppress(OSError):
                stream.sock.send(b"k")

    def fill(self, stream, events):
        try:
            if events & selectors.EVENT_READ and stream.sock.recv(1):
                self.streams += 1
                self.close(self.clients, stream)
                return
            if events & selectors.EVENT_WRITE:
                stream.header = stream.header[stream.sock.send(stream.header) :]
                if not stream.header:
                    self.selector.modify(
                        stream.sock, selectors.EVENT_READ, (self.fill, stream)
                    )
        except BlockingIOError:
            pass
        except OSError:
            self.broken += 1
            self.close(self.clients, stream)

    def close(self, ends, stream):
        self.selector.unregister(stream.sock)
        stream.sock.close()
        ends.discard(stream)

    def begin(self, source, target, family):
        """A connection."""
        with Inside(self.spaces[source]):
            sock = socket.socket(family, socket.SOCK_STREAM)
        size = self.chance.choice(STREAMS)
        stream = Stream(sock, size)
        stream.header = struct.pack("!I", size) + bytes(size)
        try:
            sock.connect((self.addresses[target][family == socket.AF_INET6], TCP_PORT))
        except BlockingIOError:
            pass
        except OSError:
            sock.close()
            return
        self.clients.add(stream)
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        self.selector.register(sock, both, (self.fill, stream))

    def two(self):
        source, target = self.chance.sample(range(len(self.spaces)), 2)
        return source, target, self.chance.choice((socket.AF_INET, socket.AF_INET6))

    def round(self):
        for _ in range(EACH):
            source, target, family = self.two()
            six = family == socket.AF_INET6
            data = b"\1" * self.chance.choice(SIZES)
            with suppress(OSError):
                self.udp[source][six].sendto(data, (self.addresses[target][six], UDP_PORT))
        if len(self.clients) < CONNECTIONS:
            self.begin(*self.two())

    def serve(self, until):
        while True:
            left = until - time.monotonic()
            for key, events in self.selector.select(max(left, 0)):
                handler, what = key.data
                handler(what, events)
            if left <= 0:
                break
        for ends in self.clients, self.servers:
            for stream in [one for one in ends if one.end < until]:
                self.broken += ends is self.clients
                self.close(ends, stream)

    def pause(self):
        """Until nobody wants it any more; nothing of a connection is left."""
        for ends in self.clients, self.servers:
            for stream in list(ends):
                self.close(ends, stream)
        self.serve(time.monotonic() + 0.2)
        self.shared[PAUSED] = 1
        while self.shared[WANTED]:
            self.serve(time.monotonic() + 0.05)
        self.shared[PAUSED] = 0

    def run(self):
        while True:
            if self.shared[WANTED]:
                self.pause()
            begin = time.monotonic()
            self.round()
            self.serve(begin + 1 / ROUNDS)
            struct.pack_into(
                "QQQ", self.shared, COUNTS, self.datagrams, self.streams, self.broken
            )


def run(tap, *arguments):
    # Or its sockets would keep namespaces.
    tap.close()
    Traffic(*arguments).run()


class Running(Background):
    """The traffic, from the point of view of the one that has begun it."""

    def __init__(self, mesh, seed):
        self.shared = mmap.mmap(-1, 4096)
        spaces = [node.space for node in mesh.nodes]
        addresses = [(node.address4(), node.address6()) for node in mesh.nodes]
        super().__init__("traffic", run, mesh.tap, spaces, addresses, seed, self.shared)

    def pause(self):
        self.shared[WANTED] = 1
        while not self.shared[PAUSED]:
            time.sleep(0.02)

    def resume(self):
        self.shared[WANTED] = 0
        while self.shared[PAUSED]:
            time.sleep(0.02)

    def counts(self):
        """Datagrams that arrived, connections that were used to the end, and others."""
        return struct.unpack_from("QQQ", self.shared, COUNTS)
