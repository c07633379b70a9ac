# SPDX-License-Identifier: GPL-2.0
"""What generic netlink and the driver have to answer to any bytes, and what a device is like then.

The rules are those of the kernel's strict validation (lib/nlattr.c) with the policies of the family's
specification, and then what behaviour.txt says of SET and GET.
"""

import struct

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from wgnl import AllowedIp, Device, F_ACK, F_DUMP, F_ECHO, F_REQUEST, GET, Peer, SET

OK, ENOENT, ENODEV, EINVAL, ERANGE, EBADR, EOPNOTSUPP, EPFNOSUPPORT, EADDRINUSE = (
    0, 2, 19, 22, 34, 53, 95, 96, 98,
)  # fmt: skip
AF_INET, AF_INET6 = 2, 10
NLA_F_NESTED, NLA_TYPE_MASK = 0x8000, 0x3FFF
NLMSG_MIN_TYPE = 0x10
ZERO = bytes(32)
# Ports that somebody else has.
PORTS_TAKEN = (7,)


def number(size, mask=None):
    """A policy for an integer."""

    def check(payload):
        if len(payload) != size:
            return EINVAL
        return OK if mask is None or not int.from_bytes(payload, "little") & ~mask else EINVAL

    return False, check


def binary(least, most=None):
    return False, lambda payload: OK if least <= len(payload) <= (most or 65535) else ERANGE


def string(longest):
    def check(payload):
        if b"\0" not in payload[: longest + 1]:
            return EINVAL
        return ERANGE if len(payload) - (payload[-1] == 0) > longest else OK

    return False, check


def array(policy):
    """Entries whose type does not matter; what is left at the end is not looked at."""

    def check(payload):
        if payload and len(payload) < 4:
            return ERANGE
        for _, entry in entries(payload):
            if not entry:
                continue
            if len(entry) < 4:
                return ERANGE
            error, _ = validate(entry, policy)
            if error:
                return error
        return OK

    return True, check


ALLOWED_IP = {1: number(2), 2: binary(4), 3: number(1), 4: number(4, 1)}
PEER = {
    1: binary(32, 32), 2: binary(32, 32), 3: number(4, 7), 4: binary(16), 5: number(2),
    6: binary(16, 16), 7: number(8), 8: number(8), 9: array(ALLOWED_IP), 10: number(4),
}  # fmt: skip
GET_POLICY = {1: number(4), 2: string(15)}
SET_POLICY = {
    **GET_POLICY, 3: binary(32, 32), 4: binary(32, 32), 5: number(4, 1), 6: number(2), 7: number(4),
    8: array(PEER),
}  # fmt: skip


def walk(data):
    """The attributes as (type with flags, payload, where the next one begins), up to one that is none."""
    place = 0
    while len(data) - place >= 4:
        length, kind = struct.unpack_from("=HH", data, place)
        if length < 4 or length > len(data) - place:
            return
        end = place + length
        payload = data[place + 4 : end]
        place = end + 3 & ~3
        yield kind, payload, place


def entries(data):
    """The same of an array, as (nested, payload)."""
    for kind, payload, _ in walk(data):
        yield bool(kind & NLA_F_NESTED), payload


def validate(data, policy):
    """An error, and the last attribute of each type."""
    found, end = {}, 0
    for kind, payload, end in walk(data):
        rule = policy.get(kind & NLA_TYPE_MASK)
        if rule is None:
            return EINVAL, None
        nested, check = rule
        if bool(kind & NLA_F_NESTED) != nested:
            # The length of an integer comes first, with the same error.
            return EINVAL, None
        error = check(payload)
        if error:
            return error, None
        found[kind & NLA_TYPE_MASK] = payload
    return (EINVAL if end < len(data) else OK), found


def public_of(private):
    key = X25519PrivateKey.from_private_bytes(private).public_key()
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def clamp(private):
    return bytes((private[0] & 248,)) + private[1:31] + bytes((private[31] & 127 | 64,))


class OnePeer:
    def __init__(self):
        self.psk, self.endpoint, self.keepalive = ZERO, None, 0
        # A list in the order of addition.
        self.ips = {}


