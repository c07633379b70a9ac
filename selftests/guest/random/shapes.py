#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Packets of all shapes, from all sides, by a seed. Runs inside shapes.sh, from where the namespaces a
and b are, with a tunnel between them.

    shapes.py NAMESPACES SEED SENDS
"""

import base64
import fcntl
import mmap
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import noise
import nonces
import tap
from background import Background
from shapes_packets import GSO_NONE, GSO_UDP_L4, NEEDS_CSUM, VNET, Payloads, Shapes

TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NAPI, IFF_NAPI_FRAGS, IFF_NO_PI, IFF_VNET_HDR = (
    0x400454CA, 1, 2, 0x10, 0x20, 0x1000, 0x4000,
)  # fmt: skip
SIOCGIFHWADDR = 0x8927
SOL_PACKET, PACKET_VNET_HDR, PACKET_QDISC_BYPASS = 263, 15, 20
SO_RCVBUFFORCE, SO_ZEROCOPY, MSG_ZEROCOPY, UDP_SEGMENT = 33, 60, 0x4000000, 103
ETH_P_ALL = 3
PORT_B = 51822
A4, B4, A6, B6 = "192.168.241.1", "192.168.241.2", "fd00::1", "fd00::2"
# Behind a, and the scripted peer of b.
BEHIND4, BEHIND6, PEER4, PEER6 = "192.168.243.9", "fd00:1::9", "192.168.242.2", "fd00:2::2"
OUTER_B, OUTER_PEER = "10.1.0.1", "10.1.0.2"
POOL, POOL_LIFE = 400, 4000
FEATURES = ("gro", "gso", "tso", "tx-udp-segmentation", "rx-gro-list", "rx-udp-gro-forwarding", "sg", "tx")


class Bench:
    """What all parts share."""

    def __init__(self, prefix, seed):
        self.prefix, self.seed = prefix, seed
        self.payloads = Payloads(seed.encode())

    def enter(self, name):
        with open(f"/run/netns/{self.prefix}-{name}") as file:
            os.setns(file.fileno(), os.CLONE_NEWNET)

    def rnd(self, part):
        return random.Random(f"{self.seed}.{part}")

    def shapes(self, rnd, *pairs):
        return Shapes(rnd, self.payloads, *pairs)


def ip(*args, **options):
    subprocess.run(("ip",) + args, check=True, **options)


def device(name, flags):
    """A tun or tap device with offload headers; what is written to it, it receives."""
    number = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(number, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags | IFF_NO_PI | IFF_VNET_HDR))
    return number


def feed(sends, make, give):
    """Gives out of a pool of packets, which is made anew now and then. Those that are refused count."""
    pool, refused = [], 0
    for count in range(sends):
        if count % POOL_LIFE == 0:
            pool = [make() for _ in range(POOL)]
        try:
            give(pool[count * 7919 % POOL])
        except OSError:
            refused += 1
    return refused


def packets(bench, sends):
    """Packet sockets on the device, past its queue and through it."""
    bench.enter("a")
    rnd = bench.rnd("packets")
    shapes = bench.shapes(rnd, (A4, B4), (A6, B6))
    sockets = []
    for bypass in (0, 1):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        raw.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        raw.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, bypass)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
        sockets.append(raw)
    addresses = [("wg0", 0x0800), ("wg0", 0x86DD), ("wg0", ETH_P_ALL)]

    def give(packet):
        kind = (packet[VNET.size] >> 4 == 6) if packet[-1] & 31 else 2
        sockets[packet[-1] & 1].sendto(packet, socket.MSG_DONTWAIT, addresses[kind])

    return feed(sends, shapes.any, give)


def forwarded(bench, sends):
    """Packets that come in by another device, whole or in pieces, and are forwarded into the tunnel."""
    bench.enter("a")
    rnd = bench.rnd("forwarded")
    plain = device("tun0", IFF_TUN)
    pieces = device("tap0", IFF_TAP | IFF_NAPI | IFF_NAPI_FRAGS)
    for name in ("tun0", "tap0"):
        ip("link", "set", name, "up")
    ip("addr", "add", "192.168.243.1/24", "dev", "tun0")
    ip("addr", "add", "fd00:1::1/64", "dev", "tun0", "nodad")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_:
        address = fcntl.ioctl(any_, SIOCGIFHWADDR, struct.pack("40s", b"tap0"))[18:24]
    shapes = bench.shapes(rnd, (BEHIND4, B4), (BEHIND6, B6))

    def give(packet):
        header, packet = packet[: VNET.size], packet[VNET.size :]
        if packet[-1] & 1:
            os.write(plain, header + packet)
            return
        flags, kind, length, size, start, place = VNET.unpack(header)
        header = VNET.pack(flags, kind, min(length + 14, 65535), size, start and min(start + 14, 65535), place)
        head = address + bytes(5) + b"\2" + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00")
        # Each piece is one of the packet.
        step = max(len(packet) // (1 + packet[-1] % 13), 64)
        parts = [packet[at : at + step] for at in range(0, len(packet), step)]
        os.writev(pieces, [header + head + parts[0], *parts[1:16]])

    return feed(sends, shapes.any, give)


def own(bench, sends):
    """Sockets of the machine's own: datagrams in bundles, with the sender's memory."""
    bench.enter("a")
    rnd = bench.rnd("own")
    pairs = [(socket.AF_INET, B4), (socket.AF_INET6, B6)]
    sockets = []
    for family, target in pairs:
        one = socket.socket(family, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
        sockets.append((one, (target, 9)))
    memory = mmap.mmap(-1, 1 << 17)
    memory.write(rnd.choice(bench.payloads.all))

    def make():
        flags = rnd.choice((0, MSG_ZEROCOPY)) | socket.MSG_DONTWAIT
        size = rnd.choice((0, 1, 100, 500, 1000, 1200, 1392, 1500, 3000))
        ancillary = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", size))] if rnd.random() < 0.7 else []
        return rnd.choice(sockets), rnd.choice((1, size, 10 * size, rnd.randrange(60000))), ancillary, flags

    def give(one):
        (sock, target), size, ancillary, flags = one
        view = memoryview(memory)[:size]
        try:
            sock.sendmsg([view[: size // 3], view[size // 3 :]], ancillary, flags, target)
        finally:
            # Reports of memory that may be used again.
            for _ in range(4):
                try:
                    sock.recvmsg(1, 100, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
                except BlockingIOError:
                    break

    return feed(sends, make, give)


class Below:
    """The scripted peer of b, behind a device of b's with offload headers."""

    def __init__(self, bench):
        bench.enter("b")
        self.rnd = bench.rnd("below")
        self.device = device("tun1", IFF_TUN)
        ip("link", "set", "tun1", "up")
        ip("addr", "add", f"{OUTER_B}/24", "dev", "tun1")
        self.addresses = tuple(socket.inet_aton(one) for one in (OUTER_PEER, OUTER_B))
        self.key = noise.Key()
        key = base64.b64encode(self.key.public).decode()
        command = f"wg set wg0 peer {key} allowed-ips {PEER4}/32,{PEER6}/128"
        subprocess.run(command.split(), check=True)
        self.public = base64.b64decode(os.environ["PUB_B"])
        self.shapes = bench.shapes(self.rnd, (PEER4, B4), (PEER6, B6))
        self.session = None

    def outer(self, payload, kind=GSO_NONE, size=0, **lies):
        """A datagram, or a bundle, as a device receives it."""
        inner = noise.udp(*self.addresses, 4001, lies.pop("port", PORT_B), payload, **lies)
        if kind:
            # With the sum of the pseudo header.
            pseudo = b"".join(self.addresses) + struct.pack("!BBH", 0, 17, len(inner))
            inner = inner[:6] + struct.pack("!H", noise.checksum(pseudo) ^ 0xFFFF) + inner[8:]
        packet = noise.ipv4(*self.addresses, inner)
        return VNET.pack(NEEDS_CSUM if kind else 0, kind, 28, size, 20 if kind else 0, 6 if kind else 0) + packet

    def drain(self):
        out = []
        while True:
            try:
                out.append(os.read(self.device, 65600)[VNET.size :])
            except BlockingIOError:
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
                        self.session = session
                        return
            time.sleep(0.01)
        raise RuntimeError("no session")

    def message(self):
        """A message: most of them are of the session, of these some with what was never to be in one."""
        rnd, session = self.rnd, self.session
        what = rnd.random()
        if what < 0.7:
            header, packet = self.shapes.packet(1400)
            if rnd.random() < 0.3:
                header, packet = self.shapes.wrong(header, packet)
            packet += bytes(-len(packet) % 16 if rnd.random() < 0.9 else rnd.randrange(20))
            counter = session.counter
            if rnd.random() < 0.1:
                counter = max(counter + rnd.choice((-1, -5, -9000, 100)), 0)
            else:
                session.counter += 1
            return session.data(packet[:1420] if rnd.random() < 0.9 else b"", counter)
        kind = rnd.choice((0, 1, 1, 2, 3, 4, 4, 4, 4, 255))
        length = {1: 148, 2: 92, 3: 64}.get(kind, rnd.choice((16, 31, 32, 33, 48, 1000)))
        if rnd.random() < 0.3:
            length = rnd.choice((0, 1, 3, 4, 12, 15, 16, length - 1, length + 1))
        data = struct.pack("<II", kind, session.remote_index if rnd.random() < 0.6 else rnd.getrandbits(32))
        data = (data + rnd.randbytes(length))[:length]
        if kind == 1 and length == 148 and rnd.random() < 0.2:
            data = noise.add_macs(data[:116], self.public)
        return data

    def datagram(self):
        """One datagram, or a bundle, with sizes and sums that may be wrong."""
        rnd = self.rnd
        what = rnd.random()
        if what < 0.5:
            return self.outer(self.message())
        if what < 0.6:
            data = self.message()
            lies = rnd.choice(({"check": 0}, {"check": 1}, {"length": len(data)}, {"length": 4}, {"length": 65535}))
            return self.outer(data, **lies)
        # All as long as the first, but for the last.
        first = self.message() or b"\0"
        parts = [first]
        while sum(map(len, parts)) < 50000 and len(parts) < rnd.choice((2, 5, 40)):
            one = self.message()
            parts.append((one + bytes(len(first)))[: len(first)])
        if rnd.random() < 0.5:
            parts.append(self.message()[: len(first)])
        data = b"".join(parts)
        size = len(first) if rnd.random() < 0.7 else rnd.choice((1, 15, 16, 31, 32, 33, 1000, len(data), 65535))
        whole = self.outer(data[:65000], GSO_UDP_L4, size)
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
                os.write(self.device, self.datagram())
            except OSError:
                refused += 1
            if count % 16 == 0:
                self.drain()
        return refused


