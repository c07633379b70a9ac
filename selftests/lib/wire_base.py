# SPDX-License-Identifier: GPL-2.0
"""What the parts of the wire test share: a hostile peer, its sockets, and packets to put inside."""

import itertools
import os
import random
import socket
import struct
import time

import noise
import tap
from lab import HOSTILE4, INNER4, INNER6, Hostile, ip, pack4, pack6
from noise import ipv4, ipv6, udp
from wgnl import Peer, attr, endpoint4

NUMBERS = itertools.count(1)
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


class Base:
    """A device, and a peer P of it that will not behave."""

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

    def answered(self, message, wire=None):
        """Sends an initiation and reads the response."""
        time.sleep(0.05)
        (wire or self.first).send(message)
        return (wire or self.first).receive()

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
