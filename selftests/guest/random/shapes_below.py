# SPDX-License-Identifier: GPL-2.0
"""The scripted peer of shapes.py."""

import base64
import os
import socket
import struct
import subprocess
import time

import noise
import nonces
from vnet import GSO_NONE, GSO_UDP_L4, IFF_TUN, NEEDS_CSUM, VNET, device

UDP_SEGMENT = 103
PORT, PORT_B = 4001, 51822
# At b, the peer's, and of nobody.
B4, B6 = "192.168.241.2", "fd00::2"
PEER4, PEER6, NOBODY4, NOBODY6 = "192.168.242.2", "fd00:2::2", "192.168.242.3", "fd00:2::3"
# By the device below, and by the cable.
OUTER_B, OUTER_PEER, OUTER6_B, OUTER6_PEER = "10.1.0.1", "10.1.0.2", "fd00:b::1", "fd00:b::2"
CABLE = (socket.AF_INET, "10.0.0.2"), (socket.AF_INET6, "fd00:aa::2")


class Below:
    """The scripted peer of b, behind a device of b's with offload headers. It has sockets as well, whose
    bundles come by the cable: these are the kernel's own, and not a program's."""

    def __init__(self, bench):
        bench.enter("a")
        self.sockets = []
        for family, address in CABLE:
            sock = nonces.scripted(socket.socket(family, socket.SOCK_DGRAM))
            sock.setblocking(False)
            self.sockets.append((sock, (address, PORT_B)))
        bench.enter("b")
        self.rnd = bench.rnd("below")
        self.device = device("tun1", IFF_TUN)
        for command in (
            "ip link set tun1 up",
            f"ip addr add {OUTER_B}/24 dev tun1",
            f"ip addr add {OUTER6_B}/64 dev tun1 nodad",
        ):
            subprocess.run(command.split(), check=True)
        self.ways = [
            tuple(socket.inet_pton(family, one) for one in pair)
            for family, pair in (
                (socket.AF_INET, (OUTER_PEER, OUTER_B)),
                (socket.AF_INET6, (OUTER6_PEER, OUTER6_B)),
            )
        ]
        self.key = noise.Key()
        key = base64.b64encode(self.key.public).decode()
        command = f"wg set wg0 peer {key} allowed-ips {PEER4}/32,{PEER6}/128"
        subprocess.run(command.split(), check=True)
        self.public = base64.b64decode(os.environ["PUB_B"])
        self.shapes = bench.shapes(self.rnd, (PEER4, B4), (PEER6, B6))
        self.strange = bench.shapes(self.rnd, (NOBODY4, B4), (NOBODY6, B6))
        # The last two.
        self.sessions = []

    def outer(self, payload, kind=GSO_NONE, size=0, start=None, v6=False, **lies):
        """A datagram, or a bundle, as a device receives it. `start` is where its sum is said to begin."""
        addresses = self.ways[v6]
        inner = noise.udp(*addresses, PORT, PORT_B, payload, **lies)
        headers = 40 if v6 else 20
        if kind:
            # With the sum of the pseudo header.
            pseudo = struct.pack("!IHBB" if v6 else "!xBH", *((len(inner), 0, 0, 17) if v6 else (17, len(inner))))
            sum_ = noise.checksum(b"".join(addresses) + pseudo) ^ 0xFFFF
            inner = inner[:6] + struct.pack("!H", sum_) + inner[8:]
        packet = noise.ipv6(*addresses, inner) if v6 else noise.ipv4(*addresses, inner)
        start = headers if start is None else start
        header = (NEEDS_CSUM, kind, headers + 8, size, start, 6) if kind else (0, 0, headers + 8, 0, 0, 0)
        return VNET.pack(*header) + packet

    def drain(self):
        out = []
        while True:
            try:
                out.append(os.read(self.device, 65600)[VNET.size :])
            except BlockingIOError:
                break
        for sock, _ in self.sockets:
            try:
                while True:
                    sock.recv(65536)
            except OSError:
                # Also if it was told that something was not received.
                pass
        return out

    def handshake(self):
        """A session, as soon as there is one again."""
        self.drain()
        initiator = noise.Initiator(self.key, self.public)
        os.write(self.device, self.outer(initiator.initiation()))
        end = time.monotonic() + 5
        while time.monotonic() < end:
            for packet in self.drain():
                if packet[9:10] == b"\x11" and len(packet) == 28 + noise.RESPONSE_LEN:
                    session = initiator.finish(packet[28:])
                    if session:
                        self.sessions = self.sessions[-1:] + [session]
                        return
            time.sleep(0.01)
        raise RuntimeError("no session")

    def inner(self, shapes, most=1400, **options):
        """A packet, padded."""
        header, packet = shapes.packet(most, **options)
        if "vain" not in options and self.rnd.random() < 0.3:
            header, packet = shapes.wrong(header, packet)
        return packet + bytes(-len(packet) % 16 if self.rnd.random() < 0.9 else self.rnd.randrange(20))

    def in_vain(self):
        """A message that is good, for a datagram that is not."""
        return self.rnd.choice(self.sessions).data(self.inner(self.shapes, vain=True))

    def refused(self):
        """A message that is not to be taken, whatever it is in."""
        rnd, what = self.rnd, self.rnd.randrange(5)
        if what == 0:
            return rnd.choice(self.sessions).data(self.inner(self.strange, vain=True))
        data = bytearray(self.in_vain())
        if what == 1:
            data[rnd.randrange(4)] ^= 1 << rnd.randrange(8)
        elif what == 2:
            # The counter is not that of the message.
            data[8 + rnd.randrange(8)] ^= 1 << rnd.randrange(8)
        else:
            place = rnd.randrange(16, len(data))
            data[place] ^= 1 << rnd.randrange(8)
            if what == 4:
                del data[place + 1 :]
        return bytes(data)

    def message(self):
        """A message: most of them are of a session, of these some with what was never to be in one."""
        rnd = self.rnd
        what = rnd.random()
        if what < 0.65:
            session = rnd.choice(self.sessions)
            packet = self.inner(self.shapes)
            counter = session.counter
            if rnd.random() < 0.1:
                counter = max(counter + rnd.choice((-1, -5, -9000, 100)), 0)
            else:
                session.counter += 1
            return session.data(packet[:1420] if rnd.random() < 0.9 else b"", counter)
        if what < 0.7:
            return self.refused()
        session = self.sessions[-1]
        kind = rnd.choice((0, 1, 1, 2, 3, 4, 4, 4, 4, 255))
        length = {1: 148, 2: 92, 3: 64}.get(kind, rnd.choice((16, 31, 32, 33, 48, 1000)))
        if rnd.random() < 0.3:
            length = rnd.choice((0, 1, 3, 4, 12, 15, 16, length - 1, length + 1))
        data = struct.pack("<II", kind, session.remote_index if rnd.random() < 0.6 else rnd.getrandbits(32))
        data = (data + rnd.randbytes(length))[:length]
        if kind == 1 and length == 148 and rnd.random() < 0.2:
            data = noise.add_macs(data[:116], self.public)
        return data

    def parts(self, make):
        """Messages of a bundle: all as long as the first, but for the last."""
        rnd = self.rnd
        first = make() or b"\0"
        parts = [first]
        while sum(map(len, parts)) < 50000 and len(parts) < rnd.choice((2, 5, 40)):
            parts.append((make() + bytes(len(first)))[: len(first)])
        if rnd.random() < 0.5:
            parts.append(make()[: len(first)])
        return parts

    def of_liar(self):
        """A datagram whose headers are wrong, and so all that is in it is in vain."""
        rnd, v6 = self.rnd, self.rnd.random() < 0.5
        what = rnd.randrange(4)
        if what == 0:
            # The kernel segments none whose sum is in another place than that of UDP.
            parts = self.parts(self.in_vain)
            start = rnd.choice((24, 28, 32, 36)) + 20 * v6
            return self.outer(b"".join(parts)[:65000], GSO_UDP_L4, len(parts[0]), start, v6)
        data = self.in_vain()
        if what == 1:
            # To IPv6, one of no length is as long as there are bytes.
            packet = self.outer(data, v6=v6)
            place = VNET.size + (44 if v6 else 24)
            length, check = struct.unpack_from("!HH", packet, place)
            total = (check ^ 0xFFFF) + (length ^ 0xFFFF)
            check = (total + (total >> 16) & 0xFFFF) ^ 0xFFFF or 0xFFFF
            return packet[:place] + struct.pack("!HH", 0, check) + packet[place + 4 :]
        if what == 2:
            return self.outer(data, v6=v6, length=rnd.choice((4, 7, len(data), 9 + len(data), 65535)))
        packet = self.outer(data, v6=v6)
        place = VNET.size + (46 if v6 else 26)
        (right,) = struct.unpack_from("!H", packet, place)
        # Zero would be none.
        return packet[:place] + struct.pack("!H", right ^ 0x0102 or right ^ 0x0204) + packet[place + 2 :]

    def send(self):
        """One datagram, or a bundle, with sizes and sums that may be wrong."""
        rnd, v6 = self.rnd, self.rnd.random() < 0.2
        what = rnd.random()
        if what < 0.2:
            sock, target = rnd.choice(self.sockets)
            parts = self.parts(self.message) if rnd.random() < 0.7 else [self.message()]
            size = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", len(parts[0])))]
            sock.sendmsg(parts, size if len(parts) > 1 else [], 0, target)
            return
        if what < 0.3:
            whole = self.of_liar()
        elif what < 0.6:
            whole = self.outer(self.message(), v6=v6, **rnd.choice(({}, {}, {}, {"check": 0})))
        else:
            whole = self.bundle(v6)
        os.write(self.device, whole)

    def bundle(self, v6):
        """A bundle of a program."""
        rnd = self.rnd
        parts = self.parts(self.message)
        first, data = parts[0], b"".join(parts)
        size = len(first) if rnd.random() < 0.7 else rnd.choice((1, 15, 16, 31, 32, 33, 1000, len(data), 65535))
        whole = self.outer(data[:65000], GSO_UDP_L4, size, v6=v6)
        if rnd.random() < 0.1:
            header = list(VNET.unpack_from(whole))
            header[rnd.randrange(4)] = rnd.choice((0, 1, 3, 5, 28, 1000, 65535))
            whole = VNET.pack(*(one & 255 if at < 2 else one for at, one in enumerate(header))) + whole[VNET.size :]
        if rnd.random() < 0.05:
            whole = whole[: rnd.randrange(12, len(whole))]
        return whole

    def run(self, sends):
        refused = 0
        for count in range(sends):
            # Before it is too old, and another one now and then.
            if count % 3000 == 0:
                self.handshake()
            try:
                self.send()
            except OSError:
                refused += 1
            if count % 16 == 0:
                self.drain()
        return refused
