#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Streams of netlink requests, right ones and broken ones, by a seed. Runs inside requests.sh.

    requests.py alone SEED MESSAGES TRANSCRIPT	one after another, against a model
    requests.py beside SEED MESSAGES		several processes at once

Of `alone`, each answer and each dump has to be what the model says; the transcript is to be compared
with that of another driver. Beside each other, what must hold is that the devices can still be
configured and shown afterwards.
"""

import gzip
import os
import random
import socket
import struct
import sys
import time
import zlib

import tap
from requests_grammar import KEYS, Grammar
from requests_links import NAMES, Links
from requests_model import EADDRINUSE, OK, PORTS_TAKEN, Kernel, Model, public_of, read
from wgnl import (
    NLMSG_DONE,
    NLMSG_ERROR,
    Answer,
    Device,
    Message,
    Peer,
    WireGuard,
    allowed_ips,
    attr,
    endpoint4,
    peers,
    prefix,
    text,
    u16,
    u32,
)

SO_RCVBUFFORCE = 33
BATCH = 16
PROCESSES = 5
DEVICES = NAMES[:2]
# A dump is compared with the model after as many datagrams, and afterwards all begins anew.
COMPARE, ANEW = 8, 400


class Difference(Exception):
    """What happened is not what was to happen."""


class Stream:
    """A process that sends requests."""

    def __init__(self, seed):
        self.rnd = random.Random(seed)
        self.wireguard = WireGuard()
        self.wireguard.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
        self.names = [(name, 0) for name in DEVICES]
        self.grammar = Grammar(self.rnd, self.names)
        self.links = Links(self.grammar)
        self.count = 0

    def answers(self):
        """All that has come, as messages."""
        out = []
        # It does not block, since Python's time-out is not the kernel's.
        number = self.wireguard.socket.fileno()
        while True:
            try:
                data = os.read(number, 65536)
            except BlockingIOError:
                return out
            while len(data) >= 16:
                length, kind, flags, seq, _ = struct.unpack_from("=IHHII", data)
                out.append(Message(kind, flags, seq, data[16:length]))
                data = data[length + 3 & ~3 :]

    def batch(self):
        """Some messages of one datagram."""
        many = self.rnd.choice((1, 1, 2, 4, BATCH, BATCH))
        parts = []
        for _ in range(many):
            self.count += 1
            parts.append(self.grammar.message(self.wireguard.family, self.count))
        return b"".join(parts)[:200000]

    def make(self):
        """Devices that there must be, by number."""
        there = {one[1]: one for one in self.links.all()}
        for name in DEVICES:
            if name not in there:
                self.links.add(name)
        there = {one[1]: one for one in self.links.all()}
        self.names[:] = [(name, there[name][0]) for name in DEVICES if name in there]
        if not self.names:
            self.names.append((DEVICES[0], 0))
        return there


class Alone(Stream):
    """The only one, so that what it says is known."""

    def __init__(self, seed, transcript):
        super().__init__(seed)
        self.transcript = transcript
        self.busy = [socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)]
        self.busy[1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for one in self.busy:
            one.bind(("", PORTS_TAKEN[0]))
        self.kernel = Kernel(self.wireguard.family, PORTS_TAKEN)
        self.refused = {}
        # Its dumps come in many parts, since it has not asked for more at a time.
        self.reader = WireGuard()

    def say(self, *what):
        self.transcript.write(" ".join(map(str, what)) + "\n")

    def differs(self, what, got, wanted, cause=b""):
        if got != wanted:
            raise Difference(f"{what}\nwanted: {wanted}\ngot:    {got}\nby:     {cause.hex()}")

    def follow(self):
        """Takes over from the kernel which links there are."""
        there = self.make()
        for _ in range(3):
            extra = [one for one in there.values() if one[3] == "wireguard" and one[1] not in NAMES]
            for one in extra:
                self.links.delete(one[0])
            if not extra:
                break
        there = {one[1]: one for one in self.links.all()}
        self.say("links", *sorted(one[1:] for one in there.values()))
        devices = {}
        for name, one in there.items():
            if one[3] != "wireguard":
                continue
            known = self.kernel.devices.get(one[0]) or Model(name, one[0])
            known.name = name
            if one[2] and not known.up and not known.port:
                known.port = None
            known.up = one[2]
            devices[one[0]] = known
        self.kernel.devices = devices
        self.kernel.others = {one[0]: name for name, one in there.items() if one[3] != "wireguard"}
        self.names[:] = [(one.name, one.index) for one in devices.values()]

    def requests(self):
        """A datagram of requests, and each answer to it."""
        buffer = self.batch()
        ports = {index: one.port for index, one in self.kernel.devices.items()}
        wanted = self.kernel.answers(buffer)
        self.wireguard.socket.send(buffer)
        got = [(one.seq, one.error()) for one in self.answers() if one.kind == NLMSG_ERROR]
        self.differs("answers", [(seq, error) for seq, (error, _) in got], wanted, buffer)
        for seq, (error, words) in got:
            self.refused[error] = self.refused.get(error, 0) + 1
            self.say(seq, error, words)
        for index, one in self.kernel.devices.items():
            if one.port is None and ports[index] is not None:
                self.learn(one)

    def learn(self, one):
        """Which port the kernel has chosen is not the same every time."""
        port = self.dump(u32(Device.IFINDEX, one.index))[0]
        self.differs("a port of the kernel's choice", bool(port), one.up)

    def dump(self, request):
        return read(self.reader.get(request))

    def show(self, index):
        """A whole dump against the model."""
        got, wanted = self.dump(u32(Device.IFINDEX, index)), self.kernel.devices[index].seen()
        if wanted[0] is None and got[0]:
            got = (None, *got[1:])
        self.differs(f"device {index}", got, wanted)
        self.say("device", index, zlib.crc32(repr(got).encode()))

    def ask(self):
        """A dump whose request may be wrong."""
        self.count += 1
        request = self.grammar.get()
        body = self.wireguard.body(0, request)
        message = struct.pack("=IHHII", len(body) + 16, self.wireguard.family, 0x305, 0, 0) + body
        ((_, wanted),) = self.kernel.answers(message)
        try:
            self.dump(request)
            got = -1
        except Answer as answer:
            got = answer.errno
        self.differs("a dump", got, wanted, request)
        self.say("dump", got)

    def leave(self):
        """A dump that is begun, and goes on after requests, or does not."""
        self.count += 1
        other = WireGuard()
        index = self.rnd.choice(list(self.kernel.devices))
        other.start(u32(Device.IFINDEX, index))
        parts = []
        for _ in range(self.rnd.randrange(4)):
            parts += other.receive()
            if parts[-1].kind in (NLMSG_DONE, NLMSG_ERROR):
                break
            if self.rnd.random() < 0.7:
                self.requests()
        got = read([one for one in parts if one.kind == other.family])[6]
        self.say("part", index, len(got), zlib.crc32(repr(got).encode()))
        other.close()

    def link(self):
        self.count += 1
        error = self.links.request([(one.index, one.name) for one in self.kernel.devices.values()])
        self.say("link", error)
        self.follow()

    def flip(self):
        """Up or down."""
        self.count += 1
        index = self.rnd.choice(list(self.kernel.devices))
        one = self.kernel.devices[index]
        error = self.links.set_up(index, not one.up)
        # What of other devices, which may have the same port?
        ports = [other.port for other in self.kernel.devices.values() if other.up] + list(PORTS_TAKEN)
        self.differs("up", error, EADDRINUSE if not one.up and one.port in ports else OK)
        self.follow()

    def anew(self):
        """Without devices, so that not all are full of what came before."""
        for index in self.kernel.devices:
            self.links.delete(index)
        self.kernel.devices = {}
        self.follow()

    def run(self, messages):
        self.follow()
        kinds = [(self.requests, 100), (self.ask, 8), (self.leave, 4), (self.link, 8), (self.flip, 1)]
        functions, weights = zip(*kinds)
        rounds = 0
        while self.count < messages:
            self.rnd.choices(functions, weights)[0]()
            rounds += 1
            if rounds % COMPARE == 0:
                for index in self.kernel.devices:
                    self.show(index)
            if rounds % ANEW == 0:
                self.anew()
        for index in self.kernel.devices:
            self.show(index)


class Beside(Stream):
    """One of several, whose answers are whatever they are."""

    def run(self, messages):
        while self.count < messages:
            try:
                self.step()
            except Answer:
                self.count += 1
            except OSError:
                # Of a socket whose buffer is full, or that was shut down.
                self.renew()

    def renew(self):
        self.wireguard.close()
        self.wireguard = WireGuard()

    def step(self):
        what, rnd, wireguard = self.rnd.random(), self.rnd, self.wireguard
        if what < 0.8:
            wireguard.socket.send(self.batch())
            if rnd.random() < 0.9:
                self.answers()
            elif rnd.random() < 0.3:
                self.renew()
        elif what < 0.92:
            self.count += 1
            wireguard.start(self.grammar.get())
            while rnd.random() < 0.8:
                wireguard.socket.setblocking(False)
                try:
                    if wireguard.receive(65536)[-1].kind in (NLMSG_DONE, NLMSG_ERROR):
                        break
                except BlockingIOError:
                    break
                finally:
                    wireguard.socket.settimeout(60)
            if rnd.random() < 0.7:
                self.renew()
        else:
            self.count += 1
            there = self.make()
            if what < 0.98:
                self.links.request([one[:2] for one in there.values()])
            else:
                one = rnd.choice(self.names)
                self.links.set_up(one[1], rnd.random() < 0.7)


def canonical():
    """Whether a device takes a configuration, and shows it."""
    stream = Stream(0)
    for index, _, _, kind, *_ in stream.links.all():
        if kind == "wireguard":
            stream.links.delete(index)
    index = stream.make()[DEVICES[0]][0]
    name = text(Device.IFNAME, DEVICES[0])
    private = bytes(range(32))
    ours = [
        attr(Peer.PUBLIC_KEY, one)
        + attr(Peer.PRESHARED_KEY, KEYS[0])
        + attr(Peer.ENDPOINT, endpoint4("192.0.2.1", number))
        + u16(Peer.KEEPALIVE, number)
        + allowed_ips(*(prefix(f"10.{number}.{third}.0/24") for third in range(4)))
        for number, one in enumerate(KEYS)
    ]
    wireguard = stream.wireguard
    wireguard.set(name + attr(Device.PRIVATE_KEY, private) + u16(Device.LISTEN_PORT, 51820) + u32(Device.FWMARK, 7))
    wireguard.set(name + peers(*ours))
    port, mark, number, _, _, public, found = read(wireguard.get(name))
    got = (port, mark, number, public, len(found))
    tap.equal("a device can be configured, and shown", got, (51820, 7, index, public_of(private), len(KEYS)))
    prefixes = [len(one[4]) for one in found]
    tap.equal("with all that it has", prefixes, [4] * len(KEYS))
    tap.equal("it can be brought up", stream.links.set_up(index), 0)
    tap.equal("and deleted", stream.links.delete(index), 0)


def alone(seed, messages, path):
    begun = time.monotonic()
    with gzip.open(path, "wt", compresslevel=1) as transcript:
        stream = Alone(seed, transcript)
        try:
            stream.run(messages)
            explanation = ""
        except Difference as difference:
            explanation = f"at message {stream.count} of seed {seed}: {difference}"
    tap.ok("each answer is what the rules say", not explanation, *explanation.splitlines())
    seconds = time.monotonic() - begun
    tap.note(f"{stream.count} messages in {seconds:.1f} s, answered {dict(sorted(stream.refused.items()))}")
    understood = stream.refused.get(0, 0)
    tap.ok("of which many are accepted, and many are not", 5 * understood > stream.count > 1.2 * understood)
    canonical()


def beside(seed, messages):
    begun = time.monotonic()
    jobs = []
    for number in range(PROCESSES):
        job = os.fork()
        if not job:
            Beside(f"{seed}.{number}").run(messages // PROCESSES)
            os._exit(0)
        jobs.append(job)
    ends = [os.waitpid(job, 0)[1] for job in jobs]
    tap.equal("all of them come to their end", ends, [0] * PROCESSES)
    tap.note(f"{messages} messages in {time.monotonic() - begun:.1f} s")
    canonical()


def main():
    what, seed, messages = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if what == "alone":
        alone(seed, messages, sys.argv[4])
    else:
        beside(seed, messages)


main()
