#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A small generic netlink client for WireGuard that can also say things wrongly.

Standard library only. `wg` is careful to send nothing but correct requests, so what the kernel
answers to others has to be asked with something else.
"""

import errno
import resource
import socket
import struct

NETLINK_ROUTE, NETLINK_GENERIC = 0, 16
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 270, 10, 11, 12
NLMSG_ERROR, NLMSG_DONE = 2, 3
F_REQUEST, F_MULTI, F_ACK, F_ECHO, F_DUMP_INTR = 1, 2, 4, 8, 16
F_ROOT, F_MATCH, F_CREATE = 0x100, 0x200, 0x400
F_DUMP = F_ROOT | F_MATCH
F_CAPPED, F_ACK_TLVS = 0x100, 0x200
NLA_F_NESTED = 0x8000

GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 16, 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_VERSION = 1, 2, 3
CTRL_ATTR_OPS, CTRL_ATTR_MCAST_GROUPS = 6, 7

GET, SET = 0, 1


class Device:
    """WGDEVICE_A_*"""

    IFINDEX, IFNAME, PRIVATE_KEY, PUBLIC_KEY, FLAGS, LISTEN_PORT, FWMARK, PEERS = range(1, 9)
    F_REPLACE_PEERS = 1


class Peer:
    """WGPEER_A_*"""

    PUBLIC_KEY, PRESHARED_KEY, FLAGS, ENDPOINT, KEEPALIVE = range(1, 6)
    LAST_HANDSHAKE_TIME, RX_BYTES, TX_BYTES, ALLOWEDIPS, PROTOCOL_VERSION = range(6, 11)
    F_REMOVE_ME, F_REPLACE_ALLOWEDIPS, F_UPDATE_ONLY = 1, 2, 4


class AllowedIp:
    """WGALLOWEDIP_A_*"""

    FAMILY, IPADDR, CIDR_MASK, FLAGS = range(1, 5)
    F_REMOVE_ME = 1


def pad(data):
    return data + bytes(-len(data) % 4)


def attr(kind, payload=b""):
    """One attribute."""
    return pad(struct.pack("=HH", len(payload) + 4, kind) + payload)


def u8(kind, value):
    return attr(kind, struct.pack("=B", value))


def u16(kind, value):
    return attr(kind, struct.pack("=H", value))


def u32(kind, value):
    return attr(kind, struct.pack("=I", value & 0xFFFFFFFF))


def u64(kind, value):
    return attr(kind, struct.pack("=Q", value))


def text(kind, value):
    return attr(kind, value.encode() + b"\0")


def nest(kind, *inner):
    return attr(kind | NLA_F_NESTED, b"".join(inner))


def peers(*each):
    """The peers of a SET, each a bytes object of attributes."""
    return nest(Device.PEERS, *(nest(0, one) for one in each))


def allowed_ips(*each):
    return nest(Peer.ALLOWEDIPS, *(nest(0, one) for one in each))


def prefix(value, flags=None):
    """An allowed IP from its text."""
    address, _, mask = value.partition("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    mask = int(mask) if mask else len(packed) * 8
    out = u16(AllowedIp.FAMILY, family) + attr(AllowedIp.IPADDR, packed)
    out += u8(AllowedIp.CIDR_MASK, mask)
    return out if flags is None else out + u32(AllowedIp.FLAGS, flags)


def endpoint4(address, port):
    return struct.pack("=H", socket.AF_INET) + struct.pack(
        "!H4s8x", port, socket.inet_aton(address)
    )


def endpoint6(address, port, flow=0, scope=0):
    return (
        struct.pack("=H", socket.AF_INET6)
        + struct.pack("!HI16s", port, flow, socket.inet_pton(socket.AF_INET6, address))
        + struct.pack("=I", scope)
    )


def parse(data):
    """The attributes of a buffer, as (type without flags, is nested, payload)."""
    out = []
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4 or length > len(data):
            raise ValueError("attribute runs out of its buffer")
        out.append((kind & 0x3FFF, bool(kind & NLA_F_NESTED), data[4:length]))
        data = data[length + 3 & ~3 :]
    return out


def flat(attributes):
    return {kind: payload for kind, _, payload in attributes}


def dump_peers(messages):
    """The peers of a dump as they come, parts of a peer apart."""
    out = []
    for message in messages:
        for kind, _, payload in message.attributes():
            if kind == Device.PEERS:
                out += [flat(parse(one)) for _, _, one in parse(payload)]
    return out


def prefixes(one):
    """The allowed IPs of a peer of a dump, as text."""
    out = []
    for _, _, entry in parse(one.get(Peer.ALLOWEDIPS, b"")):
        fields = flat(parse(entry))
        family = struct.unpack("=H", fields[AllowedIp.FAMILY])[0]
        address = socket.inet_ntop(family, fields[AllowedIp.IPADDR])
        out.append(f"{address}/{fields[AllowedIp.CIDR_MASK][0]}")
    return out


class Answer(Exception):
    """A netlink error, with what the kernel had to say about it."""

    def __init__(self, number, message):
        super().__init__(number, message)
        self.errno = number
        self.message = message

    def __str__(self):
        name = errno.errorcode.get(self.errno, str(self.errno))
        return f"{name} {self.message!r}" if self.message else name


class Message:
    """One netlink message."""

    def __init__(self, kind, flags, seq, body):
        self.kind, self.flags, self.seq, self.body = kind, flags, seq, body

    def attributes(self):
        """What follows the generic netlink header."""
        return parse(self.body[4:])

    def error(self):
        """The errno of an error, an acknowledgement or the end of a dump; then the text."""
        number = -struct.unpack_from("=i", self.body)[0]
        message = ""
        if self.flags & F_ACK_TLVS:
            start = 4
            if self.kind == NLMSG_ERROR:
                start += 16
                if not self.flags & F_CAPPED:
                    start = 4 + (struct.unpack_from("=I", self.body, 4)[0] + 3 & ~3)
            for kind, _, payload in parse(self.body[start:]):
                if kind == 1:
                    message = payload.rstrip(b"\0").decode()
        return number, message


# What the first part of a dump fits into: a page, up to 8 KiB (NLMSG_GOODSIZE).
BUFFER = min(resource.getpagesize(), 8192)


class Netlink:
    """A netlink socket of one protocol."""

    def __init__(self, protocol):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self.socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self.socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self.socket.bind((0, 0))
        self.socket.settimeout(60)
        self.seq = 0

    def close(self):
        self.socket.close()

    def send(self, kind, flags, body):
        """Sends one message."""
        self.seq += 1
        header = struct.pack("=IHHII", len(body) + 16, kind, flags, self.seq, 0)
        self.socket.send(header + body)

    def receive(self, size=BUFFER):
        """The messages of one datagram. The kernel makes all parts of a dump but the first fit the size."""
        data, _, flags, _ = self.socket.recvmsg(size)
        if flags & socket.MSG_TRUNC:
            raise ValueError("a datagram was cut off")
        out = []
        while len(data) >= 16:
            length, kind, flags, seq, _ = struct.unpack_from("=IHHII", data)
            out.append(Message(kind, flags, seq, data[16:length]))
            data = data[length + 3 & ~3 :]
        return out

    def talk(self, kind, flags, body):
        """Sends a message, and returns what comes back, less acknowledgements; or raises."""
        self.send(kind, flags, body)
        out = []
        while True:
            for message in self.receive():
                if message.kind in (NLMSG_ERROR, NLMSG_DONE):
                    number, explanation = message.error()
                    if number:
                        raise Answer(number, explanation)
                    return out
                out.append(message)


class WireGuard(Netlink):
    """The WireGuard family."""

    def __init__(self):
        super().__init__(NETLINK_GENERIC)
        self.family, self.version, self.ops, self.groups = self.resolve()

    def resolve(self):
        body = struct.pack("=BBH", CTRL_CMD_GETFAMILY, 1, 0)
        body += text(CTRL_ATTR_FAMILY_NAME, "wireguard")
        (reply,) = self.talk(GENL_ID_CTRL, F_REQUEST | F_ACK, body)
        found = {kind: payload for kind, _, payload in reply.attributes()}
        ops = {}
        for _, _, op in parse(found.get(CTRL_ATTR_OPS, b"")):
            fields = {kind: payload for kind, _, payload in parse(op)}
            ops[struct.unpack("=I", fields[1])[0]] = struct.unpack("=I", fields[2])[0]
        return (
            struct.unpack("=H", found[CTRL_ATTR_FAMILY_ID])[0],
            struct.unpack("=I", found[CTRL_ATTR_VERSION])[0],
            ops,
            CTRL_ATTR_MCAST_GROUPS in found,
        )

    def body(self, command, attributes, version=1, reserved=0):
        return struct.pack("=BBH", command, version, reserved) + attributes

    def set(self, attributes, flags=F_REQUEST | F_ACK, command=SET, **header):
        return self.talk(self.family, flags, self.body(command, attributes, **header))

    def get(self, attributes, flags=F_REQUEST | F_ACK | F_DUMP, command=GET, **header):
        return self.talk(self.family, flags, self.body(command, attributes, **header))

    def start(self, attributes):
        """Begins a dump without reading it."""
        self.send(self.family, F_REQUEST | F_ACK | F_DUMP, self.body(GET, attributes))


def key(number):
    """A public key that is told from others by a number."""
    return struct.pack("!Q", number) + b"wireguard selftest" + bytes(6)
