# SPDX-License-Identifier: GPL-2.0
"""Packets of all shapes, with headers for offloads that may be wrong, whose payload tells what it is."""

import ipaddress
import struct

import noise
from vnet import DATA_VALID, GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VNET

TCP, UDP = 6, 17
ODD = [0, 1, 2, 7, 8, 19, 20, 27, 28, 40, 48, 100, 535, 1000, 1280, 1420, 1500, 9000, 65000, 65535]

MAGIC = b"\xc5shape\xa9"
RECORD = 16
LONGEST = 64000
# These bits are set in the numbers of payloads and of records, so that no datagram that is cut out of a
# payload looks like a data message, whose nonce would be looked at.
NUMBER, PLACE = 0x80, 0x80000000


class Payloads:
    """So many strings of bytes, each made of records that say which one it is: whatever part of a packet
    comes out must be a part of one. Those in vain are in packets that must not come out."""

    COUNT, VAIN = 64, 8

    def __init__(self, seed):
        self.seed = seed
        self.all = [self.make(number) for number in range(self.COUNT)]
        self.vain = [self.make(self.COUNT + number) for number in range(self.VAIN)]

    def make(self, number):
        head = MAGIC + bytes((number | NUMBER,))
        places = (struct.pack("<I", place | PLACE) for place in range(LONGEST // RECORD))
        return b"".join(head + place + noise.mac(self.seed, head, place)[:4] for place in places)

    def after(self, packet):
        """What continues the payload of a packet."""
        # The last one whose numbers are there.
        at = packet.rfind(MAGIC, 0, max(len(packet) - 5, 0))
        if at < 0:
            return b""
        number, place = struct.unpack_from("<BI", packet, at + len(MAGIC))
        payload = (self.all + self.vain)[number & ~NUMBER]
        return payload[(place & ~PLACE) * RECORD + len(packet) - at :]

    def judge(self, packet):
        """Whether what is in a packet went in: None if it has no record."""
        place = packet.find(MAGIC)
        if place < 0 or place + RECORD > len(packet):
            return None
        number = packet[place + len(MAGIC)] & ~NUMBER
        # One that was cut off, and then padded, has the padding in it.
        return number < self.COUNT and packet[place:].rstrip(b"\0") in self.all[number]


class Shapes:
    """Packets between two addresses of either family, by a generator of random numbers."""

    def __init__(self, rnd, payloads, addresses4, addresses6):
        self.rnd, self.payloads = rnd, payloads
        self.pairs = [
            tuple(ipaddress.ip_address(one).packed for one in pair) for pair in (addresses4, addresses6)
        ]

    def size(self, most):
        rnd = self.rnd
        return min(most, rnd.choice((rnd.randrange(64), rnd.randrange(1500), rnd.choice(ODD), rnd.randrange(most))))

    def transport(self, source, target, protocol, payload):
        """(Header, where its sum goes) with the sum of the pseudo header."""
        length = len(payload) + (20 if protocol == TCP else 8)
        pseudo = source + target
        if len(source) == 4:
            pseudo += struct.pack("!BBH", 0, protocol, length & 0xFFFF)
        else:
            pseudo += struct.pack("!IHBB", length, 0, 0, protocol)
        sum_ = noise.checksum(pseudo) ^ 0xFFFF
        port = 4000 + self.rnd.randrange(4)
        if protocol == TCP:
            flags = self.rnd.choice((0x10, 0x18, 0x18, 0x02, 0x11, 0x90, 0x04))
            return struct.pack("!HHIIBBHHH", port, 9, 1, 1, 0x50, flags, 1000, sum_, 0), 16
        return struct.pack("!HHHH", port, 9, length & 0xFFFF, sum_), 6

    def packet(self, most=LONGEST, vain=False):
        """(offload header, packet): right ones, of which the offload is as it is meant."""
        rnd = self.rnd
        source, target = rnd.choice(self.pairs)
        protocol = rnd.choice((TCP, UDP, UDP))
        payload = rnd.choice(self.payloads.vain if vain else self.payloads.all)[: self.size(most)]
        head, place = self.transport(source, target, protocol, payload)
        inner = head + payload
        if len(source) == 4:
            tos = rnd.choice((0, 0, 1, 2, 3, 0xB8))
            options = rnd.choice((b"", b"", b"", b"\1\1\1\0", bytes(40)))
            lies = {"fragment": rnd.choice((0x4000, 0x4000, 0, 0x2000, 0x0010))}
            header = noise.ipv4(source, target, inner, protocol, tos, options=options, **lies)[: 20 + len(options)]
        else:
            header = noise.ipv6(source, target, inner, protocol, rnd.choice((0, 1, 3)), length=len(inner) & 0xFFFF)[:40]
        start = len(header)
        kind, size = GSO_NONE, 0
        if len(payload) > 32 and rnd.random() < 0.7:
            kind = {TCP: GSO_TCPV4 if len(source) == 4 else GSO_TCPV6, UDP: GSO_UDP_L4}[protocol]
            if protocol == TCP and rnd.random() < 0.1:
                kind |= GSO_ECN
            size = rnd.choice((rnd.randrange(1, 1500), 1380, 1000, len(payload) // 2 + 1, 17, 16))
            size = max(size, len(payload) // 60 + 1)
        return (NEEDS_CSUM, kind, start + len(head), size, start, place), header + inner

    def wrong(self, header, packet):
        """What a program may make of these. Where sums go stays as it is, so that only they change, and
        bits are turned in headers only: whatever else changes in a payload, the tunnel did."""
        rnd = self.rnd
        flags, kind, length, size, start, place = header
        headers = length
        for _ in range(rnd.choice((1, 1, 2, 3))):
            what = rnd.randrange(9)
            if what == 0:
                flags = rnd.choice((0, NEEDS_CSUM, DATA_VALID, 3, 4, 255))
            elif what == 1:
                kind = rnd.choice((0, 1, 2, 3, 4, 5, 6, 0x80, 0x81, 0x84, 0x85, 255))
            elif what == 2:
                length = rnd.choice((*ODD, length + 1, length - 1))
            elif what == 3:
                size = rnd.choice(ODD)
            elif what == 4:
                packet = packet[: rnd.choice((rnd.randrange(len(packet) + 1), 1, 19, 20, 39, 40, 41))] or b"E"
            elif what == 5:
                packet += self.payloads.after(packet)[: rnd.choice((0, 4, 16, 100))]
            elif what == 6:
                bits = bytearray(packet)
                bits[rnd.randrange(min(len(bits), headers))] ^= 1 << rnd.randrange(8)
                packet = bytes(bits)
            elif what == 7:
                # No more than the header of the network, and of the transport.
                packet = packet[: rnd.choice((start, start + 1, start + 4, start + 8, start + 20))] or b"E"
            else:
                flags = kind = length = size = 0
        if not flags & NEEDS_CSUM:
            start = place = 0
        return (flags, kind, min(length, 65535), min(size, 65535), start, place), packet

    def any(self, share=0.5):
        """Bytes of both, as a device with offload headers takes them; so many are wrong."""
        header, packet = self.packet()
        if self.rnd.random() < share:
            header, packet = self.wrong(header, packet)
        return VNET.pack(*(max(one, 0) for one in header)) + packet[:65535]