class Model:
    """A device."""

    def __init__(self, name, index):
        self.name, self.index, self.up = name, index, False
        # None: the kernel has chosen one.
        self.port, self.mark = 0, 0
        self.private, self.public = ZERO, None
        self.peers, self.owners = {}, {}

    def remove(self, public):
        for key in self.peers.pop(public).ips:
            del self.owners[key]

    def seen(self):
        """Like `read`."""
        private = self.private if self.public else None
        peers = [
            (public, one.psk, one.keepalive, one.endpoint, list(one.ips))
            for public, one in self.peers.items()
        ]
        return self.port, self.mark, self.index, self.name, private, self.public, peers

    def set(self, found, busy):
        """Carries out a request; `busy` are ports that cannot be had."""
        flags = integer(found.get(Device.FLAGS))
        if Device.FWMARK in found:
            self.mark = integer(found[Device.FWMARK])
        if Device.LISTEN_PORT in found:
            port = integer(found[Device.LISTEN_PORT])
            if port != self.port:
                if self.up and port in busy:
                    return EADDRINUSE
                self.port = port if port or not self.up else None
        if flags & Device.F_REPLACE_PEERS:
            self.peers, self.owners = {}, {}
        private = found.get(Device.PRIVATE_KEY)
        if private is not None and private != self.private:
            public = public_of(private) if private != ZERO else None
            if public in self.peers:
                self.remove(public)
            self.private, self.public = clamp(private), public
        for nested, entry in entries(found.get(Device.PEERS, b"")):
            if not nested:
                return EINVAL
            error = self.set_peer(validate(entry, PEER)[1])
            if error:
                return error
        return OK

    def set_peer(self, found):
        public = found.get(Peer.PUBLIC_KEY)
        if public is None:
            return EINVAL
        flags = integer(found.get(Peer.FLAGS))
        if integer(found.get(Peer.PROTOCOL_VERSION), 1) != 1:
            return EPFNOSUPPORT
        one = self.peers.get(public)
        if one is None:
            if flags & (Peer.F_REMOVE_ME | Peer.F_UPDATE_ONLY) or public == self.public:
                return OK
            one = self.peers[public] = OnePeer()
        if flags & Peer.F_REMOVE_ME:
            self.remove(public)
            return OK
        one.psk = found.get(Peer.PRESHARED_KEY, one.psk)
        one.endpoint = endpoint(found.get(Peer.ENDPOINT)) or one.endpoint
        if flags & Peer.F_REPLACE_ALLOWEDIPS:
            for key in one.ips:
                del self.owners[key]
            one.ips = {}
        for nested, entry in entries(found.get(Peer.ALLOWEDIPS, b"")):
            error = EINVAL if not nested else self.set_ip(one, validate(entry, ALLOWED_IP)[1])
            if error:
                return error
        if Peer.KEEPALIVE in found:
            one.keepalive = integer(found[Peer.KEEPALIVE])
        return OK

    def set_ip(self, one, found):
        family = integer(found.get(AllowedIp.FAMILY))
        address, length = found.get(AllowedIp.IPADDR), integer(found.get(AllowedIp.CIDR_MASK), 999)
        size = {AF_INET: 4, AF_INET6: 16}.get(family)
        if address is None or len(address) != size or length > 8 * size:
            return EINVAL
        keep = (1 << 8 * size) - (1 << 8 * size - length)
        key = family, (int.from_bytes(address, "big") & keep).to_bytes(size, "big"), length
        owner = self.owners.get(key)
        if integer(found.get(AllowedIp.FLAGS)) & AllowedIp.F_REMOVE_ME:
            if owner is one:
                del self.owners[key], one.ips[key]
            return OK
        if owner:
            del owner.ips[key]
        self.owners[key], one.ips[key] = one, None
        return OK


def integer(payload, default=0):
    return default if payload is None else int.from_bytes(payload, "little")