def below(bench, sends):
    return Below(bench).run(sends)


def judge(bench, report):
    """All that comes out of the tunnel at b must have gone in. Says how much it was in `report`, whose
    second number is of what had not."""
    bench.enter("b")
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    sock.bind(("wg0", ETH_P_ALL))
    good = bad = 0
    while True:
        packet, address = sock.recvfrom(66000)
        # Merged ones have several payloads in one.
        if address[2] == socket.PACKET_OUTGOING or packet[1] != GSO_NONE:
            continue
        packet = packet[VNET.size :]
        verdict = bench.payloads.judge(packet)
        if verdict is False:
            bad += 1
            os.pwrite(report, packet[:200], 64)
        good += verdict is True
        os.pwrite(report, struct.pack("=QQ", good, bad), 0)


def give_file(out, file, size):
    done = 0
    while done < size:
        done += os.sendfile(out.fileno(), file.fileno(), done, size - done)


def files(bench):
    """A file whose pages are sent as they are, over TCP, and compared."""
    bench.enter("b")
    server = socket.create_server((B4, 5000))
    bench.enter("a")
    data = os.urandom(1 << 18)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        while True:
            with socket.create_connection((B4, 5000), 60) as out:
                inside, _ = server.accept()
                inside.settimeout(60)
                # Python's time-out would have it not block.
                out.settimeout(None)
                sender = threading.Thread(target=give_file, args=(out, file, len(data)), daemon=True)
                sender.start()
                got = b""
                while len(got) < len(data) and (chunk := inside.recv(1 << 18)):
                    got += chunk
                sender.join()
                inside.close()
            if got != data:
                raise RuntimeError("a file is not what it was")


