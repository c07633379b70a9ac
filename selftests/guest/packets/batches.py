#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Batches of packets, in both directions. Runs inside batches.sh."""

import array
import contextlib
import fcntl
import itertools
import os
import random
import socket
import struct
import subprocess
import sys
import time

import noise
import tap
from lab import HOSTILE4, INNER4, INNER6, Lab, pack4, wait_until
from noise import checksum, ipv4
from wgnl import Peer, attr, endpoint4
from wire_base import PLAIN4, PLAIN6, Base, padded

SOL_UDP, UDP_SEGMENT = 17, 103
SIOCOUTQ = 0x5411
FAULTS = "/sys/kernel/debug/fail_page_alloc"
COUNTERS = (
    "rx_packets rx_bytes rx_errors rx_dropped tx_packets tx_bytes tx_errors tx_dropped".split()
)


def segments(sender, payload, size, target):
    """One send that is a GSO packet of several datagrams."""
    sender.sendmsg([payload], [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))], 0, target)


def udp_is_sound(packet):
    """Is the checksum of the UDP datagram in this IP packet right?"""
    if packet[0] >> 4 == 4:
        length = struct.unpack_from("!H", packet, 2)[0]
        addresses, body = packet[12:20], packet[20:length]
        pseudo = addresses + struct.pack("!BBH", 0, 17, len(body))
    else:
        length = 40 + struct.unpack_from("!H", packet, 4)[0]
        addresses, body = packet[8:40], packet[40:length]
        pseudo = addresses + struct.pack("!IHBB", len(body), 0, 0, 17)
    return checksum(pseudo + body) == 0


@contextlib.contextmanager
def no_pages():
    """Our driver gets no pages for what it makes of several messages, or several of. The in-tree one asks
    for none, and gets its slabs."""
    with open("/proc/kallsyms") as file:
        lines = [line.split() for line in file if line.endswith("[wireguard]\n")]
    text = sorted((int(line[0], 16), line[2]) for line in lines if line[1] in "tT")
    ours = [n for n, (_, name) in enumerate(text) if name.endswith("5Pages5alloc")]
    first, last = (ours[0], ours[0] + 1) if ours else (0, 0)
    settings = {
        "stacktrace-depth": 32,
        "require-start": hex(text[first][0]),
        "require-end": hex(text[last][0]),
        "ignore-gfp-wait": "N",
        "min-order": 0,
        "verbose": 0,
        "interval": 1,
        "times": -1,
        "space": 0,
        "probability": 100,
    }
    try:
        for name, value in settings.items():
            set_fault(name, value)
        yield bool(ours)
    finally:
        set_fault("probability", 0)


def can_fail():
    """Does the kernel have pages that cannot be had?"""
    # The namespace has a /sys of its own.
    if not os.path.isdir(FAULTS):
        subprocess.run(["mount", "-t", "debugfs", "none", "/sys/kernel/debug"], check=False)
    if os.path.isdir(FAULTS):
        return True
    tap.ok("a kernel that can has none", os.environ.get("WG_KERNEL") != "debug")
    return False


def get_fault(name):
    with open(f"{FAULTS}/{name}") as file:
        return int(file.read())


def set_fault(name, value):
    """Sets one of what the kernel has for pages that cannot be had."""
    with open(f"{FAULTS}/{name}", "w") as file:
        file.write(str(value))


