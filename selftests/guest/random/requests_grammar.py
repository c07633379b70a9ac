# SPDX-License-Identifier: GPL-2.0
"""Requests from a grammar: trees of attributes, of which parts are broken before or after they become
bytes."""

import struct

from requests_model import AF_INET, AF_INET6, ZERO, public_of
from wgnl import (
    F_ACK,
    F_DUMP,
    F_ECHO,
    F_REQUEST,
    GET,
    NLA_F_NESTED,
    SET,
    AllowedIp,
    Device,
    Peer,
    endpoint4,
    endpoint6,
    key,
)

# Of as many peers, most requests are about the same ones.
KEYS = [key(n) for n in range(24)]
PRIVATE = [ZERO, bytes(range(32)), b"\x40" * 32, b"\xf8" + b"\x41" * 31]
# A device is not to be a peer of its own.
OWN = [public_of(one) for one in PRIVATE[1:]]
PORTS = [0, 0, 7, 51820, 51821, 12345, 65535]
RECENT = 32
ODD_LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 255, 65535]


def pack(tree):
    """Bytes of a tree: a list of (type, bytes or a tree)."""
    out = []
    for kind, value in tree:
        if isinstance(value, list):
            value = pack(value)
        length = len(value) + 4
        out.append(struct.pack("=HH", min(length, 65535), kind) + value + bytes(-length % 4))
    return b"".join(out)


