#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Ages of sessions and cookies. Runs inside ages.sh."""

import os
import struct
import sys
import time

import noise
import tap
from lab import Lab
from load import Source
from noise import COOKIE_REPLY_LEN, INITIATION_LEN, RESPONSE_LEN, open_cookie
from schedule import Schedule, initiation

SOL_UDP, UDP_SEGMENT = 17, 103


class Ages(Schedule):
    """Sessions that nobody renews."""

    def received(self, ear):
        """Bytes that the device has from a peer."""
        return self.lab.snapshot()[f"{ear.hostile.name}.rx"]

    def sends(self, ear, wanted, what):
        """Does the device accept a keepalive of a peer?"""
        before = self.received(ear)
        ear.wire.send(ear.session.data())
        time.sleep(0.3)
        tap.equal(what, self.received(ear) - before, wanted)

    def under_load(self, flooder, message, source):
        """Sends a message among many, and returns the answer."""
        source.drain()
        body = struct.pack("<I", noise.INITIATION) + os.urandom(INITIATION_LEN - 36)
        worthless = noise.add_macs(body, self.lab.public)
        for _ in range(20):
            flooder.socket.sendmsg(
                [worthless * 100],
                [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", INITIATION_LEN))],
                0,
                flooder.target,
            )
        source.send(message)
        return source.receive(20) or b""


def zeroed():
    """How many peers' keys were wiped for their age, and when last, by the kernel's log."""
    with open("/dev/kmsg", encoding="utf-8", errors="replace") as log:
        os.set_blocking(log.fileno(), False)
        out = []
        while True:
            try:
                record = os.read(log.fileno(), 8192).decode(errors="replace")
            except BlockingIOError:
                return out
            except BrokenPipeError:
                continue
            head, _, line = record.partition(";")
            if "Zeroing out all keys for peer" in line:
                out.append(int(head.split(",")[2]) / 1e6)


def data(ear):
    """When a peer heard data that are no keepalive."""
    return [when for when, m in ear.heard if m[0] == noise.DATA and len(m) > 32]


def begin_cookies(test, cookies):
    """What is to happen to a cookie of the device's, and to one that it is given, which is returned."""
    flooder = Source(test.lab, "10.0.0.2", 6000, "10.0.0.1")
    # A cookie of the device's, under load.
    initiator = test.peer.initiator()
    message = initiator.initiation()
    reply = test.under_load(flooder, message, test.first)
    cookie = open_cookie(reply, message, initiator.index, test.lab.public)
    tap.ok("CK-5 a cookie", cookie, reply.hex())
    # One for the device, which will begin handshakes that nobody answers.
    given = os.urandom(16)
    responder = test.provoke(cookies.hostile, cookies.wire)
    cookies.wire.send(responder.cookie_reply(given))

    def with_cookie(wanted, what):
        answer = test.under_load(
            flooder, test.peer.initiator().initiation(cookie=cookie), test.first
        )
        tap.equal(what, len(answer), wanted)

    test.at(100, with_cookie, RESPONSE_LEN, "CK-5 it is good after 100 s")
    test.at(123, with_cookie, COOKIE_REPLY_LEN, "CK-5 but not after 123 s")
    # What the device has to send starts its handshakes anew when it has given up.
    for when in range(100, 130, 5):
        test.at(when, test.push, cookies)
    return given


def end_cookies(cookies, given):
    """What the device has done with the cookie that it was given."""
    mac2 = []
    for when, message in cookies.heard:
        responder = initiation(cookies, message)
        if responder:
            with_it = responder.mac2 == noise.mac(given, message[:132])
            mac2.append((when, with_it, responder.mac2 == bytes(16)))
    early = [good for when, good, _ in mac2 if when < 113]
    late = [none for when, _, none in mac2 if when > 117]
    tap.ok(
        "CK-5 for 115 s the device uses the cookie it was given",
        len(early) > 15 and all(early),
        str(mac2),
    )
    tap.ok("CK-5 and then no more", len(late) >= 2 and all(late), str(mac2))


def renewal(test, sending, answering):
    """Who begins a handshake when a session is two minutes old and he sends."""
    test.at(118.5, test.push, sending)
    test.at(118.5, test.push, answering)
    test.listen(119.5)
    tap.equal(
        "TX-19 TM-5 at 118 s: just data", (len(data(sending)), len(sending.times(148))), (1, 0)
    )
    test.at(121, test.push, sending)
    test.at(121, test.push, answering)
    test.listen(123)
    tap.equal("TX-19 TM-5 at 121 s: the initiator begins anew", len(sending.times(148)), 1)
    tap.equal("TX-19 TM-5 having sent with the old session", len(data(sending)), 2)
    tap.equal(
        "TX-19 TM-5 the responder does not",
        (len(data(answering)), len(answering.times(148))),
        (2, 0),
    )


def reception(test, hearing):
    """A handshake that is begun because of what is received by an old session."""
    # Nothing is sent, so that nothing but what is received can lead to a new handshake.
    test.listen(163)
    hearing.wire.send(hearing.session.data())
    test.listen(164)
    tap.equal("TM-6 a message after 163 s", hearing.times(), [])
    test.listen(166)
    hearing.wire.send(hearing.session.data())
    test.listen(166.3)
    hearing.wire.send(hearing.session.data())
    test.listen(168)
    tap.equal(
        "TM-6 messages after 166 s: one initiation", [len(m) for _, m in hearing.heard], [148]
    )


def expiry(test, old):
    """A session that is three minutes old."""
    test.listen(178.5)
    test.sends(old, 32, "TM-7 DAT-1 after 178 s a session receives")
    test.push(old)
    test.listen(179.2)
    tap.equal("TM-7 and sends", len(data(old)), 1)
    test.listen(181.2)
    test.sends(old, 0, "RX-7 TM-7 DAT-1 after 181 s it does not receive")
    old.heard.clear()
    test.push(old)
    test.listen(183)
    tap.equal("TM-7 nor send: there is an initiation", [len(m) for _, m in old.heard], [148])


def wiping(test, uptime, wiped):
    """Keys that are nine minutes old."""
    before = zeroed()
    tap.equal("TM-8 no keys were wiped by now", before, [])
    test.listen(536)
    tap.equal("TM-8 nor after 536 s", zeroed(), [])
    # A timer of so many seconds may be an eighth late.
    test.listen(608)
    times = [when - uptime for when in zeroed()]
    tap.ok(
        "TM-8 but all after 540 s",
        len(times) >= 2 and all(538.5 <= when <= 607.5 for when in times),
        str(times),
    )
    test.sends(wiped, 0, "TM-8 such a session receives nothing")


def main():
    noise.self_check()
    test = Ages(Lab(sys.argv[1]))
    old, hearing, sending, answering, cookies, wiped = [
        test.ear(name) for name in ("OLD", "HEAR", "SEND", "ANSW", "COOK", "WIPE")
    ]
    given = begin_cookies(test, cookies)
    # When the device is no longer under load.
    time.sleep(1.5)
    test.initiating(hearing)
    test.initiating(sending)
    test.responding(answering)
    test.responding(wiped)
    test.responding(old)
    time.sleep(0.2)
    uptime = float(open("/proc/uptime").read().split()[0])
    for ear in test.ears:
        ear.wire.drain()
        ear.heard.clear()
    test.begun = time.monotonic()

    renewal(test, sending, answering)
    test.listen(140)
    end_cookies(cookies, given)
    reception(test, hearing)
    expiry(test, old)
    wiping(test, uptime, wiped)


if __name__ == "__main__":
    main()
