# SPDX-License-Identifier: GPL-2.0
"""Links by rtnetlink, made, changed and deleted with attributes that may be wrong."""

import struct

from requests_grammar import pack
from requests_model import NLA_TYPE_MASK, walk
from wgnl import F_ACK, F_CREATE, F_DUMP, F_REQUEST, NETLINK_ROUTE, NLA_F_NESTED, Answer, Netlink, parse

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
F_REPLACE, F_EXCL = 0x100, 0x200
IFF_UP = 1
(
    ADDRESS, BROADCAST, IFNAME, MTU, LINK, TXQLEN, OPERSTATE, LINKMODE, LINKINFO, NET_NS_PID, IFALIAS,
    AF_SPEC, GROUP, NET_NS_FD, NUM_TX_QUEUES, NUM_RX_QUEUES, CARRIER, PROTO_DOWN, GSO_MAX_SEGS,
    GSO_MAX_SIZE, GRO_MAX_SIZE,
) = (1, 2, 3, 4, 5, 13, 16, 17, 18, 19, 20, 26, 27, 28, 31, 32, 33, 39, 40, 41, 58)  # fmt: skip
KIND, DATA = 1, 2
NAMES = ["wgf0", "wgf1", "wgf2", "wgf3", "wgf4"]


class Links(Netlink):
    """A socket of rtnetlink, and requests from a grammar."""

    def __init__(self, grammar):
        super().__init__(NETLINK_ROUTE)
        self.grammar, self.rnd = grammar, grammar.rnd

    def all(self):
        """The links of the namespace: number, name, whether up, of what kind, MTU, queue's length."""
        out = []
        for message in self.talk(RTM_GETLINK, F_REQUEST | F_DUMP, struct.pack("=BxHiII", 0, 0, 0, 0, 0)):
            _, _, index, flags, _ = struct.unpack_from("=BxHiII", message.body)
            found = {kind: payload for kind, _, payload in parse(message.body[16:])}
            info = {kind: payload for kind, _, payload in parse(found.get(LINKINFO, b""))}
            name = found[IFNAME].rstrip(b"\0").decode("latin-1")
            kind = info.get(KIND, b"").rstrip(b"\0").decode()
            numbers = [int.from_bytes(found.get(kind, b""), "little") for kind in (MTU, TXQLEN, GROUP)]
            out.append((index, name, bool(flags & IFF_UP), kind, *numbers))
        return out

    def link(self, kind, flags, header, tree):
        """One request; what it is answered with."""
        return self.ask(kind, flags, struct.pack("=BxHiII", *header) + pack(tree))

    def ask(self, kind, flags, body):
        try:
            self.talk(kind, flags | F_REQUEST | F_ACK, body)
        except Answer as answer:
            return answer.errno
        return 0

    def add(self, name):
        tree = [(IFNAME, name.encode() + b"\0"), (LINKINFO | NLA_F_NESTED, [(KIND, b"wireguard\0")])]
        return self.link(RTM_NEWLINK, F_CREATE | F_EXCL, (0, 0, 0, 0, 0), tree)

    def set_up(self, index, up=True):
        return self.link(RTM_NEWLINK, 0, (0, 0, index, IFF_UP if up else 0, IFF_UP), [])

    def delete(self, index):
        return self.link(RTM_DELLINK, 0, (0, 0, index, 0, 0), [])

    def properties(self):
        rnd, u32 = self.rnd, self.grammar.u32
        return self.grammar.some(
            (0.3, MTU, lambda: u32(0, 1, 68, 1279, 1280, 1420, 1500, 65535, 0x7FFFFFFF, 0xFFFFFFFF)),
            (0.1, TXQLEN, lambda: u32(0, 1, 1000, 0xFFFFFFFF)),
            (0.1, GROUP, lambda: u32(0, 1, 5)),
            (0.05, IFALIAS, lambda: rnd.randbytes(rnd.choice((0, 1, 20, 255, 256)))),
            (0.05, ADDRESS, lambda: rnd.randbytes(rnd.choice((0, 1, 6, 32)))),
            (0.03, LINK, lambda: u32(0, 1, 2, 99)),
            (0.03, OPERSTATE, lambda: bytes((rnd.randrange(8),))),
            (0.03, LINKMODE, lambda: bytes((rnd.randrange(3),))),
            (0.03, CARRIER, lambda: bytes((rnd.randrange(3),))),
            (0.03, PROTO_DOWN, lambda: bytes((rnd.randrange(3),))),
            (0.05, GSO_MAX_SEGS, lambda: u32(0, 1, 64, 65535, 65536)),
            (0.05, GSO_MAX_SIZE, lambda: u32(0, 1, 1500, 65536, 0x80000)),
            (0.05, GRO_MAX_SIZE, lambda: u32(0, 1, 65536, 0x80000)),
            (0.02, NET_NS_FD, lambda: u32(0xFFFFFFFF, 99999)),
        )

    def new(self):
        """Attributes of a new link."""
        rnd, u32 = self.rnd, self.grammar.u32
        info = [(KIND, b"wireguard\0")]
        if rnd.random() < 0.2:
            info.append((DATA | NLA_F_NESTED, [(rnd.randrange(5), rnd.randbytes(rnd.randrange(9)))]))
        tree = [(LINKINFO | NLA_F_NESTED, info)]
        tree += self.grammar.some(
            (0.9, IFNAME, lambda: rnd.choice(NAMES).encode() + b"\0"),
            (0.1, NUM_TX_QUEUES, lambda: u32(0, 1, 4, 64)),
            (0.1, NUM_RX_QUEUES, lambda: u32(0, 1, 4, 64)),
        )
        return tree + self.properties()

    def request(self, links):
        """One request from the grammar; what it is answered with."""
        rnd = self.rnd
        # Never the first one, without which nothing else works.
        index, name = rnd.choice([one[:2] for one in links if one[1] != "lo"] or [(99, "none")])
        kind, flags, tree = rnd.choice((RTM_NEWLINK, RTM_NEWLINK, RTM_NEWLINK, RTM_DELLINK)), 0, []
        header = [0, 0, index if rnd.random() < 0.7 else 0, 0, 0]
        if kind == RTM_NEWLINK and rnd.random() < 0.4:
            header[2] = 0
            flags, tree = rnd.choice((F_CREATE, F_CREATE | F_EXCL, F_CREATE | F_REPLACE, 0)), self.new()
        elif kind == RTM_NEWLINK:
            tree = self.properties()
            if rnd.random() < 0.4:
                header[3:] = rnd.choice(((0, 1), (1, 1), (1, 1), (0x100, 0x100), (0xFFFF, 0x1002)))
            if rnd.random() < 0.15:
                tree.append((IFNAME, rnd.choice(NAMES).encode() + b"\0"))
        elif header[2] == 0:
            tree = [(IFNAME, name.encode() + b"\0")]
        if rnd.random() < 0.3:
            self.grammar.break_tree(tree)
        data = pack(tree)
        if rnd.random() < 0.2:
            data = self.grammar.break_bytes(data)
        # A number of a process would name the namespace of any that there happens to be; and `lo`
        # stays as it is.
        kinds = [kind & NLA_TYPE_MASK for kind, _, _ in walk(data)]
        if NET_NS_PID in kinds or header[2] == 0 and b"lo\0" in data:
            return None
        return self.ask(kind, flags, struct.pack("=BxHiII", *header) + data)