class Grammar:
    """What is right, and ways to make it wrong, by a generator of random numbers."""

    def __init__(self, rnd, names):
        self.rnd, self.names = rnd, names
        # What was made last: it is cheaper to break bytes again than to make them.
        self.recent = []

    def chance(self, probability):
        return self.rnd.random() < probability

    def some(self, *each):
        """Of (probability, type, function), those that are drawn."""
        return [(kind, make()) for probability, kind, make in each if self.rnd.random() < probability]

    # What is right ------------------------------------------------------------------------------

    def u32(self, *values):
        return struct.pack("=I", self.rnd.choice(values))

    def u16(self, *values):
        return struct.pack("=H", self.rnd.choice(values))

    def allowed_ip(self):
        rnd = self.rnd
        if rnd.random() < 0.6:
            family, size = AF_INET, 4
            address = bytes((10, rnd.randrange(3), rnd.randrange(3), rnd.randrange(256)))
        else:
            family, size = AF_INET6, 16
            address = b"\xfd" + bytes(13) + bytes((rnd.randrange(2), rnd.randrange(256)))
        length = rnd.choice((0, 8 * size, 8 * size, 8 * size - 8, rnd.randrange(8 * size + 1)))
        tree = [
            (AllowedIp.FAMILY, struct.pack("=H", family)),
            (AllowedIp.IPADDR, address),
            (AllowedIp.CIDR_MASK, bytes((length,))),
        ]
        return tree + self.some((0.2, AllowedIp.FLAGS, lambda: self.u32(0, 1)))

    def allowed_ips(self):
        count = self.rnd.choice((0, 1, 1, 1, 2, 3, 3, 8)) if self.chance(0.98) else 150
        return [(NLA_F_NESTED, self.allowed_ip()) for _ in range(count)]

    def endpoint(self):
        rnd, port = self.rnd, self.rnd.choice((0, 1, 51820, 65535))
        if rnd.random() < 0.5:
            return endpoint4(rnd.choice(("192.0.2.1", "0.0.0.0", "255.255.255.255", "127.0.0.1")), port)
        address = rnd.choice(("2001:db8::1", "::", "fe80::1", "ff02::1", "::ffff:192.0.2.1", "::1"))
        return endpoint6(address, port, rnd.choice((0, 0, 0x12345678)), rnd.choice((0, 0, 1, 77)))

    def peer(self):
        tree = [(Peer.PUBLIC_KEY, self.rnd.choice(KEYS + OWN))]
        return tree + self.some(
            (0.3, Peer.PRESHARED_KEY, lambda: self.rnd.choice((ZERO, KEYS[1], KEYS[2]))),
            (0.3, Peer.FLAGS, lambda: self.u32(0, 1, 2, 2, 4, 4, 6, 7)),
            (0.3, Peer.ENDPOINT, self.endpoint),
            (0.2, Peer.KEEPALIVE, lambda: self.u16(0, 0, 1, 25, 65535)),
            (0.02, Peer.LAST_HANDSHAKE_TIME, lambda: bytes(16)),
            (0.02, Peer.RX_BYTES, lambda: bytes(8)),
            (0.02, Peer.TX_BYTES, lambda: bytes(8)),
            (0.6, Peer.ALLOWEDIPS | NLA_F_NESTED, self.allowed_ips),
            (0.2, Peer.PROTOCOL_VERSION, lambda: self.u32(1, 1, 1, 1, 0, 2)),
        )

    def device(self):
        """What names a device, mostly one that there is."""
        name, index = self.rnd.choice(self.names)
        which = self.rnd.random()
        if which < 0.55:
            return [(Device.IFNAME, name.encode() + b"\0")]
        if which < 0.95:
            return [(Device.IFINDEX, struct.pack("=I", index))]
        others = [(Device.IFNAME, b"lo\0"), (Device.IFINDEX, struct.pack("=I", 1))]
        others += [(Device.IFNAME, b"none\0"), (Device.IFINDEX, b"\xff\xff\xff\xff")]
        return self.rnd.sample(others, self.rnd.randrange(3))

    def peers(self):
        count = self.rnd.choice((0, 1, 1, 1, 1, 2, 2, 3, 5)) if self.chance(0.99) else 60
        return [(NLA_F_NESTED, self.peer()) for _ in range(count)]

    def set(self):
        return self.device() + self.some(
            (0.04, Device.PRIVATE_KEY, lambda: self.rnd.choice(PRIVATE)),
            (0.02, Device.PUBLIC_KEY, lambda: KEYS[0]),
            (0.1, Device.FLAGS, lambda: self.u32(0, 0, 1)),
            (0.06, Device.LISTEN_PORT, lambda: self.u16(*PORTS)),
            (0.1, Device.FWMARK, lambda: self.u32(0, 1, 0xFFFFFFFF)),
            (0.85, Device.PEERS | NLA_F_NESTED, self.peers),
        )

    # What is wrong ------------------------------------------------------------------------------

    def break_tree(self, tree):
        """One thing somewhere in a tree."""
        rnd = self.rnd
        lists = [tree]
        for one in lists:
            lists += [value for _, value in one if isinstance(value, list)]
        one = rnd.choice(lists)
        place = rnd.randrange(len(one) + 1)
        what = rnd.randrange(10)
        if what == 0:
            kind = rnd.choice((0, 5, 9, 10, 11, 12, 99, 0x3FFF))
            one.insert(place, (kind, bytes(rnd.choice((0, 4, 32)))))
        elif place == len(one):
            one.append((rnd.randrange(12), rnd.randbytes(rnd.choice(ODD_LENGTHS[:-1]))))
        elif what == 1:
            one.insert(rnd.randrange(len(one) + 1), one[place])
        elif what == 2:
            del one[place]
        elif what == 3:
            rnd.shuffle(one)
        else:
            kind, value = one[place]
            if what == 4:
                kind ^= rnd.choice((NLA_F_NESTED, 0x4000, 1, 2, 0x100))
            elif what == 5:
                # A list within itself.
                value = [(kind, value)] * rnd.choice((1, 2))
            elif isinstance(value, list):
                value = rnd.choice((b"", b"\0", b"\5\0\1", pack(value)[:-1], [(NLA_F_NESTED, b"")]))
            elif what == 6:
                value = value[: rnd.randrange(len(value) + 1)]
            elif what == 7:
                value += rnd.randbytes(rnd.choice((1, 4, 12)))
            elif what == 8:
                value = rnd.randbytes(len(value))
            else:
                value = bytes(rnd.choice(ODD_LENGTHS[:-1]))
            one[place] = kind, value

    def break_bytes(self, data):
        """Bits, lengths and the end of bytes."""
        rnd = self.rnd
        data = bytearray(data)
        for _ in range(rnd.choice((1, 1, 1, 2, 4))):
            if len(data) < 8:
                break
            what, place = rnd.randrange(8), rnd.randrange(len(data))
            if what < 4:
                data[place] ^= 1 << rnd.randrange(8)
            elif what == 4:
                data[place] = rnd.choice((0, 1, 4, 8, 0x7F, 0x80, 0xFF))
            elif what == 5:
                struct.pack_into("=H", data, min(place & ~3, len(data) - 2), rnd.choice(ODD_LENGTHS))
            elif what == 6:
                del data[place:]
            else:
                data[place & ~3 : place & ~3] = rnd.randbytes(rnd.choice((1, 4, 8)))
        return bytes(data)

    def again(self):
        """The attributes of a request, or something like those of an earlier one."""
        if len(self.recent) == RECENT and self.chance(0.6):
            return self.break_bytes(self.rnd.choice(self.recent))
        data = self.attributes(self.set())
        self.recent = [*self.recent[1 - RECENT :], data]
        return data

    def attributes(self, tree):
        """Bytes of a tree of which some are wrong."""
        wrong = self.rnd.random()
        if wrong < 0.3:
            for _ in range(self.rnd.choice((1, 1, 2))):
                self.break_tree(tree)
        data = pack(tree)
        if 0.25 < wrong < 0.55:
            data = self.break_bytes(data)
        return data[:60000]

    def message(self, family, seq):
        """A whole message of the family, mostly one that sets."""
        rnd = self.rnd
        command, flags = SET, F_REQUEST | F_ACK
        version = reserved = 0
        kind = family
        if rnd.random() < 0.06:
            what = rnd.randrange(7)
            if what == 0:
                command = rnd.choice((GET, 2, 99, 255))
            elif what == 1:
                flags |= rnd.choice((F_ECHO, 0x100, 0x200, 0x800, 0x20))
            elif what == 2:
                flags = rnd.choice((0, F_ACK, F_REQUEST))
            elif what == 3:
                version, reserved = rnd.randrange(256), rnd.choice((0, 1, 0xFFFF))
            elif what == 4:
                kind = rnd.choice((1, 2, 3, 4, 0xFFFF))
            elif what == 5:
                command, flags = rnd.choice((SET, 99)), flags | F_DUMP
        body = struct.pack("=BBH", command, version, reserved) + self.again()
        if rnd.random() < 0.01:
            body = body[: rnd.randrange(8)]
        length = len(body) + 16
        if rnd.random() < 0.01:
            length = rnd.choice((0, 15, 16, length - 1, length + 1, length + 4, length // 2, 0xFFFFFFFF))
        return struct.pack("=IHHII", length, kind, flags, seq, 0) + body + bytes(-len(body) % 4)

    def get(self):
        """Attributes of a dump's request."""
        tree = self.device()
        if self.chance(0.1):
            tree += [(self.rnd.randrange(4), bytes(self.rnd.choice((0, 3, 4, 16))))]
        return self.attributes(tree) if self.chance(0.2) else pack(tree)
