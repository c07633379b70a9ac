# SPDX-License-Identifier: GPL-2.0
"""Things to be done at certain times, and what peers hear meanwhile, with the time of it."""

import select
import socket
import struct
import time

import noise
from lab import HOSTILE4, INNER4
from wgnl import Peer, attr, endpoint4
from wire_base import Base


class Ear:
    """A peer with its socket, and what it has heard: (seconds, message)."""

    def __init__(self, hostile, wire):
        self.hostile, self.wire = hostile, wire
        self.heard = []
        self.session = None

    def times(self, size=None):
        """When messages came, all or those of one size."""
        return [when for when, message in self.heard if size in (None, len(message))]

    def after(self, since, size=None):
        return [when for when in self.times(size) if when >= since]


class Schedule(Base):
    """A device with peers that listen."""

    def __init__(self, lab):
        super().__init__(lab)
        self.ears = []
        self.plan = []
        self.begun = time.monotonic()

    def ear(self, name):
        hostile, wire = self.fresh(name)
        self.ears.append(Ear(hostile, wire))
        return self.ears[-1]

    def responding(self, ear):
        """A session of the peer's initiative."""
        ear.session = ear.hostile.handshake(ear.wire)

    def initiating(self, ear):
        """A session of the device's initiative."""
        responder = self.provoke(ear.hostile, ear.wire)
        response, ear.session = responder.response()
        ear.wire.send(response)
        if ear.session.open(ear.wire.receive() or b"") is None:
            raise RuntimeError("no session")
        # Or the device would think that its packet was lost.
        ear.wire.send(ear.session.data())

    def push(self, ear, payload=b"pushed"):
        """Has the device send a packet to a peer."""
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind((INNER4, 0))
        sender.sendto(payload, (ear.hostile.inner_address, 7001))
        sender.close()

    def packet(self, ear):
        """A packet from a peer that the device accepts."""
        plain = self.packet4(source=ear.hostile.inner_address, target="192.168.99.1")
        return plain + bytes(-len(plain) % 16)

    def configure(self, ear, attributes):
        self.lab.configure(attr(Peer.PUBLIC_KEY, ear.hostile.key.public) + attributes)

    def endpoint(self, ear):
        self.configure(ear, attr(Peer.ENDPOINT, endpoint4(HOSTILE4, ear.wire.port)))

    def now(self):
        return time.monotonic() - self.begun

    def at(self, when, action, *arguments):
        self.plan.append((when, action, arguments))

    def listen(self, until):
        """Waits, listens, and does what is planned."""
        while (now := self.now()) < until:
            self.plan.sort(key=lambda one: one[0])
            while self.plan and self.plan[0][0] <= now:
                _, action, arguments = self.plan.pop(0)
                action(*arguments)
                now = self.now()
            end = min(until, self.plan[0][0] if self.plan else until)
            sockets = {ear.wire.socket: ear for ear in self.ears}
            ready, _, _ = select.select(list(sockets), [], [], max(0, end - self.now()))
            when = self.now()
            for one in ready:
                ear = sockets[one]
                ear.heard += [(when, message) for message in ear.wire.drain()]


def kind(message):
    return struct.unpack_from("<I", message)[0] if len(message) >= 4 else None


def initiation(ear, message):
    """The responder that has read an initiation, or None."""
    responder = noise.Responder(ear.hostile.key, ear.hostile.lab.public, ear.hostile.psk)
    return responder if len(message) == noise.INITIATION_LEN and responder.read(message) else None