def changes(bench):
    """MTUs and offloads, at both ends."""
    rnd = bench.rnd("changes")
    while True:
        bench.enter(rnd.choice("ab"))
        name = rnd.choice(("wg0", "wg0", "eth0"))
        if rnd.random() < 0.4:
            mtu = rnd.choice((1280, 1420, 1420, 1500, 1300, 9000) if name == "wg0" else (1500, 1400, 9000))
            command = f"ip link set {name} mtu {mtu}"
        elif rnd.random() < 0.2:
            command = f"ip link set {name} gso_max_size {rnd.choice((2000, 16000, 65536))}"
        else:
            command = f"ethtool -K {name} {rnd.choice(FEATURES)} {rnd.choice(('on', 'off'))}"
        subprocess.run(command.split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.05)


def main():
    bench, sends = Bench(*sys.argv[1:3]), int(sys.argv[3])
    with tempfile.TemporaryFile() as file:
        report = file.fileno()
        begun = time.monotonic()
        beside = [
            Background("what comes out is looked at", judge, bench, report),
            Background("files are sent", files, bench),
            Background("devices change", changes, bench),
        ]
        jobs = {}
        parts = {"packets": packets, "forwarded": forwarded, "own": own, "below": below}
        for name, part in parts.items():
            job = os.fork()
            if not job:
                print(f"{name}: {part(bench, sends)} of {sends} refused", flush=True)
                os._exit(0)
            jobs[job] = name
        for job, name in jobs.items():
            tap.equal(f"{name}: comes to its end", os.waitpid(job, 0)[1], 0)
        for one in beside:
            one.end()
        seconds = time.monotonic() - begun
        good, bad = struct.unpack("=QQ", os.pread(report, 16, 0).ljust(16, b"\0"))
        tap.note(f"{4 * sends} sends in {seconds:.1f} s; {good} packets that came out were looked at")
        tap.equal("what came out had gone in", (bad, os.pread(report, 200, 64).hex()), (0, ""))
        tap.ok("and some did", good > sends // 20)


main()
