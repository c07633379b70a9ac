# SPDX-License-Identifier: GPL-2.0
"""Data in sessions: what is refused, what is delivered, and what cannot be sent."""

import itertools
import random
import socket
import struct

import tap
from lab import INNER4, INNER6, pack4, pack6
from noise import ipv4, ipv6, udp
from wire_base import FRAME, LENGTH, PLAIN4, PLAIN6, RECORDED, Base, accepted, padded


class Data(Base):
    """Tables C and D: from somebody who has a session, and from this side."""

    def data(self):
        self.forged()
        self.lengths()
        self.window()
        self.wrong_inside()
        self.right_inside()
        self.dropped_above()
        self.shuffled()
        self.endpoints()

    def handshake(self):
        """A session that is fresh."""
        session = self.peer.handshake(self.first)
        self.lab.settle()
        return session

    def forged(self):
        tap.note("data that is not authentic")
        session = self.handshake()
        good = session.data(padded(self.packet4()))
        wrong = good[:-1] + bytes([good[-1] ^ 1])
        self.silent("DAT-1 RX-8 a wrong tag: silence", wrong, wire=self.second)
        self.silent(
            "DAT-1 RX-8 a changed counter: silence",
            good[:8] + struct.pack("<Q", 99) + good[16:],
            wire=self.second,
        )
        self.silent(
            "BAD-5 RX-5 a changed index: silence",
            good[:4] + struct.pack("<I", session.remote_index ^ 1) + good[8:],
            wire=self.second,
        )
        self.silent("DAT-1 RX-8 cut off: silence", good[:-16], good[:32], wire=self.second)
        tap.ok("nothing was delivered", self.nothing_arrived())
        what = "CNT-1 the good one is accepted"
        self.expect(what, lambda: self.first.send(good), **accepted(48))
        tap.ok("RX-14 and delivered", self.arrived())
        self.silent("DAT-1 RX-9 replayed: silence", good)
        what = "DAT-10 RX-9 replayed from elsewhere: silence, and no roaming"
        self.silent(what, good, wire=self.second)
        tap.ok("nothing was delivered", self.nothing_arrived())

    def lengths(self):
        tap.note("one message at a time, of each length")
        session = self.handshake()
        others = []
        for size in range(600):
            payload = RECORDED.randbytes(size)
            plain = padded(self.packet4(payload))
            good, wrong = session.data(plain), bytearray(session.data(plain))
            wrong[RECORDED.randrange(16, len(wrong))] ^= 1 << RECORDED.randrange(8)
            self.first.send(bytes(wrong))
            self.first.send(good)
            if self.arrived(limit=5) != (payload, 0):
                others.append(size)
        tap.equal("RX-8 RX-14 each is delivered as it was sent", others, [])
        tap.ok("DAT-1 RX-8 and none with a bit that is wrong", self.nothing_arrived())

    def window(self):
        tap.note("the replay window")
        session = self.handshake()

        def keepalive(counter):
            return lambda: self.first.send(session.data(counter=counter))

        for what, counter, good in (
            ("forward", 20000, True),
            ("8128 back", 20000 - 8128, True),
            ("8129 back", 20000 - 8129, False),
            ("far back", 5, False),
            ("8128 back, again", 20000 - 8128, False),
            ("one back", 19999, True),
            ("one back, again", 19999, False),
            ("one forward", 20001, True),
            ("now 8129 back", 20001 - 8129, False),
            ("far forward", 1 << 40, True),
            ("the last but one before the limit", (1 << 64) - 8131, True),
        ):
            self.expect(f"RX-22 {what}", keepalive(counter), **(accepted(0) if good else {}))
        session = self.handshake()
        for what, counter in (("8130", 8130), ("8129", 8129), ("1", 1)):
            self.expect(f"DAT-1 RX-7 RX-22 2^64 - {what}: silence", keepalive((1 << 64) - counter))
        self.expect("RX-22 and the session lives", keepalive(1), **accepted(0))

    def wrong_inside(self):
        tap.note("inner packets that are wrong")
        session = self.handshake()
        wires = itertools.cycle((self.second, self.first))

        def wrong(what, plain, counters):
            """Authentic, so the endpoint follows; counted, but not for the peer."""
            wire = next(wires)
            self.expect(
                f"RX-17 EP-1 {what}",
                lambda: wire.send(session.data(plain)),
                P__endpoint=wire.endpoint,
                **counters,
            )

        four, six = self.packet4(), self.packet6()
        for size in (1, 2, 16, 19):
            wrong(f"DAT-3 CNT-2 RX-12 {size} bytes", four[:size], FRAME)
        for version in (0, 1, 3, 5, 7, 15):
            packet = padded(self.packet4(version=version))
            wrong(f"DAT-3 RX-12 version {version}", packet, FRAME)
        wrong("DAT-3 RX-12 zeros", bytes(64), FRAME)
        for size in (20, 39):
            wrong(f"DAT-3 RX-12 {size} bytes of IPv6", six[:size], FRAME)
        for total in (0, 19, len(padded(four)) + 1, 65535):
            packet = padded(self.packet4(total=total))
            wrong(f"DAT-4 CNT-3 RX-13 IPv4 length {total}", packet, LENGTH)
        for length in (len(padded(six)) - 39, 65535):
            packet = padded(self.packet6(length=length))
            wrong(f"DAT-4 CNT-3 RX-13 IPv6 length {length}", packet, LENGTH)
        for what, packet in (
            ("a source that nobody has", self.packet4(source="10.1.1.1")),
            ("an IPv6 source that nobody has", self.packet6(source="fd00::3")),
            ("the source of another peer", self.packet4(source="192.168.242.9")),
            ("the source of a more specific peer", self.packet4(source="192.168.242.7")),
            ("the device's own address as source", self.packet4(source=INNER4)),
            ("source 0.0.0.0", self.packet4(source="0.0.0.0")),
        ):
            wrong(f"DAT-5 CNT-2 RX-15 {what}", padded(packet), FRAME)
        tap.ok("nothing of it was delivered", self.nothing_arrived())
        wire = next(wires)
        self.expect(
            "DAT-2 CNT-1 RX-11 a keepalive",
            lambda: wire.send(session.data()),
            P__endpoint=wire.endpoint,
            **accepted(0),
        )

    def right_inside(self):
        tap.note("inner packets that are fine")
        session = self.peer.session
        four, six = self.packet4(), self.packet6()
        if self.lab.last["P.endpoint"] != self.first.endpoint:
            self.expect(
                "back home",
                lambda: self.first.send(session.data()),
                P__endpoint=self.first.endpoint,
                **accepted(0),
            )
        for size in range(0, 16):
            self.receive_ok(f"DAT-6 RX-14 {size} bytes of padding", four, padding=bytes(size))
        self.receive_ok("DAT-6 RX-14 RX-16 1000 bytes of padding", four, padding=bytes(1000))
        self.receive_ok("DAT-6 RX-14 padding that is not zero", four, padding=b"x" * 100)
        self.receive_ok(
            "DAT-6 RX-14 IPv6 with padding that is not zero",
            six,
            padding=b"x" * 77,
            inner=self.inner6,
        )
        self.receive_ok(
            "AI-1 a source of the network that is not the other's",
            self.packet4(source="192.168.242.8"),
        )
        self.receive_ok("DAT-7 IP options", self.packet4(options=b"\1" * 40))
        addresses = pack4(PLAIN4), pack4(INNER4)
        wrong_sum = udp(*addresses, 7001, 7000, b"payload", check=0x1234)
        self.receive_ok("RX-19 a wrong inner UDP checksum", ipv4(*addresses, wrong_sum))
        wrong_sum = udp(pack6(PLAIN6), pack6(INNER6), 7001, 7000, b"payload", check=0x1234)
        packet = ipv6(pack6(PLAIN6), pack6(INNER6), wrong_sum)
        self.receive_ok("RX-19 a wrong inner UDP checksum, IPv6", packet, inner=self.inner6)
        large = RECORDED.randbytes(65000 - 28)
        self.receive_ok("DAT-9 65,000 bytes", self.packet4(large), payload=large)
        large = RECORDED.randbytes(1420 - 28)
        self.receive_ok("DAT-9 a whole MTU", self.packet4(large), payload=large)

    def dropped_above(self):
        tap.note("inner packets that are for the stack to drop")
        session = self.peer.session
        for what, packet in (
            ("IPv4 header length 4", self.packet4(ihl=1)),
            ("IPv4 header length 16", self.packet4(ihl=4)),
            ("IPv4 header length 60", self.packet4(ihl=15)),
            ("a wrong IPv4 checksum", self.packet4(check=0x1234)),
            ("a last fragment beyond 64 kB", self.packet4(fragment=0x1FFF)),
            ("an empty IPv4 packet", ipv4(pack4(PLAIN4), pack4(INNER4), b"")),
            ("no destination", self.packet4(target="0.0.0.0")),
            ("a source route", self.packet4(options=b"\x83\x07\x04" + pack4("10.0.0.9") + b"\0")),
            ("an empty IPv6 packet", ipv6(pack6(PLAIN6), pack6(INNER6), b"", protocol=59)),
        ):
            self.expect(
                f"DAT-7 {what}: the driver delivers it",
                lambda: self.first.send(session.data(padded(packet))),
                **accepted(len(padded(packet))),
            )
        tap.ok("DAT-7 the stack dropped them", self.nothing_arrived())

    def shuffled(self):
        tap.note("packets out of order")
        session = self.peer.session
        order = list(range(200))
        random.Random(7).shuffle(order)
        messages = [session.data(padded(self.packet4(b"%03d" % n))) for n in range(200)]

        def send():
            for n in order:
                self.first.send(messages[n])
            for n in order:
                self.first.send(messages[n])

        size = (32 + 32) * 200
        self.expect(
            "RX-9 RX-22 200 packets out of order, twice",
            send,
            rx_packets=200,
            rx_bytes=size,
            P__rx=size,
        )
        got = []
        while (one := self.arrived(limit=0.2)) is not None:
            got.append(int(one[0]))
        tap.equal("RX-9 are delivered once, as they came", got, order)

    def endpoints(self):
        tap.note("endpoints")
        session = self.peer.session
        self.expect(
            "DAT-10 RX-10 EP-1 data from another port",
            lambda: self.second.send(session.data()),
            P__endpoint=self.second.endpoint,
            **accepted(0),
        )
        self.expect(
            "DAT-10 RX-10 EP-1 data over IPv6",
            lambda: self.third.send(session.data()),
            P__endpoint=self.third.endpoint,
            **accepted(0),
        )
        late = session.data()
        self.expect(
            "EP-1 data over IPv4 again",
            lambda: self.first.send(session.data()),
            P__endpoint=self.first.endpoint,
            **accepted(0),
        )
        self.expect(
            "EP-1 a late message counts, too",
            lambda: self.second.send(late),
            P__endpoint=self.second.endpoint,
            **accepted(0),
        )
        self.expect(
            "EP-1 home",
            lambda: self.first.send(session.data()),
            P__endpoint=self.first.endpoint,
            **accepted(0),
        )

    def ecn(self):
        tap.note("ECN, from outer and inner to what is delivered")
        # Rows: inner; columns: outer not-ECT, ECT(1), ECT(0), CE.
        table = {0: (0, 0, 0, 0), 1: (1, 1, 1, 3), 2: (2, 1, 2, 3), 3: (3, 3, 3, 3)}
        for inner, row in table.items():
            for outer, wanted in enumerate(row):
                self.receive_ok(
                    f"DAT-8 RX-14 RX-18 inner {inner}, outer {outer}, delivered {wanted}",
                    self.packet4(tos=0xB8 | inner),
                    tos=0x20 | outer,
                    wanted_tos=0xB8 | wanted,
                )
        for inner, outer in ((2, 3), (0, 3), (2, 1)):
            self.receive_ok(
                f"RX-18 IPv6, inner {inner}, outer {outer}, delivered {table[inner][outer]}",
                self.packet6(tclass=0xB8 | inner),
                tos=outer,
                wanted_tos=0xB8 | table[inner][outer],
                inner=self.inner6,
            )

    # D. Sending ---------------------------------------------------------------------------------

    def sending(self):
        tap.note("packets that cannot be sent")
        four, six = (
            self.packet4(source=INNER4, target=PLAIN4),
            self.packet6(source=INNER6, target=PLAIN6),
        )
        ip4, ip6, arp = 0x0800, 0x86DD, 0x0806
        for what, protocol, packet in (
            ("IPv4 said to be IPv6", ip6, four),
            ("IPv6 said to be IPv4", ip4, six),
            ("IPv4 said to be ARP", arp, four),
            ("version 9", ip4, self.packet4(version=9)),
            ("one byte", ip4, b"\x45"),
        ):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)

            def action():
                try:
                    raw.sendto(packet, ("wg0", protocol))
                    number = 0
                except OSError as error:
                    number = error.errno
                self.number = number

            self.expect(f"OUT-1 CNT-6 TX-1 {what}: an error", action, tx_errors=1)
            tap.equal(f"OUT-1 TX-1 {what}: Protocol not supported", self.number, 93)
            raw.close()
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        raw.bind(("wg0", 0))
        for what, packet in (("IPv4", four), ("IPv6", six)):
            got = {}

            def action():
                raw.send(packet)
                got["data"] = self.first.receive()

            size = 32 + len(padded(packet))
            self.expect(
                f"ND-13 {what} from a packet socket",
                action,
                tx_packets=1,
                tx_bytes=size,
                P__tx=size,
            )
            opened = self.peer.session.open(got["data"] or b"")
            tap.ok(f"ND-13 {what}: comes out", opened and opened[1] == padded(packet), str(got))
        raw.close()
        self.expect(
            "CNT-7 and an answer", lambda: self.first.send(self.peer.session.data()), **accepted(0)
        )
