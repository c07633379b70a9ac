# SPDX-License-Identifier: GPL-2.0
"""Datagrams that are no messages, and odd IP and UDP around good ones."""

import socket
import struct

import noise
import tap
from lab import HOSTILE4, OUTER4, PORT, pack4, udp_counters
from noise import ipv4, udp
from wgnl import Peer, attr, endpoint4
from wire_base import RECORDED, Base

UDP_NO_CHECK6_TX = 101

# The sender of what is odd, and the device.
HERE, THERE = pack4(HOSTILE4), pack4(OUTER4)

# What a good initiation counts that is answered.
ANSWERED = {
    "rx_packets": 1,
    "rx_bytes": 148,
    "P__rx": 148,
    "tx_packets": 1,
    "tx_bytes": 92,
    "P__tx": 92,
}


class Malformed(Base):
    """Table A: from anybody."""

    def malformed(self):
        tap.note("datagrams that are no messages")
        rnd = RECORDED

        def of(kind, size):
            return (struct.pack("<I", kind) + rnd.randbytes(max(size - 4, 0)))[:size]

        groups = {
            "BAD-2 nothing at all, and bytes": [b"", b"\1", b"\4\0\0", bytes(4)],
            "BAD-2 RX-3 types that do not exist": [
                of(k, s) for k in (0, 5, 255) for s in range(4, 13)
            ]
            + [of(k, 148) for k in (0, 5, 6, 255, 1 << 31)],
            "BAD-3 RX-3 CK-1 initiations of 147, 148 and 149 bytes": [
                of(1, s) for s in (4, 147, 148, 149)
            ]
            + [of(1, 116) + bytes(32)],
            "BAD-3 RX-3 responses of 91, 92 and 93 bytes": [of(2, s) for s in (4, 91, 92, 93)],
            "BAD-3 RX-3 cookie replies of 63, 64 and 65 bytes": [of(3, s) for s in (4, 63, 64, 65)],
            "BAD-4 RX-3 data of up to 31 bytes": [of(4, s) for s in range(4, 32)],
            "BAD-5 RX-5 data for nobody": [of(4, s) for s in (32, 33, 48, 147, 148, 149, 1472)],
            "BAD-5 RX-5 data for nobody in fragments": [of(4, s) for s in (1500, 9000, 65507)],
            "BAD-6 RX-3 data with a reserved byte": [
                of(4 | r << 8, 64) for r in (1, 1 << 8, 1 << 16)
            ],
        }
        for what, messages in groups.items():
            before = udp_counters()
            self.silent(f"BAD-1 RX-23 {what}: silence", *messages)
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
            self.silent(f"BAD-6 RX-3 a good initiation but for reserved byte {byte}", message)
        for size in (147, 149):
            message = (self.peer.initiator().initiation() + bytes(1))[:size]
            self.silent(f"BAD-3 RX-3 a good initiation of {size} bytes", message)

    def raw(self):
        tap.note("odd IP and UDP")
        self.raw_socket = self.lab.make(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.raw_socket.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        self.lab.configure(
            attr(Peer.PUBLIC_KEY, self.peer.key.public)
            + attr(Peer.ENDPOINT, endpoint4(HOSTILE4, 4001))
        )
        self.lab.settle()
        self.odd_datagrams()
        self.many_receivers()
        self.odd_fragments()
        self.icmp_errors()
        self.port_zero()
        self.raw_socket.close()
        self.without_checksum()

    def good(self, **lies):
        """A datagram with an initiation that is good."""
        return udp(HERE, THERE, 4001, PORT, self.peer.initiator().initiation(), **lies)

    def take_response(self):
        got = self.first.receive()
        if got is None or len(got) != 92:
            self.lab.surprises.append(f"no response but {got!r}")

    def sends(self, what, *packets, response=True):
        """These packets are answered once, or not at all."""

        def action():
            for packet in packets:
                self.raw_socket.sendto(packet, (OUTER4, 0))
            if response:
                self.take_response()

        self.expect(what, action, **(ANSWERED if response else {}))

    def odd_datagrams(self):
        self.sends("HSK-7 a good initiation", ipv4(HERE, THERE, self.good()))
        self.sends("BAD-7 without a UDP checksum", ipv4(HERE, THERE, self.good(check=0)))
        before = udp_counters()
        wrong = ipv4(HERE, THERE, self.good(check=0x1234))
        self.sends("BAD-9 RX-1 with a wrong one: silence", wrong, response=False)
        tap.equal(
            "BAD-9 RX-1 with a wrong one: counted by UDP",
            udp_counters()["InCsumErrors"] - before["InCsumErrors"],
            1,
        )
        for length in (0, 7, 8 + 147, 8 + 149, 65535):
            self.sends(
                f"BAD-10 RX-2 UDP length {length}: silence",
                ipv4(HERE, THERE, self.good(length=length, check=0)),
                response=False,
            )
        trailed = ipv4(HERE, THERE, self.good() + b"abc")
        self.sends("BAD-10 RX-2 trailing bytes behind the datagram are cut off", trailed)
        self.sends("BAD-11 with IP options", ipv4(HERE, THERE, self.good(), options=b"\1" * 12))
        full = ipv4(HERE, THERE, self.good(), options=b"\1" * 40)
        self.sends("BAD-11 with 40 bytes of them", full)
        fragments = self.fragments(HERE, THERE, self.good(), 77)
        self.sends("BAD-11 in fragments of eight bytes", *fragments)
        backwards = self.fragments(HERE, THERE, self.good(), 78)[::-1]
        self.sends("BAD-11 in the same, last one first", *backwards)
        marked = ipv4(HERE, THERE, self.good(), tos=0xFF, ttl=1)
        self.sends("BAD-11 with DSCP, outer CE and TTL 1", marked)
        strangers = [
            pack4(a) for a in ("0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", OUTER4)
        ]
        self.sends(
            "BAD-11 from addresses that nobody has: silence",
            *(
                ipv4(s, THERE, udp(s, THERE, 4001, PORT, self.peer.initiator().initiation()))
                for s in strangers
            ),
            response=False,
        )

    def many_receivers(self):
        self.raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.raw_socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, HERE)
        for what, address in (("broadcast", "10.0.0.255"), ("multicast", "224.0.0.1")):
            target = pack4(address)

            def shout():
                message = self.peer.initiator().initiation()
                packet = ipv4(HERE, target, udp(HERE, target, 4001, PORT, message))
                self.raw_socket.sendto(packet, (address, 0))
                self.take_response()

            self.expect(f"BAD-12 to a {what} address: answered once", shout, **ANSWERED)

    def odd_fragments(self):
        overlapping = self.fragments(HERE, THERE, self.good(), 79)
        shifted = ipv4(HERE, THERE, bytes(16), ident=79, fragment=0x2000 | 4)
        self.sends(
            "BAD-11 overlapping fragments: silence",
            *overlapping[:5],
            shifted,
            *overlapping[5:],
            response=False,
        )
        self.sends("BAD-11 the first eight bytes alone: silence", overlapping[0], response=False)

    def icmp_errors(self):
        ours = ipv4(THERE, HERE, udp(THERE, HERE, PORT, 4001, bytes(32)))
        for what, kind, code, rest in (
            ("port unreachable", 3, 3, 0),
            ("host unreachable", 3, 1, 0),
            ("fragmentation needed", 3, 4, 1400),
            ("time exceeded", 11, 0, 0),
        ):
            body = struct.pack("!BBHI", kind, code, 0, rest) + ours[:64]
            body = body[:2] + struct.pack("!H", noise.checksum(body)) + body[4:]
            self.sends(
                f"BAD-13 ICMP, {what}: silence", ipv4(HERE, THERE, body, protocol=1), response=False
            )
        self.sends("BAD-13 after which it answers as before", ipv4(HERE, THERE, self.good()))

    def port_zero(self):
        self.expect(
            "BAD-11 from port 0: answered into the void",
            lambda: self.raw_socket.sendto(
                ipv4(HERE, THERE, udp(HERE, THERE, 0, PORT, self.peer.initiator().initiation())),
                (OUTER4, 0),
            ),
            **ANSWERED,
            P__endpoint=f"{HOSTILE4}:0",
        )

    def without_checksum(self):
        self.third.socket.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_TX, 1)
        before = udp_counters()
        self.silent(
            "BAD-8 RX-1 SK-4 IPv6 without a UDP checksum: silence",
            self.peer.initiator().initiation(),
            wire=self.third,
        )
        self.third.socket.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_TX, 0)
        after = udp_counters()
        tap.equal(
            "BAD-8 RX-1 SK-4 IPv6 without a UDP checksum: counted by UDP",
            after["Udp6InErrors"] - before["Udp6InErrors"],
            1,
        )

    @staticmethod
    def fragments(source, target, datagram, ident):
        """IPv4 packets of eight bytes each."""
        more = [0x2000] * ((len(datagram) - 1) // 8) + [0]
        return [
            ipv4(source, target, datagram[n * 8 : n * 8 + 8], ident=ident, fragment=n | flag)
            for n, flag in enumerate(more)
        ]
