#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Packets of all shapes, from all sides, by a seed. Runs inside shapes.sh, from where the namespaces a
and b are, with a tunnel between them.

    shapes.py NAMESPACES SEED SENDS
"""

import ctypes
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
import spaces
import tap
from background import Background
from shapes_below import Below
from shapes_packets import Payloads, Shapes
from vnet import (
    GSO_NONE,
    IFF_NAPI,
    IFF_NAPI_FRAGS,
    IFF_TAP,
    IFF_TUN,
    PACKET_VNET_HDR,
    SOL_PACKET,
    VNET,
    device,
)

SIOCGIFHWADDR = 0x8927
PACKET_STATISTICS, PACKET_QDISC_BYPASS, SO_ATTACH_FILTER = 6, 20, 26
SO_RCVBUFFORCE, SO_ZEROCOPY, MSG_ZEROCOPY, UDP_SEGMENT = 33, 60, 0x4000000, 103
ETH_P_ALL = 3
A4, B4, A6, B6 = "192.168.241.1", "192.168.241.2", "fd00::1", "fd00::2"
# Behind a.
BEHIND4, BEHIND6 = "192.168.243.9", "fd00:1::9"
# Accept all but TCP to the port that files are sent to.
FILES = 5000
NO_FILES = [(0x30, 0, 0, 0), (0x74, 0, 0, 4), (0x15, 0, 5, 4), (0x30, 0, 0, 9), (0x15, 0, 3, 6),
            (0xB1, 0, 0, 0), (0x48, 0, 0, 2), (0x15, 1, 0, FILES), (6, 0, 0, 1 << 18), (6, 0, 0, 0)]  # fmt: skip
# What is said of what comes out, and where an example is of what should not have.
REPORT, EXAMPLE = struct.Struct("=QQQQ"), 64
PATIENCE = float(os.environ.get("PATIENCE", 60))
POOL, POOL_LIFE = 400, 4000
FEATURES = ("gro", "gso", "tso", "tx-udp-segmentation", "rx-gro-list", "rx-udp-gro-forwarding", "sg", "tx")


class Bench:
    """What all parts share."""

    def __init__(self, prefix, seed):
        self.prefix, self.seed = prefix, seed
        self.payloads = Payloads(seed.encode())

    def enter(self, name):
        spaces.enter(self.prefix, name)

    def rnd(self, part):
        return random.Random(f"{self.seed}.{part}")

    def shapes(self, rnd, *pairs):
        return Shapes(rnd, self.payloads, *pairs)


def ip(*args, **options):
    subprocess.run(("ip",) + args, check=True, **options)


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


def below(bench, sends):
    return Below(bench).run(sends)


def judge(bench, report):
    """All that comes out of the tunnel at b must have gone in. Says how much it was in `report`, whose
    second number is of what had not; the third one is how many it could not look at, and the last that
    nothing is left. It looks for an end when there is a byte behind them."""
    bench.enter("b")
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 27)
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in NO_FILES))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxP", len(NO_FILES), ctypes.addressof(code)))
    sock.bind(("wg0", ETH_P_ALL))
    sock.settimeout(0.2)
    good = bad = lost = 0
    while True:
        try:
            packet, address = sock.recvfrom(66000)
        except TimeoutError:
            lost += struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
            ended = len(os.pread(report, 1, REPORT.size))
            os.pwrite(report, REPORT.pack(good, bad, lost, ended), 0)
            continue
        # Merged ones have several payloads in one.
        if address[2] == socket.PACKET_OUTGOING or packet[1] != GSO_NONE:
            continue
        packet = packet[VNET.size :]
        verdict = bench.payloads.judge(packet)
        if verdict is False:
            if not bad:
                os.pwrite(report, packet[:200], EXAMPLE)
            bad += 1
        good += verdict is True


def verdict_of(report):
    """What the other process says in the end: (good, bad, lost, whether nothing is left)."""
    os.pwrite(report, b"\1", REPORT.size)
    end = time.monotonic() + PATIENCE
    while True:
        out = REPORT.unpack(os.pread(report, REPORT.size, 0).ljust(REPORT.size, b"\0"))
        if out[-1] or time.monotonic() > end:
            return out
        time.sleep(0.1)


def give_file(out, file, size):
    done = 0
    while done < size:
        done += os.sendfile(out.fileno(), file.fileno(), done, size - done)


def files(bench):
    """A file whose pages are sent as they are, over TCP, and compared."""
    bench.enter("b")
    server = socket.create_server((B4, FILES))
    bench.enter("a")
    data = os.urandom(1 << 18)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        while True:
            with socket.create_connection((B4, FILES), 60) as out:
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
        seconds = time.monotonic() - begun
        for one in beside[1:]:
            one.end()
        good, bad, lost, ended = verdict_of(report)
        beside[0].end()
        tap.note(f"{4 * sends} sends in {seconds:.1f} s; {good} packets that came out were looked at, {lost} were not")
        tap.equal("what came out had gone in", (bad, os.pread(report, 200, EXAMPLE).hex()), (0, ""))
        tap.ok("nearly all of it was looked at", ended and lost * 20 <= good)
        tap.ok("and some did", good > sends // 20)


main()
