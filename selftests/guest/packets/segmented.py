#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""GSO packets that go through the tunnel and past it. Runs inside segmented.sh, from where the namespaces
a, b and c are.

    segmented.py NAMESPACES SEED PACKETS
"""

import itertools
import os
import random
import socket
import struct
import subprocess
import sys
import time

import spaces
import tap
from noise import checksum, ipv4, ipv6
from vnet import GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, IFF_TUN, NEEDS_CSUM, VNET, device

TCP, UDP, OPTIONS = 6, 17, 60
SO_RCVBUFFORCE, ETH_P_ALL = 33, 3
MTU = 1420
# What is on its way at a time, in bytes and packets: queues have room for that.
MOST_BYTES, MOST_PACKETS = 150000, 400
PATIENCE = float(os.environ.get("PATIENCE", 60))
# As the module has it.
FIXED_ID = 0xF1ED
PAIRS = [
    tuple(socket.inet_pton(family, one) for one in pair)
    for family, pair in (
        (socket.AF_INET, ("192.168.243.9", "192.168.244.9")),
        (socket.AF_INET6, ("fd00:1::9", "fd00:4::9")),
    )
]
# The port of what says that a batch is over.
END = 7


class Flow:
    """Packets that follow each other, or nearly do."""

    def __init__(self, rnd, merged):
        self.rnd = rnd
        self.source, self.target = rnd.choice(PAIRS)
        self.v4 = len(self.source) == 4
        self.protocol = rnd.choice((TCP, TCP, UDP))
        self.ports = rnd.randrange(4000, 4004), rnd.randrange(9000, 9002)
        self.tos = rnd.choice((0, rnd.randrange(256)))
        self.ttl = rnd.choice((64, rnd.randrange(3, 256)))
        self.ident = rnd.choice((0, 0xFFF0, FIXED_ID, rnd.randrange(65536)))
        self.fragment = rnd.choice((0, 0x4000, 0x4000, 0x8000))
        self.label = rnd.choice((0, rnd.randrange(1 << 20)))
        self.ip_options = rnd.choice((b"",) * 6 + (bytes([1] * rnd.choice((4, 8, 40))),))
        # The kernel loses what it has merged behind such a header.
        extension = b"" if merged else bytes((self.protocol, 0, 1, 4, 0, 0, 0, 0))
        self.extension = rnd.choice((b"",) * 9 + (extension,))
        self.seq = rnd.choice((1, 0xFFFFF000, rnd.randrange(1 << 32)))
        self.ack, self.window, self.urgent = rnd.randrange(1 << 32), rnd.randrange(65536), 0
        # No others are in packets that are merged, and where an urgent pointer is, the kernel does not look.
        self.bits = 0xC9 if merged else 0xFF
        self.fields = "seq seq seq ack window tos ttl ident label flags options fragment".split()
        self.fields += [] if merged else ["urgent"]
        self.flags = rnd.choice((0x10,) * 6 + (0x10 | rnd.randrange(256) & self.bits,) * 2)
        self.reserved = rnd.choice((0, 0, 0, 1, rnd.randrange(16)))
        stamp = b"\1\1\x08\x0a" + rnd.randbytes(8)
        self.options = rnd.choice((b"", stamp, stamp, bytes([1] * rnd.choice((4, 20, 40)))))
        self.room = MTU - len(self.transport(0, 0)) - len(self.network(0))
        sizes = rnd.randrange(8, self.room), 16 * rnd.randrange(1, 85), 8, self.room + rnd.randrange(-9, 9)
        self.size = rnd.choice((self.room,) * 4 + sizes)
        self.content = rnd.randbytes(64000)
        self.at = 0

    def change(self):
        """A field is another one, by little."""
        rnd = self.rnd
        what = rnd.choice(self.fields)
        if what == "options":
            self.options = self.options[:-1] + bytes([rnd.choice((0, 1, rnd.randrange(256)))]) if self.options else b""
        elif what == "fragment":
            self.fragment ^= rnd.choice((0x4000, 0x8000))
        elif what == "flags":
            self.flags ^= 1 << rnd.randrange(8) & self.bits
        else:
            bits = {"seq": 32, "ack": 32, "label": 20, "tos": 8, "ttl": 7}.get(what, 16)
            by = rnd.choice((1, -1, self.size, -self.size, 1 << rnd.randrange(bits)))
            setattr(self, what, (getattr(self, what) + by) % (1 << bits))
            self.ttl = max(self.ttl, 3)

    def network(self, length):
        """The headers before the transport's, of so many bytes behind them."""
        if self.v4:
            lies = {"ident": self.ident, "fragment": self.fragment, "total": 20 + len(self.ip_options) + length}
            return ipv4(self.source, self.target, b"", self.protocol, self.tos, self.ttl, self.ip_options, **lies)
        body = self.extension
        protocol = OPTIONS if body else self.protocol
        head = ipv6(self.source, self.target, body, protocol, 0, length=len(body) + length)
        first = 6 << 28 | self.tos << 20 | self.label
        return struct.pack("!I", first) + head[4:7] + bytes((self.ttl,)) + head[8:]

    def transport(self, length, sum_):
        if self.protocol == UDP:
            return struct.pack("!HHHH", *self.ports, 8 + length, sum_)
        words = (20 + len(self.options)) // 4
        head = struct.pack("!HHII", *self.ports, self.seq, self.ack)
        head += struct.pack("!BBHHH", words << 4 | self.reserved, self.flags, self.window, sum_, self.urgent)
        return head + self.options

    def packet(self, length, trusted):
        """(offload header, packet, number of segments), with the sum of the pseudo header."""
        rnd = self.rnd
        if self.at + length > len(self.content):
            self.at = 0
        payload = self.content[self.at : self.at + length]
        whole = len(self.transport(0, 0)) + length
        if self.v4:
            pseudo = struct.pack("!BBH", 0, self.protocol, whole)
        else:
            pseudo = struct.pack("!IHBB", whole, 0, 0, self.protocol)
        sum_ = checksum(self.source + self.target + pseudo) ^ 0xFFFF
        if trusted is None:
            sum_ ^= rnd.randrange(1, 65536)
        network = self.network(whole)
        transport = self.transport(length, sum_)
        kind, size, count = GSO_NONE, 0, 1
        if length > self.size:
            kind = GSO_UDP_L4 if self.protocol == UDP else GSO_TCPV4 if self.v4 else GSO_TCPV6
            size, count = self.size, -(-length // self.size)
            if self.protocol == TCP and self.flags & 0x80 and rnd.random() < 0.3:
                kind |= GSO_ECN
        header = VNET.pack(
            NEEDS_CSUM, kind, len(network) + len(transport), size, len(network), 6 if self.protocol == UDP else 16
        )
        # What follows.
        self.at += length
        self.seq = (self.seq + length) % (1 << 32)
        self.ident = (self.ident + (0 if self.ident == FIXED_ID else count)) % 65536
        return header, network + transport + payload, count

    def lengths(self, most):
        """How much payload the next packets have."""
        rnd = self.rnd
        segments = min(most // self.size, 60000 // self.size, 128)
        for _ in range(rnd.choice((1, 1, 2, 5))):
            count = rnd.choice((1, 2, rnd.randrange(1, max(segments, 1) + 1), segments))
            yield max(min(count * self.size - rnd.choice((0, 0, 1, rnd.randrange(self.size))), 60000), 1)


class Bench:
    def __init__(self, prefix, seed):
        self.prefix, self.rnd = prefix, random.Random(seed)
        self.enter("a")
        self.devices = {}
        for name in ("trusted", "program"):
            self.devices[name] = []
            for number in range(2):
                self.devices[name].append(device(f"{name}{number}", IFF_TUN))
                subprocess.run(f"ip link set {name}{number} up mtu 1500".split(), check=True)
        subprocess.run("ip route add 192.168.243.0/24 dev program0".split(), check=True)
        subprocess.run("ip route add fd00:1::/64 dev program0".split(), check=True)
        self.enter("c")
        self.ends = []
        for number in range(2):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
            sock.bind((f"way{number}", ETH_P_ALL))
            sock.settimeout(PATIENCE / 4)
            self.ends.append(sock)
        self.number = 0

    def enter(self, name):
        spaces.enter(self.prefix, name)

    def batch(self, merged):
        """Packets that are on their way together: (name of the device, bytes)."""
        rnd, out, left, segments = self.rnd, [], MOST_BYTES, MOST_PACKETS
        while left > 0 and segments > 0 and len(out) < 20:
            flow = Flow(rnd, merged)
            # What is merged is taken to have right sums.
            trusted = rnd.choice((True, True, False) if merged else (True, True, False, None))
            for length in flow.lengths(min(left, segments * flow.size)):
                header, packet, count = flow.packet(length, trusted)
                if count > segments:
                    break
                out.append(("trusted" if trusted else "program", header + packet))
                left -= len(packet)
                segments -= count
                if rnd.random() < 0.3:
                    flow.change()
        return out

    def end(self):
        """A datagram that is the last of a batch."""
        self.number += 1
        body = struct.pack("!HHHHI", END, END, 12, 0, self.number)
        return VNET.pack(0, GSO_NONE, 0, 0, 0, 0) + ipv4(*PAIRS[0], body, UDP)

    def received(self, sock, least=0):
        """All of a batch, which may still come when the end has come by itself."""
        out, ended = [], False
        while not ended or len(out) < least:
            try:
                packet, address = sock.recvfrom(66000)
            except TimeoutError:
                tap.note(f"batch {self.number}: {len(out)} packets, no more come; its end: {ended}")
                break
            # Others are of neighbours, routers and groups.
            if address[2] != socket.PACKET_HOST or address[1] not in (0x0800, 0x86DD):
                continue
            if packet[20:24] == struct.pack("!HH", END, END) and packet[9:10] == b"\x11":
                ended |= struct.unpack_from("!I", packet, 28)[0] == self.number
                continue
            # Neighbours that are looked for.
            if packet[0] >> 4 == 6 and packet[6] == 58:
                continue
            out.append(packet)
        return out

    def send(self, batch, merged):
        """By both ways; what comes out of either."""
        last = self.end()
        for number in range(2):
            for name, packet in (*batch, ("program", last)):
                try:
                    os.write(self.devices[name][number], packet)
                except OSError:
                    # It is no packet, by either way.
                    pass
        for each in self.devices.values():
            for number in each:
                try:
                    # What the sender is told.
                    while os.read(number, 66000):
                        pass
                except BlockingIOError:
                    pass
        kernel = self.received(self.ends[1])
        # One flow may overtake another when they are merged.
        return self.received(self.ends[0], len(kernel) if merged else 0), kernel


def merging(bench, on):
    """Whether the tunnel's end merges packets."""
    bench.enter("b")
    subprocess.run(["ethtool", "-K", "wg0", "gro", "on" if on else "off"], check=True, stdout=subprocess.DEVNULL)


def with_one_zero(packet):
    """A packet of TCP whose sum, if it is one of the two that mean zero, is 0: whoever merges counts anew."""
    v4 = packet[0] >> 4 == 4
    at = (packet[0] & 15) * 4 + 16 if v4 else 56
    if packet[9 if v4 else 6] == TCP and packet[at : at + 2] == b"\xff\xff":
        packet = packet[:at] + b"\0\0" + packet[at + 2 :]
    return packet


def difference(tunnel, kernel):
    """The first packets that are not the same."""
    for at, (one, other) in enumerate(zip(tunnel + [b""], kernel + [b""])):
        if one != other:
            return (f"packet {at} of {len(tunnel)}, {len(kernel)}", one[:120].hex(), other[:120].hex(),
                    [n for n, pair in enumerate(zip(one, other)) if pair[0] != pair[1]][:20])  # fmt: skip
    return None


def main():
    bench, left = Bench(*sys.argv[1:3]), int(sys.argv[3])
    begun, seen = time.monotonic(), 0
    sent = {False: 0, True: 0}
    wrong = {False: [], True: []}
    for merged in itertools.cycle(wrong):
        if left <= 0 or any(wrong.values()):
            break
        merging(bench, merged)
        for _ in range(5):
            batch = bench.batch(merged)
            ways = bench.send(batch, merged)
            if merged:
                ways = [sorted(map(with_one_zero, way)) for way in ways]
            found = difference(*ways)
            if found:
                wrong[merged].append(found)
            left -= len(batch)
            sent[merged] += len(batch)
            seen += len(ways[1])
    seconds = time.monotonic() - begun
    tap.note(f"{sent[False]} packets and {sent[True]} to be merged, {seen} when segmented, in {seconds:.1f} s")
    tap.equal("what leaves the tunnel is what the kernel makes of it", wrong[False][:3], [])
    tap.equal("and so is what was merged and segmented again", wrong[True][:3], [])
    tap.ok("there were many, of either kind", seen > 5 * sum(sent.values()) and all(sent.values()))


main()