class Batches(Base):
    """A device, and a peer P that gets and sends a lot."""

    def sums(self):
        snapshot = self.lab.snapshot()
        return {name: snapshot[name] for name in COUNTERS} | {
            name: snapshot[name] for name in ("P.rx", "P.tx")
        }

    def since(self, before):
        return {name: value - before[name] for name, value in self.sums().items()}

    def calm(self):
        """Waits until what is on its way has come to its end, and then for a probe."""
        # A machine that is busy elsewhere may do nothing for some tenths of a second.
        recent = []

        def still():
            recent.append(self.sums())
            time.sleep(0.2)
            return len(recent) > 5 and all(sums == recent[-1] for sums in recent[-6:])

        wait_until(still, 60)
        self.lab.probe()

    def outgoing(self):
        tap.note("GSO packets to be sent")
        self.peer.handshake(self.first)
        self.lab.probe()
        self.lab.settle()
        for family, source, target in (
            (socket.AF_INET, INNER4, PLAIN4),
            (socket.AF_INET6, INNER6, PLAIN6),
        ):
            sender = socket.socket(family, socket.SOCK_DGRAM)
            sender.bind((source, 0))
            what = "IPv4" if family == socket.AF_INET else "IPv6"
            before = self.sums()
            header = 28 if what == "IPv4" else 48
            texts = [bytes([n]) * 500 for n in range(10)] + [b"tail"]
            segments(sender, b"".join(texts), 500, (target, 7001))
            messages = self.in_order(what, header, texts)
            if not messages:
                continue
            tap.equal(
                f"SK-6 {what}: eleven segments, a datagram each",
                [len(m) for m in messages],
                [32 + len(padded(bytes(header + len(text)))) for text in texts],
            )
            size = sum(map(len, messages))
            wanted = before | {
                name: before[name] + value
                for name, value in (("tx_packets", 11), ("tx_bytes", size), ("P.tx", size))
            }
            tap.ok(
                f"CNT-4 {what}: and counted one by one",
                wait_until(lambda: self.sums() == wanted, 5),
                str(self.since(before)),
            )
            sender.sendto(b"x" * 100, (target, 7001))
            opened = self.peer.session.open(self.first.receive() or b"")
            sound = opened and udp_is_sound(opened[1])
            tap.ok(f"TX-13 {what}: the checksum of a single packet is right", sound)
            sender.close()
        self.first.send(self.peer.session.data())

    def in_order(self, what, header, texts):
        """Receives a message for each of the texts, which it holds behind so many bytes of headers."""
        messages = list(itertools.takewhile(bool, (self.first.receive() for _ in texts)))
        opened = [self.peer.session.open(message) for message in messages]
        whole = len(opened) == len(texts) and all(opened)
        if not tap.ok(f"TX-7 {what}: all can be opened", whole, f"{len(opened)} of {len(texts)}"):
            return None
        counters = [counter for counter, _ in opened]
        tap.equal(
            f"TX-7 TX-11 {what}: with consecutive counters",
            counters,
            list(range(counters[0], counters[0] + len(texts))),
        )
        held = zip(opened, texts)
        wrong = [n for n, ((_, plain), text) in enumerate(held) if not plain[header:].startswith(text)]
        tap.equal(f"TX-7 {what}: in order", wrong, [])
        sound = all(udp_is_sound(plain) for _, plain in opened)
        tap.ok(f"TX-13 {what}: inner checksums are right", sound)
        return messages

    def waiting(self):
        tap.note("what waits for a handshake")
        fresh, wire = self.fresh("W")
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind((INNER4, 0))
        before = self.sums()
        for _ in range(200):
            sender.sendto(b"x" * 100, (fresh.inner_address, 7001))
        tap.equal("TX-8 singles: the oldest beyond 129 go", self.since(before)["tx_dropped"], 71)
        queued = array.array("i", [-1])
        fcntl.ioctl(sender, SIOCOUTQ, queued)
        tap.equal("TX-9 the others do not count for their socket", queued[0], 0)
        segments(sender, b"y" * 5000, 500, (fresh.inner_address, 7001))
        tap.equal(
            "TX-8 a batch of ten takes the place of one", self.since(before)["tx_dropped"], 72
        )
        segments(sender, b"z" * 5000, 500, (fresh.inner_address, 7001))
        tap.equal("TX-8 and the next one of ten", self.since(before)["tx_dropped"], 82)
        fresh.remove()
        tap.equal("TX-8 138 were left", self.since(before)["tx_dropped"], 220)
        sender.close()

    def incoming(self):
        tap.note("bundles of messages")
        session = self.peer.handshake(self.first)
        self.lab.settle()
        before = self.sums()
        messages = [session.data(padded(self.packet4(b"%03d" % n))) for n in range(64)]
        size = len(messages[0])
        segments(self.first.socket, b"".join(messages), size, self.first.target)
        got = [(self.arrived(limit=10) or (None,))[0] for _ in range(64)]
        tap.equal(
            "BAD-14 RX-16 64 messages in a bundle are delivered",
            got,
            [b"%03d" % n for n in range(64)],
        )
        wanted = {"rx_packets": 64, "rx_bytes": 64 * size, "P.rx": 64 * size}
        changed = {name: value for name, value in self.since(before).items() if value}
        tap.equal("BAD-14 RX-16 and counted, each for itself", changed, wanted)
        newer = self.peer.handshake(self.first)
        both = [(session, newer)[n % 2].data(padded(self.packet4(b"%03d" % n))) for n in range(64)]
        segments(self.first.socket, b"".join(both), size, self.first.target)
        got = sorted((self.arrived(limit=10) or (b"",))[0] for _ in range(64))
        tap.equal("BAD-14 RX-16 of two sessions in a bundle, all", got, [b"%03d" % n for n in range(64)])
        session = newer
        self.lab.settle()
        before = self.sums()
        mixed = []
        for n in range(60):
            message = bytearray(session.data(padded(self.packet4(b"%03d" % n))))
            if n % 3 == 0:
                message[20] ^= 1
            if n % 3 == 1:
                message[0] = 5
            mixed.append(bytes(message))
        segments(self.first.socket, b"".join(mixed), size, self.first.target)
        got = [(self.arrived(limit=10) or (None,))[0] for _ in range(20)]
        wanted = [b"%03d" % n for n in range(2, 60, 3)]
        tap.equal("BAD-14 of good and bad ones the good ones", got, wanted)
        tap.ok("BAD-14 and no others", self.nothing_arrived())
        self.lab.settle()
        self.lab.expect(
            "BAD-14 64 pieces of garbage: silence",
            lambda: segments(self.first.socket, os.urandom(64 * 148), 148, self.first.target),
            self.sessions,
        )

    def merged(self):
        tap.note("GRO of inner packets")
        self.peer.handshake(self.first)
        self.lab.settle()
        self.stream("40 segments", [(1000 * n, 1000) for n in range(40)])
        self.stream("40 short segments", [(10 * n, 10) for n in range(40)])
        # Each eighth one is missing.
        gaps = [(10 * n, 10) for n in range(45) if n % 8 != 7]
        self.stream("40 short segments with gaps", gaps)
        self.stream("40 segments with gaps", [(100 * at, 1000) for at, _ in gaps])

    def scarce(self):
        tap.note("messages for which there are no pages")
        if not can_fail():
            return
        device = f"--net={sys.argv[1]}", "ethtool", "-K", "eth0", "tx-udp-segmentation"
        for what, whole in (("whole", "on"), ("apart", "off")):
            subprocess.run(["nsenter", *device, whole], check=True, stdout=subprocess.DEVNULL)
            self.peer.handshake(self.first)
            self.lab.settle()
            with no_pages() as ours:
                set_fault("times", 1000)
                self.stream(f"40 segments that come {what}", [(1000 * n, 1000) for n in range(40)])
                left = get_fault("times")
                self.stream("the same with gaps", [(1200 * n, 1000) for n in range(40) if n % 8])
            if os.environ["WG_DRIVER"] == "rust":
                refused = ours and left < 1000
                tap.ok(f"{what}: there were none", refused, f"{1000 - left} times")
            self.stream(f"{what}: with pages again", [(1000 * n, 1000) for n in range(40)])

    def unbundled(self):
        tap.note("GSO packets for which there are no pages")
        if not can_fail():
            return
        self.peer.handshake(self.first)
        self.lab.probe()
        self.lab.settle()
        # The first allocation is of eight pages, and takes thirty messages.
        for size, count, space, which in (500, 10, 0, "no pages"), (1000, 40, 9, "only the first"):
            texts = [bytes([n]) * size for n in range(count)] + [b"tail"]
            for family, source, target, header in (
                (socket.AF_INET, INNER4, PLAIN4, 28),
                (socket.AF_INET6, INNER6, PLAIN6, 48),
            ):
                what = f"{which}, {'IPv4' if family == socket.AF_INET else 'IPv6'}"
                with socket.socket(family, socket.SOCK_DGRAM) as sender, no_pages() as ours:
                    sender.bind((source, 0))
                    set_fault("times", 1000)
                    set_fault("space", space)
                    segments(sender, b"".join(texts), size, (target, 7001))
                    self.in_order(what, header, texts)
                    left, room = get_fault("times"), get_fault("space")
                if os.environ["WG_DRIVER"] == "rust":
                    tap.ok(f"{what}: there were no others", ours and left < 1000, f"{1000 - left} times")
                    tap.equal(f"{what}: but as many as there were to be", room, min(space, 1))
        self.first.send(self.peer.session.data())

    def stream(self, what, pieces):
        """One bundle of segments of a TCP connection, given where each is and how long."""
        tapped = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        tapped.bind(("wg0", 0x0800))
        # To an address that is nobody's, so that nobody answers.
        target = pack4("192.168.99.1")
        content = random.Random(what).randbytes(sum(pieces[-1]))
        messages = []
        for at, length in pieces:
            header = struct.pack("!HHIIBBHHH", 1000, 2000, 1 + at, 1, 5 << 4, 0x10, 9999, 0, 0)
            body = header + content[at : at + length]
            pseudo = pack4(PLAIN4) + target + struct.pack("!BBH", 0, 6, len(body))
            body = body[:16] + struct.pack("!H", checksum(pseudo + body)) + body[18:]
            ident = len(messages)
            packet = ipv4(
                pack4(PLAIN4), target, body, protocol=6, fragment=0x4000, ident=ident
            )
            messages.append(self.peer.session.data(padded(packet)))
        count = len(messages)
        before = self.sums()
        size = len(messages[0])
        segments(self.first.socket, b"".join(messages), size, self.first.target)
        wait_until(lambda: self.since(before)["rx_packets"] == count, 10)
        changed = {name: value for name, value in self.since(before).items() if value}
        tap.equal(
            f"RX-16 {what} of TCP count as {count}",
            changed,
            {"rx_packets": count, "rx_bytes": count * size, "P.rx": count * size},
        )
        packets = []
        tapped.settimeout(1)
        try:
            while True:
                packet = tapped.recv(65536)
                at = struct.unpack_from("!I", packet, 24)[0] - 1
                packets.append((at, packet[40:]))
        except TimeoutError:
            pass
        total = sum(len(payload) for _, payload in packets)
        tap.equal(f"RX-16 {what}: none is missing", total, sum(length for _, length in pieces))
        wrong = [at for at, payload in packets if payload != content[at : at + len(payload)]]
        tap.equal(f"RX-16 {what}: what they hold was not changed", wrong, [])
        tap.note(f"{len(packets)} packets after GRO")
        tapped.close()

    def lengths(self):
        tap.note("packets of every length, alone and in bundles")
        session = self.peer.handshake(self.first)
        self.lab.settle()
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind((INNER4, 0))
        content = random.Random(1).randbytes(1392)

        def sent(length, count):
            """Whether packets of that length become messages that hold just them."""
            payload = content[:length]
            if count == 1:
                sender.sendto(payload, (PLAIN4, 7001))
            else:
                segments(sender, payload * count, length, (PLAIN4, 7001))
            padded_len = min(-(-(28 + length) // 16) * 16, 1420)
            for _ in range(count):
                _, plain = self.peer.session.open(self.first.receive() or b"") or (0, b"")
                rest = bytes(padded_len - 28 - length)
                if not udp_is_sound(plain) or plain[28:] != payload + rest:
                    return False
            return True

        def received(length, count, padding):
            """Whether the contents of so many messages of that length are delivered."""
            packet = self.packet4(content[:length])
            messages = [session.data(packet + padding) for _ in range(count)]
            if count == 1:
                self.first.send(messages[0])
            else:
                # The second one is forged.
                forged = bytearray(messages[1])
                forged[-1] ^= 0x80
                messages[1] = bytes(forged)
                size = len(forged)
                segments(self.first.socket, b"".join(messages), size, self.first.target)
            return all(
                (self.arrived(limit=10) or (None,))[0] == content[:length]
                for _ in range(count - (count > 1))
            )

        # All that matter: of each remainder, by 16 and by 64 bytes, and around multiples of 512.
        every = sorted({*range(1, 130), *range(130, 1392, 13), *range(420, 490), *range(930, 1000),
                        *range(1300, 1393)})  # fmt: skip
        for what, wrong in (
            ("TX-13 sent alone", [n for n in every if not sent(n, 1)]),
            ("TX-7 sent as a GSO packet", [n for n in every if not sent(n, 5)]),
            ("RX-16 received alone", [n for n in every if not received(n, 1, b"")]),
            ("BAD-14 received in a bundle", [n for n in every if not received(n, 5, b"")]),
            ("BAD-14 the same, padded", [n for n in every if not received(n, 5, bytes(16))]),
        ):
            tap.equal(f"{what}: lengths that were not", wrong, [])
        tap.ok("RX-16 nothing more was delivered", self.nothing_arrived())
        sender.close()
        self.first.send(self.peer.session.data())

    def floods(self):
        tap.note("more than there is room for")
        session = self.peer.handshake(self.first)
        self.lab.settle()
        # What arrives is not read: only counters matter.
        before = self.sums()
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind((INNER4, 0))
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)
        count = 0
        payload = b"x" * 64 * 20
        for _ in range(1500):
            segments(sender, payload, 20, (PLAIN4, 7001))
            count += 64
        self.calm()
        changed = self.since(before)
        passed = changed["tx_packets"] - 1
        tap.note(f"{passed} of {count} packets were sent")
        tap.ok("TX-10 of a flood some or all is sent", 1000 <= passed <= count + 9, str(changed))
        tap.equal("TX-10 the peer counts the same", changed["P.tx"], changed["tx_bytes"] - 92)
        tap.equal(
            "TX-10 the rest is counted nowhere",
            (changed["tx_dropped"], changed["tx_errors"], changed["rx_errors"]),
            (0, 0, 0),
        )
        sender.close()
        self.first.drain()
        session = self.peer.handshake(self.first)
        self.lab.settle()
        plain = padded(self.packet4(target="192.168.99.1"))
        messages = [session.data(plain) for _ in range(19200)]
        size = len(messages[0])
        bundles = [b"".join(messages[n : n + 64]) for n in range(0, len(messages), 64)]
        before = self.sums()
        for bundle in bundles:
            segments(self.first.socket, bundle, size, self.first.target)
        self.calm()
        changed = self.since(before)
        passed = changed["rx_packets"] - 1
        tap.note(f"{passed} of {len(messages)} messages were received")
        tap.ok(
            "RX-6 of a flood some or all is received", 1000 <= passed <= len(messages), str(changed)
        )
        tap.equal(
            "RX-6 device and peer count what was",
            (changed["rx_bytes"] - 148, changed["P.rx"]),
            (passed * size, passed * size),
        )
        tap.equal(
            "RX-6 the rest is counted nowhere",
            (changed["rx_dropped"], changed["rx_errors"]),
            (0, 0),
        )
        self.lab.settle()
        self.receive_ok("RX-6 and the session goes on", self.packet4())


def main():
    noise.self_check()
    test = Batches(Lab(sys.argv[1]))
    test.lab.configure(
        attr(Peer.PUBLIC_KEY, test.peer.key.public)
        + attr(Peer.ENDPOINT, endpoint4(HOSTILE4, test.first.port))
    )
    test.lab.probe()
    for part in sys.argv[2:] or ("outgoing", "waiting", "incoming", "lengths", "merged", "scarce", "unbundled", "floods"):
        getattr(test, part)()


main()