def endpoint(payload):
    """What becomes of an endpoint, or None: without what differences.rst is about, the padding; and
    without flow labels, of which one that is the only change is not taken over."""
    if payload is None:
        return None
    family = int.from_bytes(payload[:2], "little")
    if (len(payload), family) == (16, AF_INET):
        return payload[:8]
    if (len(payload), family) == (28, AF_INET6):
        return payload[:4] + payload[8:]
    return None


class Kernel:
    """All devices of a namespace, and a family of that number."""

    def __init__(self, family, busy):
        self.family, self.busy = family, busy
        self.devices, self.others = {}, {1: "lo"}

    def answers(self, buffer):
        """What one datagram is answered with: (sequence number, error) of each of its messages that
        gets an answer; -1 stands for a dump."""
        out = []
        while len(buffer) >= 16:
            length, kind, flags, seq, _ = struct.unpack_from("=IHHII", buffer)
            if length < 16 or length > len(buffer):
                break
            error = OK
            if flags & F_REQUEST and kind >= NLMSG_MIN_TYPE:
                error = self.request(kind, flags, buffer[16:length])
            if flags & F_ACK or error:
                out.append((seq, error))
            buffer = buffer[length + 3 & ~3 :]
        return out

    def request(self, kind, flags, body):
        if kind != self.family:
            return ENOENT
        if len(body) < 4:
            return EINVAL
        command, _, reserved = struct.unpack_from("=BBH", body)
        dump = flags & F_DUMP == F_DUMP
        allowed = F_REQUEST | F_ACK | F_ECHO | (F_DUMP if dump else 0)
        if reserved or flags & ~allowed:
            return EINVAL
        if command != (GET if dump else SET):
            return EOPNOTSUPP
        error, found = validate(body[4:], GET_POLICY if dump else SET_POLICY)
        if error:
            return error
        index, name = found.get(Device.IFINDEX), found.get(Device.IFNAME)
        if (index is None) == (name is None):
            return EBADR
        if name is not None:
            name = name.split(b"\0")[0].decode("latin-1")
            others = self.others.values()
            device = next((one for one in self.devices.values() if one.name == name), None)
        else:
            name = integer(index)
            others, device = self.others, self.devices.get(name)
        if device is None:
            return EOPNOTSUPP if name in others else ENODEV
        if dump:
            return -1
        ports = [one.port for one in self.devices.values() if one.up and one is not device]
        return device.set(found, [*self.busy, *ports])


def read(messages):
    """What a dump says, less what a model does not know."""
    port = mark = index = name = private = public = None
    peers = []
    for message in messages:
        for kind, payload, _ in walk(message.body[4:]):
            kind &= NLA_TYPE_MASK
            if kind == Device.LISTEN_PORT:
                port = integer(payload)
            elif kind == Device.FWMARK:
                mark = integer(payload)
            elif kind == Device.IFINDEX:
                index = integer(payload)
            elif kind == Device.IFNAME:
                name = payload.rstrip(b"\0").decode("latin-1")
            elif kind == Device.PRIVATE_KEY:
                private = payload
            elif kind == Device.PUBLIC_KEY:
                public = payload
            elif kind == Device.PEERS:
                for _, entry in entries(payload):
                    read_peer(peers, entry)
    return port, mark, index, name, private, public, peers


def read_peer(peers, entry):
    """One peer of a dump; the rest of one if it is the last one again."""
    found = {kind & NLA_TYPE_MASK: payload for kind, payload, _ in walk(entry)}
    public = found[Peer.PUBLIC_KEY]
    if not peers or peers[-1][0] != public:
        keepalive = integer(found.get(Peer.KEEPALIVE))
        peers.append((public, found.get(Peer.PRESHARED_KEY), keepalive, endpoint(found.get(Peer.ENDPOINT)), []))
    for _, one in entries(found.get(Peer.ALLOWEDIPS, b"")):
        fields = {kind & NLA_TYPE_MASK: payload for kind, payload, _ in walk(one)}
        family, length = integer(fields[AllowedIp.FAMILY]), integer(fields[AllowedIp.CIDR_MASK])
        peers[-1][4].append((family, fields[AllowedIp.IPADDR], length))
