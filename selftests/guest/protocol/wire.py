#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Messages good and bad from a peer of our own making. Runs inside wire.sh.

The rule for everything that is not authenticated: no answer, no counter, no change.
"""

import sys
import time

import noise
import tap
from lab import Lab, ip
from wgnl import Device, Peer, attr, u16, u32
from wire_base import Base, padded
from wire_data import Data
from wire_handshake import Handshake
from wire_malformed import Malformed


class Rest(Base):
    """Timers, and devices that must not answer."""

    def timers(self):
        tap.note("keepalives")
        self.first.drain()
        self.lab.settle()
        session = self.peer.handshake(self.first)
        self.first.drain()
        self.first.send(session.data(padded(self.packet4())))
        begun = time.monotonic()
        message = self.first.receive(60)
        waited = time.monotonic() - begun
        tap.equal("TM-3 data without an answer: a keepalive", len(message or b""), 32)
        tap.ok("TM-3 after ten seconds", 9.5 < waited, f"after {waited:.3f} s")
        tap.note(f"after {waited:.3f} s")
        tap.ok("TM-3 and no second one", self.first.receive(1) is None)
        self.lab.configure(attr(Peer.PUBLIC_KEY, self.peer.key.public) + u16(Peer.KEEPALIVE, 1))
        begun, count = time.monotonic(), 0
        while count < 3:
            message = self.first.receive(60)
            if message is None or len(message) != 32:
                break
            count += 1
        waited = time.monotonic() - begun
        tap.equal("TM-9 persistent keepalives", count, 3)
        tap.ok(
            "SET-21 the first at once, then one a second", waited > 1.8, f"three in {waited:.3f} s"
        )
        self.lab.configure(attr(Peer.PUBLIC_KEY, self.peer.key.public) + u16(Peer.KEEPALIVE, 0))

    def nobody_home(self):
        tap.note("a device without a key")
        lab = self.lab
        lab.settle()
        time.sleep(1.2)
        self.first.drain()
        before = lab.snapshot()
        lab.netlink.set(lab.name + attr(Device.PRIVATE_KEY, bytes(32)))
        self.first.send(self.peer.initiator().initiation())
        tap.ok("HSK-15 no answer", self.first.receive(1) is None)
        tap.equal("HSK-15 no counter", lab.snapshot(), before)
        lab.netlink.set(lab.name + attr(Device.PRIVATE_KEY, lab.key.private))
        again = self.answered(self.peer.initiator().initiation())
        tap.ok("HSK-15 with its key again it answers", again)
        session = self.peer.handshake(self.first)
        ip("link", "set", "wg0", "down")
        before = lab.snapshot()
        time.sleep(0.05)
        self.first.send(self.peer.initiator().initiation())
        self.first.send(session.data())
        tap.ok("HSK-15 a device that is down does not answer", self.first.receive(1) is None)
        tap.equal("HSK-15 nor count", lab.snapshot(), before)
        ip("link", "set", "wg0", "up")
        self.first.send(session.data())
        lab.probe()
        tap.equal("UP-4 the old session is gone", lab.snapshot()["P.rx"], before["P.rx"])
        stamp = noise.timestamp()
        again = self.answered(self.peer.initiator().initiation(stamp=stamp))
        tap.ok("UP-4 up again it answers", again)
        ip("link", "set", "wg0", "down")
        ip("link", "set", "wg0", "up")
        self.first.send(self.peer.initiator().initiation(stamp=stamp))
        lab.probe()
        tap.ok("UP-5 but it has not forgotten the timestamp", self.first.receive(0.2) is None)
        lab.netlink.set(lab.name + u32(Device.FLAGS, Device.F_REPLACE_PEERS))
        self.first.send(self.peer.initiator().initiation())
        tap.ok("HSK-15 a device without peers does not answer", self.first.receive(1) is None)


class Test(Malformed, Handshake, Data, Rest):
    """All of it, on one device."""

    PARTS = (
        "malformed",
        "raw",
        "responder",
        "initiator",
        "data",
        "ecn",
        "sending",
        "timers",
        "nobody_home",
    )


def main():
    noise.self_check()
    test = Test(Lab(sys.argv[1]))
    test.lab.probe()
    test.lab.settle()
    for part in sys.argv[2:] or Test.PARTS:
        getattr(test, part)()


main()
