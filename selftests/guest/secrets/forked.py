#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The end of the test of copies of a guest that is outside of it: their peer, on the link of each.

The guest has two sessions when it is copied: one that it has begun, which it sends with, and a newer one
that it would send with as soon as a message of it comes. Where nothing tells it that it is a copy, it sends
with both.
"""

import base64
import copy
import os
import struct
import sys
import time

from noise import Initiator, Key, Responder, checksum, ipv4
from secrets_peer import WIREGUARD_PORT, Agent, Link

GUEST_PORT = 51821
INNER_GUEST, INNER_US = bytes([192, 168, 77, 1]), bytes([192, 168, 77, 2])
# Seconds until a handshake may be begun after another one.
REKEY_TIMEOUT = 5
PATIENCE, AGAIN = 60, 2
# Echoes with the session that a machine has in the end.
ECHOES = 5
# What a copy says when it knows.
FORKED = "crng reseeded due to virtual machine fork"


class Machine:
    """The guest, or a copy, as it is seen from outside."""

    def __init__(self, name, agent, ours, theirs):
        self.name, self.agent, self.link = name, agent, agent.link
        self.ours, self.theirs = ours, theirs
        self.sessions = {}
        # Of data messages: receiver and counter; of handshakes: ephemeral keys and indices of the sender.
        self.used, self.ephemerals, self.indices = [], set(), set()
        self.echoes = 0

    def copied(self, name, link):
        link.mac = self.link.mac
        other = Machine(name, Agent.of_copy(link, self.agent), self.ours, self.theirs)
        other.sessions = {index: copy.copy(one) for index, one in self.sessions.items()}
        other.echoes = self.echoes
        return other

    def send(self, message):
        self.link.send(WIREGUARD_PORT, message, GUEST_PORT)

    def receive(self, limit):
        """What comes: (session, plaintext) of data; initiations are answered."""
        until = time.monotonic() + limit
        while message := self.link.receive(WIREGUARD_PORT, max(until - time.monotonic(), 0)):
            if message[0] == 1:
                self.answer(message)
            elif message[0] == 4:
                index, counter = struct.unpack_from("<IQ", message, 4)
                self.used.append((index, counter))
                session = self.sessions.get(index)
                opened = session and session.open(message)
                if opened:
                    return session, opened[1]
        return None, None

    def answer(self, message):
        responder = Responder(self.ours, self.theirs.public)
        if not responder.read(message):
            raise RuntimeError(f"not an initiation: {message.hex()}")
        self.ephemerals.add(message[8:40])
        self.indices.add(message[4:8])
        response, session = responder.response()
        self.sessions[session.index] = session
        self.send(response)

    def as_initiator(self):
        """A session that it has begun, and uses."""
        self.agent.run("echo -n x > /dev/udp/192.168.77.2/9")
        session, _ = self.receive(PATIENCE)
        if not session:
            raise RuntimeError("the guest does not begin a session")
        # It has an answer.
        self.send(session.data())
        return session

    def as_responder(self):
        """A session that we have begun, and do not use."""
        initiator = Initiator(self.ours, self.theirs.public)
        self.send(initiator.initiation())
        message = self.link.receive(WIREGUARD_PORT)
        session = message and initiator.finish(message)
        if not session:
            raise RuntimeError("the guest does not answer")
        self.sessions[session.index] = session
        return session

    def echo(self, session):
        """Has it answer an echo that comes with a session; returns the one that the answer comes with."""
        session = self.sessions[session.index]
        self.echoes += 1
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            request = struct.pack("!BBHHH", 8, 0, 0, 0x5747, self.echoes) + bytes(4)
            request = request[:2] + struct.pack("!H", checksum(request)) + request[4:]
            self.send(session.data(ipv4(INNER_US, INNER_GUEST, request, 1)))
            again = time.monotonic() + AGAIN
            while time.monotonic() < again:
                came, plain = self.receive(again - time.monotonic())
                if came and plain[26:28] == struct.pack("!H", self.echoes):
                    return came
        raise RuntimeError(f"{self.name} does not answer")


def base64_of(key):
    return base64.b64encode(key).decode()


def create(guest):
    guest.agent.run(
        "ip link add wg0 type wireguard && ip addr add 192.168.77.1/24 dev wg0 &&"
        f" wg set wg0 listen-port {GUEST_PORT} private-key <(echo {base64_of(guest.theirs.private)})"
        f" peer {base64_of(guest.ours.public)} endpoint 10.9.0.2:{WIREGUARD_PORT}"
        " allowed-ips 192.168.77.2/32 && ip link set wg0 up"
    )


def told(machine):
    """How often it was told that it is a copy."""
    return int(machine.agent.run(f"dmesg | grep -c '{FORKED}' || true"))


def knows(machine):
    """It is told, sooner or later."""
    until = time.monotonic() + PATIENCE
    while not told(machine) and time.monotonic() < until:
        time.sleep(0.5)
    return told(machine)


def alone(machine, machines, what):
    """What others have as well."""
    mine = set(getattr(machine, what))
    return [mine & set(getattr(other, what)) for other in machines if other is not machine]


def test(guest, links, signals):
    ok = guest.agent.ok
    create(guest)
    current = guest.as_initiator()
    waiting = guest.as_responder()
    # What is begun soon after a handshake would have to wait.
    guest.agent.run(f"sleep {REKEY_TIMEOUT + 1}")
    guest.used.clear()
    guest.ephemerals.clear()
    guest.indices.clear()
    copies = [guest.copied(f"copy {n}", Link(fd)) for n, fd in enumerate(links, 1)]
    os.write(signals, b"copies\n")
    for one in copies:
        ok(f"EV-3 {one.name}: it is told that it is one", knows(one) == 1)
    ok("EV-3 the guest is told nothing", told(guest) == 0)

    old = {current.index, waiting.index}
    machines = [guest, *copies]
    # With the newer one first, there is no place for the other.
    orders = (current, waiting), (current, waiting), (waiting,)
    for machine, sessions in zip(machines, orders):
        for session in sessions:
            came = machine.echo(session)
            if machine is guest:
                ok("EV-3 the guest answers with the session", came.index == session.index)
            else:
                ok(f"EV-3 {machine.name} answers with another session", came.index not in old)
        for _ in range(ECHOES):
            came = machine.echo(came)
        guest.agent.note(f"{machine.name} sent {len(machine.used)} messages of data")
    for machine in copies:
        index = {index for index, _ in machine.used}
        ok(f"EV-3 {machine.name} sends nothing with old sessions", not index & old)
        for what, name in (
            ("used", "nonce"),
            ("ephemerals", "ephemeral key"),
            ("indices", "index of its own"),
        ):
            shared = alone(machine, machines, what)
            ok(f"EV-3 {machine.name} has no {name} of another one", not any(shared), str(shared))


def main():
    link, _, signals = map(int, sys.argv[1:])
    links = map(int, os.environ["WG_COPIES"].split())
    guest = Machine("guest", Agent(Link(link)), Key(), Key())
    try:
        test(guest, links, signals)
    except Exception as error:  # pylint: disable=broad-except
        guest.agent.ok("the peer can go on", False, repr(error))
        raise
    finally:
        guest.agent.order(end=True)


main()
