#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Messages good and bad from a peer of our own making. Runs inside wire.sh.

The rule for everything that is not authenticated: no answer, no counter, no change.
"""

import itertools
import os
import random
import select
import socket
import struct
import sys
import threading
import time

import noise
import tap
from lab import (
    HOSTILE4,
    HOSTILE6,
    INNER4,
    INNER6,
    OUTER4,
    OUTER6,
    PORT,
    Hostile,
    Lab,
    ip,
    pack4,
    pack6,
)
from lab import udp_counters, wait_until
from noise import DATA, INITIATION, RESPONSE, ipv4, ipv6, udp
from wgnl import Device, Peer, allowed_ips, attr, endpoint4, peers, prefix, u16, u32

IP_TOS, SO_NO_CHECK, UDP_NO_CHECK6_TX = 1, 11, 101
PLAIN4, PLAIN6 = "192.168.241.2", "fd00::2"
# The same bytes in every run.
RECORDED = random.Random(1)


def accepted(plain):
    """What a data message with so many bytes inside adds."""
    size = plain + noise.DATA_OVERHEAD
    return {"rx_packets": 1, "rx_bytes": size, "P__rx": size}


FRAME = {"rx_errors": 1, "rx_frame_errors": 1}
LENGTH = {"rx_errors": 1, "rx_length_errors": 1}


def padded(packet):
    return packet + bytes(-len(packet) % 16)


class Test:
    def __init__(self, lab):
        self.lab = lab
        self.first, self.second = lab.wire(4001), lab.wire(4002)
        self.third = lab.wire(4003, socket.AF_INET6)
        self.peer = Hostile(
            lab, "P", [f"{PLAIN4}/32", f"{PLAIN6}/128", "192.168.242.0/24"], psk=os.urandom(32)
        )
        # R owns an address out of P's network.
        self.other = Hostile(lab, "R", ["192.168.242.7/32"])
        ip("addr", "add", f"{INNER4}/24", "dev", "wg0")
        ip("addr", "add", f"{INNER6}/112", "dev", "wg0", "nodad")
        ip("link", "set", "wg0", "up")
        ip("route", "add", "192.168.242.0/23", "dev", "wg0")
        self.inner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inner.bind((INNER4, 7000))
        self.inner.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        self.inner6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.inner6.bind((INNER6, 7000))
        self.inner6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)

    @property
    def sessions(self):
        return {"P": self.peer.session, "R": self.other.session}

    def expect(self, what, action, **wanted):
        return self.lab.expect(what, action, self.sessions, **wanted)

    def silent(self, what, *messages, wire=None, **wanted):
        """These datagrams change nothing."""

        def action():
            for message in messages:
                (wire or self.first).send(message)

        return self.expect(what, action, **wanted)

    # Inner packets ------------------------------------------------------------------------------

    def packet4(self, payload=b"payload", source=PLAIN4, target=INNER4, sport=7001, **lies):
        addresses = pack4(source), pack4(target)
        return ipv4(*addresses, udp(*addresses, sport, 7000, payload), **lies)

    def packet6(self, payload=b"payload", source=PLAIN6, target=INNER6, **lies):
        addresses = pack6(source), pack6(target)
        return ipv6(*addresses, udp(*addresses, 7001, 7000, payload), **lies)

    def arrived(self, inner=None, limit=60):
        """The next datagram at the device's inner socket: (payload, TOS)."""
        inner = inner or self.inner
        inner.settimeout(limit)
        try:
            payload, ancillary, _, _ = inner.recvmsg(65535, 256)
        except (TimeoutError, BlockingIOError):
            return None
        data = ancillary[0][2]
        return payload, data[0] if len(data) == 1 else struct.unpack("=I", data)[0]

    def nothing_arrived(self):
        return self.arrived(limit=0.05) is None

    # A. Anything --------------------------------------------------------------------------------

    def malformed(self):
        tap.note("datagrams that are no messages")
        rnd = RECORDED

        def of(kind, size):
            return (struct.pack("<I", kind) + rnd.randbytes(max(size - 4, 0)))[:size]

        groups = {
            "nothing at all, and bytes": [b"", b"\1", b"\4\0\0", bytes(4)],
            "types that do not exist": [of(k, s) for k in (0, 5, 255) for s in range(4, 13)]
            + [of(k, 148) for k in (0, 5, 6, 255, 1 << 31)],
            "initiations of 147, 148 and 149 bytes": [of(1, s) for s in (4, 147, 148, 149)]
            + [of(1, 116) + bytes(32)],
            "responses of 91, 92 and 93 bytes": [of(2, s) for s in (4, 91, 92, 93)],
            "cookie replies of 63, 64 and 65 bytes": [of(3, s) for s in (4, 63, 64, 65)],
            "data of up to 31 bytes": [of(4, s) for s in range(4, 32)],
            "data for nobody": [of(4, s) for s in (32, 33, 48, 147, 148, 149, 1472)],
            "data for nobody in fragments": [of(4, s) for s in (1500, 9000, 65507)],
            "data with a reserved byte": [of(4 | r << 8, 64) for r in (1, 1 << 8, 1 << 16)],
        }
        for what, messages in groups.items():
            before = udp_counters()
            self.silent(f"{what}: silence", *messages)
            after = udp_counters()
            # One more for the probe.
            tap.equal(
                f"{what}: counted by UDP as received",
                (
                    after["InDatagrams"] - before["InDatagrams"],
                    after["InErrors"] - before["InErrors"],
                ),
                (len(messages) + 1, 0),
            )
        for what, messages in groups.items():
            self.silent(f"{what}: silence, IPv6", *messages[:9], wire=self.third)
        for byte in range(1, 4):
            message = bytearray(self.peer.initiator().initiation())
            message[byte] = 1
            # Even with a mac that fits.
            message = noise.add_macs(bytes(message[:116]), self.lab.public)
            self.silent(f"a good initiation but for reserved byte {byte}", message)
        for size in (147, 149):
            message = (self.peer.initiator().initiation() + bytes(1))[:size]
            self.silent(f"a good initiation of {size} bytes", message)

    def raw(self):
        tap.note("odd IP and UDP")
        raw = self.lab.make(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        there, here = pack4(OUTER4), pack4(HOSTILE4)
        self.lab.configure(
            attr(Peer.PUBLIC_KEY, self.peer.key.public)
            + attr(Peer.ENDPOINT, endpoint4(HOSTILE4, 4001))
        )
        self.lab.settle()

        def good(**lies):
            return udp(here, there, 4001, PORT, self.peer.initiator().initiation(), **lies)

        answered = {
            "rx_packets": 1,
            "rx_bytes": 148,
            "P__rx": 148,
            "tx_packets": 1,
            "tx_bytes": 92,
            "P__tx": 92,
        }

        def sends(what, *packets, response=True):
            def action():
                for packet in packets:
                    raw.sendto(packet, (OUTER4, 0))
                if response:
                    got = self.first.receive()
                    if got is None or len(got) != 92:
                        self.lab.surprises.append(f"no response but {got!r}")

            self.expect(what, action, **(answered if response else {}))

        sends("a good initiation", ipv4(here, there, good()))
        sends("without a UDP checksum", ipv4(here, there, good(check=0)))
        before = udp_counters()
        sends("with a wrong one: silence", ipv4(here, there, good(check=0x1234)), response=False)
        tap.equal(
            "with a wrong one: counted by UDP",
            udp_counters()["InCsumErrors"] - before["InCsumErrors"],
            1,
        )
        for length in (0, 7, 8 + 147, 8 + 149, 65535):
            sends(
                f"UDP length {length}: silence",
                ipv4(here, there, good(length=length, check=0)),
                response=False,
            )
        sends("trailing bytes behind the datagram are cut off", ipv4(here, there, good() + b"abc"))
        sends("with IP options", ipv4(here, there, good(), options=b"\1" * 12))
        sends("with 40 bytes of them", ipv4(here, there, good(), options=b"\1" * 40))
        sends("in fragments of eight bytes", *self.fragments(here, there, good(), 77))
        sends("in the same, last one first", *self.fragments(here, there, good(), 78)[::-1])
        sends("with DSCP, outer CE and TTL 1", ipv4(here, there, good(), tos=0xFF, ttl=1))
        strangers = [
            pack4(a) for a in ("0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", OUTER4)
        ]
        sends(
            "from addresses that nobody has: silence",
            *(
                ipv4(s, there, udp(s, there, 4001, PORT, self.peer.initiator().initiation()))
                for s in strangers
            ),
            response=False,
        )
        source = pack4(HOSTILE4)
        self.expect(
            "from port 0: answered into the void",
            lambda: raw.sendto(
                ipv4(
                    source, there, udp(source, there, 0, PORT, self.peer.initiator().initiation())
                ),
                (OUTER4, 0),
            ),
            **answered,
            P__endpoint=f"{HOSTILE4}:0",
        )
        self.third.socket.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_TX, 1)
        before = udp_counters()
        self.silent(
            "IPv6 without a UDP checksum: silence",
            self.peer.initiator().initiation(),
            wire=self.third,
        )
        self.third.socket.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_TX, 0)
        after = udp_counters()
        tap.equal(
            "IPv6 without a UDP checksum: counted by UDP",
            after["Udp6InErrors"] - before["Udp6InErrors"],
            1,
        )
        raw.close()

    @staticmethod
    def fragments(source, target, datagram, ident):
        """IPv4 packets of eight bytes each."""
        more = [0x2000] * ((len(datagram) - 1) // 8) + [0]
        return [
            ipv4(source, target, datagram[n * 8 : n * 8 + 8], ident=ident, fragment=n | flag)
            for n, flag in enumerate(more)
        ]

    # B. Handshakes ------------------------------------------------------------------------------

    def responder(self):
        tap.note("the device as responder")
        lab, peer = self.lab, self.peer
        lab.settle()
        initiator = peer.initiator()
        got = {}

        def begin():
            self.first.send(initiator.initiation())
            got["response"], got["tos"] = self.first.receive(), self.first.tos

        self.expect(
            "a good initiation is answered with 92 bytes",
            begin,
            rx_packets=1,
            rx_bytes=148,
            P__rx=148,
            tx_packets=1,
            tx_bytes=92,
            P__tx=92,
            P__endpoint=self.first.endpoint,
        )
        tap.equal("TX-14 with DSCP AF41", got["tos"], 0x88)
        response = got["response"]
        session = initiator.finish(response)
        tap.ok("the response opens a session", session)
        tap.equal("without a cookie", response[76:], bytes(16))
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind((INNER4, 0))
        self.expect(
            "HS-6 the responder does not send before it has heard",
            lambda: sender.sendto(b"staged", (PLAIN4, 7001)),
        )
        peer.session = session

        def confirm():
            self.first.send(session.data())
            got["data"], got["tos"] = self.first.receive(), self.first.tos

        self.expect(
            "but then it does",
            confirm,
            rx_packets=1,
            rx_bytes=32,
            P__rx=32,
            P__handshake=True,
            tx_packets=1,
            tx_bytes=80,
            P__tx=80,
        )
        counter, plain = session.open(got["data"])
        tap.equal("TX-11 the first counter is 0", counter, 0)
        tap.equal("TX-14 data has TOS 0", got["tos"], 0)
        tap.equal("the inner packet came through", plain[20 + 8 : 34], b"staged")
        tap.equal("TX-12 padded with zeros", plain[34:], bytes(14))
        self.receive_ok("an IPv4 packet arrives", self.packet4())
        self.receive_ok("an IPv6 packet arrives", self.packet6(), inner=self.inner6)
        self.expect(
            "CK-3 a random mac2 is ignored while there is no load",
            lambda: self.answered(peer.initiator().initiation(cookie=b"x" * 16)),
            rx_packets=1,
            rx_bytes=148,
            P__rx=148,
            tx_packets=1,
            tx_bytes=92,
            P__tx=92,
        )
        self.receive_ok("HS-6 the session goes on while a new one is not confirmed", self.packet4())

        tap.note("initiations that are refused")
        old = noise.timestamp()
        initiation = peer.initiator().initiation(stamp=old)
        self.expect(
            "one that is accepted",
            lambda: self.answered(initiation),
            rx_packets=1,
            rx_bytes=148,
            P__rx=148,
            tx_packets=1,
            tx_bytes=92,
            P__tx=92,
        )
        time.sleep(0.05)
        self.silent("HS-3 the same from elsewhere: silence", initiation, wire=self.second)
        self.silent(
            "HS-3 another with the same timestamp: silence",
            peer.initiator().initiation(stamp=old),
            wire=self.second,
        )
        earlier = old[:8] + struct.pack("!I", max(struct.unpack("!I", old[8:])[0] - 1, 0))
        self.silent(
            "HS-3 one a nanosecond earlier: silence",
            peer.initiator().initiation(stamp=earlier),
            wire=self.second,
        )
        self.silent(
            "HS-3 one of 1970: silence",
            peer.initiator().initiation(stamp=bytes(12)),
            wire=self.second,
        )
        good = peer.initiator().initiation()
        body = bytearray(noise.INITIATION_LEN - 32)
        self.silent("a mac1 of zeros: silence", good[:116] + bytes(32))
        self.silent("a wrong mac1: silence", good[:131] + bytes([good[131] ^ 1]) + good[132:])
        self.silent(
            "the mac1 of another device: silence", noise.add_macs(good[:116], noise.Key().public)
        )
        self.silent(
            "a random body with a good mac1: silence",
            *(
                noise.add_macs(struct.pack("<I", 1) + RECORDED.randbytes(112), lab.public)
                for _ in range(10)
            ),
        )
        for name, place in (
            ("ephemeral", 8),
            ("static", 40),
            ("timestamp", 88),
            ("timestamp's tag", 115),
        ):
            body[:] = good[:116]
            body[place] ^= 1
            self.silent(
                f"a changed {name} with a good mac1: silence",
                noise.add_macs(bytes(body), lab.public),
            )
        stranger = Hostile(lab, "S", [], configure=False)
        self.silent("an unknown static key: silence", stranger.initiator().initiation())
        for number, point in enumerate(noise.LOW_ORDER):
            self.silent(
                f"HS-5 low-order ephemeral {number}: silence",
                peer.initiator(ephemeral=noise.ForgedKey(point)).initiation(),
            )
        weak = noise.Initiator(noise.ForgedKey(noise.LOW_ORDER[3]), lab.public)
        lab.configure(attr(Peer.PUBLIC_KEY, noise.LOW_ORDER[3]))
        self.silent("HS-5 low-order static key, known as a peer: silence", weak.initiation())
        lab.configure(attr(Peer.PUBLIC_KEY, noise.LOW_ORDER[3]) + u32(Peer.FLAGS, Peer.F_REMOVE_ME))
        wrong = noise.Initiator(peer.key, noise.Key().public)
        message = wrong.initiation()[:116]
        self.silent(
            "for another device, with our mac1: silence", noise.add_macs(message, lab.public)
        )
        self.silent(
            "responses that nobody waits for: silence",
            *(
                noise.add_macs(
                    struct.pack("<III", 2, 1, index) + RECORDED.randbytes(48), lab.public
                )
                for index in (0, 1, session.index, session.remote_index)
            ),
        )
        self.silent(
            "cookie replies that nobody waits for: silence",
            *(
                struct.pack("<II", 3, index) + RECORDED.randbytes(56)
                for index in (0, session.index, session.remote_index)
            ),
        )
        self.receive_ok("and the session is as good as ever", self.packet4())

        tap.note("initiations in a hurry")
        self.hurry()
        self.twins()
        self.peer.handshake(self.first)
        lab.settle()

    def answered(self, message, wire=None):
        """Sends an initiation and reads the response."""
        time.sleep(0.05)
        (wire or self.first).send(message)
        return (wire or self.first).receive()

    def hurry(self):
        """Two initiations of one peer within 20 ms: the second one is ignored."""
        counts = []
        for _ in range(10):
            time.sleep(0.1)
            pair = [self.peer.initiator().initiation() for _ in range(2)]
            for message in pair:
                self.first.send(message)
            self.first.receive()
            self.lab.probe()
            counts.append(1 + len([m for m in self.first.drain() if len(m) == 92]))
            if counts[-1] == 1:
                break
        tap.ok("HS-3 two within 20 ms: one response", counts[-1] == 1, f"{counts} responses")
        self.lab.settle()

    def twins(self):
        """The same initiation many times at once, from two sockets: one response to each."""
        rounds, responses = 20, 0
        for _ in range(rounds):
            time.sleep(0.05)
            message = self.peer.initiator().initiation()
            barrier = threading.Barrier(2)

            def send(wire):
                barrier.wait()
                for _ in range(5):
                    wire.send(message)

            threads = [threading.Thread(target=send, args=(w,)) for w in (self.first, self.second)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.lab.probe()
            responses += len(
                [m for w in (self.first, self.second) for m in w.drain() if len(m) == 92]
            )
        tap.equal(f"H4 {rounds} initiations, ten copies each: as many responses", responses, rounds)
        self.lab.settle()

    def fresh(self, name="I", psk=noise.NO_PSK):
        """A peer to which the device will want to talk, and its socket."""
        number = next(NUMBERS)
        wire = self.lab.wire(5000 + number)
        address = f"192.168.243.{number}"
        fresh = Hostile(self.lab, name, [f"{address}/32"], psk=psk)
        self.lab.configure(
            attr(Peer.PUBLIC_KEY, fresh.key.public)
            + attr(Peer.ENDPOINT, endpoint4(HOSTILE4, wire.port))
        )
        fresh.inner_address = address
        return fresh, wire

    def provoke(self, fresh, wire):
        """Has the device begin a handshake; the responder that has read its initiation."""
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind((INNER4, 7777))
        sender.sendto(b"staged", (fresh.inner_address, 7001))
        sender.close()
        return self.initiation(fresh, wire)

    def initiation(self, fresh, wire, limit=60):
        responder = noise.Responder(fresh.key, self.lab.public, fresh.psk)
        message = wire.receive(limit)
        if message is None or not responder.read(message):
            raise RuntimeError(f"not an initiation: {message!r}")
        return responder

    STAGED = 32 + 48

    def initiator(self):
        tap.note("the device as initiator")
        lab = self.lab
        fresh, wire = self.fresh(psk=os.urandom(32))
        lab.settle()
        responder = self.provoke(fresh, wire)
        tap.equal("TX-14 the initiation has DSCP AF41", wire.tos, 0x88)
        tap.equal("it has no cookie", responder.mac2, bytes(16))
        tap.ok(
            "HS-2 its timestamp is of now",
            abs(struct.unpack("!Q", responder.stamp[:8])[0] - (1 << 62) - 10 - time.time()) < 60,
            responder.stamp.hex(),
        )
        tap.equal(
            "HS-2 and rounded to 2^24 ns",
            struct.unpack("!I", responder.stamp[8:])[0] & (1 << 24) - 1,
            0,
        )
        good, session = responder.response()
        wrong_psk, _ = responder.response(psk=os.urandom(32))
        base = {"tx_packets": 1, "tx_bytes": 148, "I__tx": 148}
        self.silent("a response with a wrong preshared key: silence", wrong_psk, wire=wire, **base)
        other = struct.unpack("<I", good[8:12])[0] ^ 1
        self.silent(
            "one with an unknown index: silence", responder.response(receiver=other)[0], wire=wire
        )
        self.silent("one with a wrong mac1: silence", good[:60] + bytes(32), wire=wire)
        tampered = bytearray(good[:60])
        tampered[50] ^= 1
        self.silent(
            "one with a wrong tag: silence", noise.add_macs(bytes(tampered), lab.public), wire=wire
        )
        for number in (0, 3, 5):
            self.silent(
                f"HS-5 one with low-order ephemeral {number}: silence",
                responder.response(ephemeral=noise.ForgedKey(noise.LOW_ORDER[number]))[0],
                wire=wire,
            )
        self.silent("its own initiation, back again: silence", responder.message, wire=wire)
        fresh.session = session
        got = {}

        def finish():
            wire.send(good)
            got["data"] = wire.receive()

        self.expect(
            "a good response still works, and what waited is sent",
            finish,
            rx_packets=1,
            rx_bytes=92,
            I__rx=92,
            tx_packets=1,
            tx_bytes=self.STAGED,
            I__tx=self.STAGED,
            I__handshake=True,
        )
        counter, plain = session.open(got["data"])
        tap.equal("its first counter is 0", counter, 0)
        tap.equal("it is what was sent", plain[28:34], b"staged")
        self.silent("the same response again: silence", good, wire=wire)
        self.silent("another response to the same: silence", responder.response()[0], wire=wire)
        self.silent("the same from elsewhere: silence", good, wire=self.second)
        self.expect(
            "the session works",
            lambda: wire.send(session.data()),
            rx_packets=1,
            rx_bytes=32,
            I__rx=32,
        )
        fresh.remove()

        tap.note("the device's key confirmation")
        fresh, wire = self.fresh()
        lab.settle()
        lab.configure(attr(Peer.PUBLIC_KEY, fresh.key.public) + u16(Peer.KEEPALIVE, 600))
        responder = self.initiation(fresh, wire)
        good, session = responder.response()
        fresh.session = session
        wire.send(good)
        tap.equal(
            "HS-7 with nothing to send it is a keepalive",
            session.open(wire.receive() or b""),
            (0, b""),
        )
        tap.equal("TX-14 that has TOS 0", wire.tos, 0)
        fresh.remove()

        tap.note("cookies for the device")
        fresh, wire = self.fresh()
        lab.settle()
        responder = self.provoke(fresh, wire)
        begun = time.monotonic()
        cookie = os.urandom(16)
        self.silent(
            "a cookie reply with an unknown index: silence",
            responder.cookie_reply(os.urandom(16), receiver=responder.sender ^ 1),
            wire=wire,
            **base,
        )
        reply = responder.cookie_reply(os.urandom(16), mac1=os.urandom(16))
        self.silent("one for another mac1: silence", reply, wire=wire)
        reply = responder.cookie_reply(os.urandom(16))
        self.silent("one that was changed: silence", reply[:-1] + bytes([reply[-1] ^ 1]), wire=wire)
        self.silent("CK-6 a good one: silence", responder.cookie_reply(cookie), wire=wire)
        self.silent("CK-5 a second one: silence", responder.cookie_reply(os.urandom(16)), wire=wire)
        again = self.initiation(fresh, wire)
        waited = time.monotonic() - begun
        tap.ok("TM-1 the next initiation comes after 5 s", 4.9 < waited, f"after {waited:.3f} s")
        tap.note(f"after {waited:.3f} s")
        message = again.message
        tap.equal(
            "CK-5 it has the first good cookie's mac2", again.mac2, noise.mac(cookie, message[:132])
        )
        tap.ok("its ephemeral is another", responder.their_ephemeral != again.their_ephemeral)
        tap.ok("its index is another", responder.sender != again.sender)
        tap.ok("its timestamp is later", again.stamp > responder.stamp)
        lab.settle()
        self.silent(
            "H2 a response to the first initiation: silence", responder.response()[0], wire=wire
        )
        good, fresh.session = again.response()
        wire.send(good)
        data = fresh.session.open(wire.receive() or b"")
        tap.ok(
            "a response to the second one opens a session",
            data and data[1][28:34] == b"staged",
            str(data),
        )
        fresh.remove()
        lab.settle()

    # C. Data ------------------------------------------------------------------------------------

    def receive_ok(
        self,
        what,
        packet,
        inner=None,
        padding=None,
        tos=0,
        wanted_tos=None,
        wire=None,
        payload=b"payload",
    ):
        """The packet is delivered, and counted as it should be."""
        wire = wire or self.first
        plain = padded(packet) if padding is None else packet + padding
        got = {}

        def action():
            wire.send(self.peer.session.data(plain), tos)
            got["arrived"] = self.arrived(inner)

        self.expect(what, action, **accepted(len(plain)))
        tap.ok(
            f"{what}: unharmed",
            got["arrived"]
            and got["arrived"][0] == payload
            and (wanted_tos is None or got["arrived"][1] == wanted_tos),
            str(got),
        )

    def data(self):
        tap.note("data that is not authentic")
        lab, peer = self.lab, self.peer
        session = peer.handshake(self.first)
        lab.settle()
        good = session.data(padded(self.packet4()))
        self.silent("a wrong tag: silence", good[:-1] + bytes([good[-1] ^ 1]), wire=self.second)
        self.silent(
            "a changed counter: silence",
            good[:8] + struct.pack("<Q", 99) + good[16:],
            wire=self.second,
        )
        self.silent(
            "a changed index: silence",
            good[:4] + struct.pack("<I", session.remote_index ^ 1) + good[8:],
            wire=self.second,
        )
        self.silent("cut off: silence", good[:-16], good[:32], wire=self.second)
        tap.ok("nothing was delivered", self.nothing_arrived())
        self.expect("the good one is accepted", lambda: self.first.send(good), **accepted(48))
        tap.ok("and delivered", self.arrived())
        self.silent("replayed: silence", good)
        self.silent("replayed from elsewhere: silence, and no roaming", good, wire=self.second)
        tap.ok("nothing was delivered", self.nothing_arrived())

        tap.note("the replay window")
        session = peer.handshake(self.first)
        lab.settle()
        keepalive = lambda counter: lambda: self.first.send(session.data(counter=counter))
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
        session = peer.handshake(self.first)
        lab.settle()
        for what, counter in (("8130", 8130), ("8129", 8129), ("1", 1)):
            self.expect(f"RX-22 2^64 - {what}: silence", keepalive((1 << 64) - counter))
        self.expect("RX-22 and the session lives", keepalive(1), **accepted(0))

        tap.note("inner packets that are wrong")
        session = peer.handshake(self.first)
        lab.settle()
        wires = itertools.cycle((self.second, self.first))

        def wrong(what, plain, counters):
            """Authentic, so the endpoint follows; counted, but not for the peer."""
            wire = next(wires)
            self.expect(
                what,
                lambda: wire.send(session.data(plain)),
                P__endpoint=wire.endpoint,
                **counters,
            )

        four, six = self.packet4(), self.packet6()
        for size in (1, 2, 16, 19):
            wrong(f"RX-12 {size} bytes", four[:size], FRAME)
        for version in (0, 1, 3, 5, 7, 15):
            wrong(f"RX-12 version {version}", padded(self.packet4(version=version)), FRAME)
        wrong("RX-12 zeros", bytes(64), FRAME)
        for size in (20, 39):
            wrong(f"RX-12 {size} bytes of IPv6", six[:size], FRAME)
        for total in (0, 19, len(padded(four)) + 1, 65535):
            wrong(f"RX-13 IPv4 length {total}", padded(self.packet4(total=total)), LENGTH)
        for length in (len(padded(six)) - 39, 65535):
            wrong(f"RX-13 IPv6 length {length}", padded(self.packet6(length=length)), LENGTH)
        for what, packet in (
            ("a source that nobody has", self.packet4(source="10.1.1.1")),
            ("an IPv6 source that nobody has", self.packet6(source="fd00::3")),
            ("the source of another peer", self.packet4(source="192.168.242.9")),
            ("the source of a more specific peer", self.packet4(source="192.168.242.7")),
            ("the device's own address as source", self.packet4(source=INNER4)),
            ("source 0.0.0.0", self.packet4(source="0.0.0.0")),
        ):
            wrong(f"RX-15 {what}", padded(packet), FRAME)
        tap.ok("nothing of it was delivered", self.nothing_arrived())
        wire = next(wires)
        self.expect(
            "RX-11 a keepalive",
            lambda: wire.send(session.data()),
            P__endpoint=wire.endpoint,
            **accepted(0),
        )

        tap.note("inner packets that are fine")
        if self.lab.last["P.endpoint"] != self.first.endpoint:
            self.expect(
                "back home",
                lambda: self.first.send(session.data()),
                P__endpoint=self.first.endpoint,
                **accepted(0),
            )
        for size in range(0, 16):
            self.receive_ok(f"TX-12 {size} bytes of padding", four, padding=bytes(size))
        self.receive_ok("1000 bytes of padding", four, padding=bytes(1000))
        self.receive_ok("padding that is not zero", four, padding=b"x" * 100)
        self.receive_ok(
            "IPv6 with padding that is not zero", six, padding=b"x" * 77, inner=self.inner6
        )
        self.receive_ok(
            "a source of the network that is not the other's", self.packet4(source="192.168.242.8")
        )
        self.receive_ok("IP options", self.packet4(options=b"\1" * 40))
        large = RECORDED.randbytes(65000 - 28)
        self.receive_ok("65,000 bytes", self.packet4(large), payload=large)
        large = RECORDED.randbytes(1420 - 28)
        self.receive_ok("a whole MTU", self.packet4(large), payload=large)
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
                f"{what}: ours is to deliver it",
                lambda: self.first.send(session.data(padded(packet))),
                **accepted(len(padded(packet))),
            )
        tap.ok("the stack dropped them", self.nothing_arrived())
        order = list(range(200))
        random.Random(7).shuffle(order)
        messages = [session.data(padded(self.packet4(b"%03d" % n))) for n in range(200)]

        def shuffled():
            for n in order:
                self.first.send(messages[n])
            for n in order:
                self.first.send(messages[n])

        size = (32 + 32) * 200
        self.expect(
            "200 packets out of order, twice", shuffled, rx_packets=200, rx_bytes=size, P__rx=size
        )
        got = []
        while (one := self.arrived(limit=0.2)) is not None:
            got.append(int(one[0]))
        tap.equal("are delivered once, as they came", got, order)

        tap.note("endpoints")
        self.expect(
            "EP-1 data from another port",
            lambda: self.second.send(session.data()),
            P__endpoint=self.second.endpoint,
            **accepted(0),
        )
        self.expect(
            "EP-1 data over IPv6",
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
                    f"RX-18 inner {inner}, outer {outer}, delivered {wanted}",
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

            self.expect(f"TX-1 {what}: an error", action, tx_errors=1)
            tap.equal(f"TX-1 {what}: Protocol not supported", self.number, 93)
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
            "and an answer", lambda: self.first.send(self.peer.session.data()), **accepted(0)
        )

    # The rest -----------------------------------------------------------------------------------

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
        tap.ok("and no second one", self.first.receive(1) is None)
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
        tap.ok("no answer", self.first.receive(1) is None)
        tap.equal("no counter", lab.snapshot(), before)
        lab.netlink.set(lab.name + attr(Device.PRIVATE_KEY, lab.key.private))
        tap.ok("with its key again it answers", self.answered(self.peer.initiator().initiation()))
        session = self.peer.handshake(self.first)
        ip("link", "set", "wg0", "down")
        before = lab.snapshot()
        time.sleep(0.05)
        self.first.send(self.peer.initiator().initiation())
        self.first.send(session.data())
        tap.ok("a device that is down does not answer", self.first.receive(1) is None)
        tap.equal("nor count", lab.snapshot(), before)
        ip("link", "set", "wg0", "up")
        self.first.send(session.data())
        lab.probe()
        tap.equal("UP-4 the old session is gone", lab.snapshot()["P.rx"], before["P.rx"])
        stamp = noise.timestamp()
        tap.ok("up again it answers", self.answered(self.peer.initiator().initiation(stamp=stamp)))
        ip("link", "set", "wg0", "down")
        ip("link", "set", "wg0", "up")
        self.first.send(self.peer.initiator().initiation(stamp=stamp))
        lab.probe()
        tap.ok("UP-5 but it has not forgotten the timestamp", self.first.receive(0.2) is None)
        lab.netlink.set(lab.name + u32(Device.FLAGS, Device.F_REPLACE_PEERS))
        self.first.send(self.peer.initiator().initiation())
        tap.ok("a device without peers does not answer", self.first.receive(1) is None)


NUMBERS = itertools.count(1)


def main():
    noise.self_check()
    test = Test(Lab(sys.argv[1]))
    test.lab.probe()
    test.lab.settle()
    for part in sys.argv[2:] or (
        "malformed",
        "raw",
        "responder",
        "initiator",
        "data",
        "ecn",
        "sending",
        "timers",
        "nobody_home",
    ):
        getattr(test, part)()


main()
