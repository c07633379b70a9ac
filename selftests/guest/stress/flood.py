#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Floods from a hostile peer, while an honest one minds its business. Runs inside flood.sh."""

import os
import struct
import sys
import time

import noise
import tap
from background import Background
from lab import HOSTILE4, INNER4, Hostile, Lab, pack4, wait_until

HONEST = "192.168.241.2"
# The longest that an honest peer may have to wait, on one CPU that also makes the flood.
SILENCE = 5


def echo(number):
    """An inner echo request."""
    body = struct.pack("!BBHHH", 8, 0, 0, 1, number & 0xFFFF) + bytes(20)
    body = body[:2] + struct.pack("!H", noise.checksum(body)) + body[4:]
    packet = noise.ipv4(pack4(HONEST), pack4(INNER4), body, protocol=1)
    return packet + bytes(-len(packet) % 16)


def slab():
    """What the kernel has allocated, in kB."""
    with open("/proc/meminfo") as file:
        fields = dict(line.split(":") for line in file)
    return int(fields["Slab"].split()[0])


class Flood:
    """The device, an honest peer with a session, and one who sends what it likes."""

    def __init__(self, lab, seconds):
        self.lab, self.seconds = lab, seconds
        self.honest, self.other = Hostile(lab, "H", [f"{HONEST}/32"]), Hostile(lab, "O", [])
        self.wire, self.hostile = lab.wire(4001), lab.wire(4002)
        self.session = self.honest.handshake(self.wire)
        self.echoes = 0

    def answered(self):
        """One echo through the tunnel: how long it took."""
        self.echoes += 1
        begun = time.monotonic()
        self.wire.send(self.session.data(echo(self.echoes)))
        while time.monotonic() < begun + 60:
            message = self.wire.receive(60)
            opened = message and self.session.open(message)
            # An echo reply of that number.
            if opened and opened[1][20:21] == b"\0":
                if struct.unpack_from("!H", opened[1], 26)[0] == self.echoes & 0xFFFF:
                    return time.monotonic() - begun
        return float("inf")

    def send(self, messages):
        """Sends messages for ever."""
        out = self.lab.make(self.hostile.socket.family, self.hostile.socket.type)
        out.bind((HOSTILE4, 4003))
        while True:
            for message in messages:
                out.sendto(message, self.hostile.target)
                # The answers come to the other socket, whose address this is not.
                self.hostile.socket.sendto(message, self.hostile.target)

    def flood(self, what, messages, answers):
        """One flood; `answers` are the types that may come back."""
        self.hostile.drain()
        before = slab()
        sender = Background(what, self.send, messages)
        waits, types, count, most = [], set(), 0, 0
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            waits.append(self.answered())
            most = max(most, slab() - before)
            for message in self.hostile.drain():
                count += 1
                types.add(message[0])
            time.sleep(0.02)
        sender.end()
        tap.ok(
            f"{what}: the session goes on", max(waits) < SILENCE, f"{max(waits):.3f} s of silence"
        )
        tap.ok(f"{what}: answered as it should be", types <= answers, f"types {types}")
        # No more messages wait than the limit, a few kB each, and what sockets hold.
        tap.ok(f"{what}: memory is bounded", most < 32768, f"{most} kB more")
        tap.note(
            f"{what}: {len(waits)} echoes, {max(waits):.3f} s at most; {count} answers; {most} kB"
        )

        def plain():
            self.hostile.drain()
            self.hostile.send(self.other.initiator().initiation())
            message = self.hostile.receive(1)
            return message is not None and message[0] == noise.RESPONSE

        tap.ok(f"{what}: then a handshake is answered", wait_until(plain, 20))


def main():
    noise.self_check()
    lab = Lab(sys.argv[1])
    flood = Flood(lab, float(sys.argv[2]))
    garbage = os.urandom(108)

    def message(kind, size, good):
        body = struct.pack("<I", kind) + (garbage * 2)[: size - 36]
        whole = noise.add_macs(body, lab.public)
        return whole if good else whole[:-32] + bytes(32)

    cookies = {noise.COOKIE_REPLY}
    flood.flood("initiations with a bad MAC", [message(1, 148, False)], set())
    flood.flood("initiations of garbage", [message(1, 148, True)], cookies)
    genuine = flood.other.initiator().initiation()
    flood.flood("one initiation again and again", [genuine], cookies | {noise.RESPONSE})
    flood.flood("responses of garbage", [message(2, 92, True)], cookies)
    flood.flood("cookies of garbage", [struct.pack("<I", 3) + garbage[:60]], set())
    bad = flood.session.data(bytes(1312), counter=1 << 40)
    flood.flood("data with a bad tag", [bad[:-1] + bytes([bad[-1] ^ 1])], set())
    again = flood.session.data(echo(0))
    flood.flood("replayed data", [again], set())
    unknown = struct.pack("<IIQ", 4, 1, 1) + bytes(64)
    flood.flood("data of no session", [unknown, unknown[:31], b"\4", b"", bytes(2000)], set())


main()
