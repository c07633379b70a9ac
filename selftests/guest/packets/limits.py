#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What waits to be decrypted, or to be sent, while real-time tasks have all CPUs. Runs inside limits.sh."""

import contextlib
import os
import select
import signal
import socket
import struct
import sys
import time

import noise
import tap
from lab import HOSTILE4, INNER4, PATIENCE, Lab, wait_until
from wgnl import Peer, attr, endpoint4
from wire_base import PLAIN4, Base, padded

SOL_UDP, UDP_SEGMENT, SO_SNDBUFFORCE = 17, 103, 32
OTHER4 = "192.168.242.7"
# Messages that the in-tree driver has wait for a peer, as ours does on their way out, and that wait at most to
# be decrypted for a session of ours.
QUEUE, SESSION = 1024, 2048
# A CPU may have taken some before it was taken itself.
SLACK = 32
# Messages in one large datagram.
LARGE = 64
RUST = os.environ["WG_DRIVER"] == "rust"
THREADED = "/sys/class/net/wg0/threaded"


@contextlib.contextmanager
def hogged():
    """Nothing runs but this, and softirqs that it is interrupted by."""
    cpus = sorted(os.sched_getaffinity(0))
    hogs, (there, told) = [], os.pipe()
    for cpu in cpus[1:]:
        child = os.fork()
        if not child:
            try:
                os.sched_setaffinity(0, {cpu})
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
                os.write(told, b"1")
                while True:
                    pass
            finally:
                os._exit(1)
        hogs.append(child)
    os.sched_setaffinity(0, {cpus[0]})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    try:
        # A CPU of a busy machine may take its time.
        for _ in hogs:
            if not select.select([there], [], [], PATIENCE)[0]:
                raise TimeoutError("a CPU was not taken")
            os.read(there, 1)
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(0, set(cpus))
        for hog in hogs:
            os.kill(hog, signal.SIGKILL)
            os.waitpid(hog, 0)
        os.close(there)
        os.close(told)


def instances():
    """How many NAPI instances our driver has, among which sessions are divided."""
    with open("/sys/devices/system/cpu/possible") as file:
        return int(file.read().split("-")[-1]) + 1


class Limits(Base):
    """A device, and a peer P that sends more than there is room for."""

    def session(self):
        session = self.peer.handshake(self.first)
        self.first.send(session.data())
        self.lab.settle()
        return session

    def pair(self):
        """Two sessions that share what there is."""
        last = self.session()
        while True:
            session = self.session()
            if (session.remote_index - last.remote_index) % instances() == 0:
                return last, session
            last = session

    def quiet(self, counter):
        """Waits until all is quiet."""
        recent = []

        def same():
            recent.append(self.lab.snapshot()[counter])
            time.sleep(0.2)
            return len(recent) > 5 and len(set(recent[-6:])) == 1

        wait_until(same, 60)

    def received(self, before):
        """What was received in the end, in messages and bytes."""
        self.quiet("rx_packets")
        after = self.lab.snapshot()
        return after["rx_packets"] - before["rx_packets"], after["rx_bytes"] - before["rx_bytes"]

    def messages(self, session, count, size):
        plain = padded(self.packet4(payload=bytes(size), target="192.168.99.1"))
        return [session.data(plain) for _ in range(count)]

    def send(self, messages):
        size = len(messages[0])
        for n in range(0, len(messages), LARGE):
            bundle = b"".join(messages[n : n + LARGE])
            self.first.socket.sendmsg(
                [bundle], [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))], 0, self.first.target
            )

    def short(self):
        tap.note("many messages")
        first, second = self.pair()
        many = self.messages(first, 6000, 20)
        few = self.messages(second, 500, 120)
        before = self.lab.snapshot()
        with hogged():
            self.send(many)
            self.send(few)
        count, size = self.received(before)
        long = (size - count * len(many[0])) // (len(few[0]) - len(many[0]))
        short = count - long
        tap.note(f"{short} of {len(many)} messages were received, and {long} of {len(few)} of another session")
        most = SESSION if RUST else QUEUE
        tap.ok("RX-6 a session has a queue", short >= QUEUE - SLACK, f"{short} of {len(many)}")
        tap.ok("RX-6 which has an end", short < most + 2 * LARGE, f"{short} of {len(many)}")
        if RUST:
            tap.equal("RX-6 and leaves room for another session", long, len(few))

    def long(self):
        tap.note("long messages")
        session = self.session()
        messages = self.messages(session, 400, 30000)
        before = self.lab.snapshot()
        with hogged():
            for message in messages:
                self.first.send(message)
        count, _ = self.received(before)
        tap.note(f"{count} of {len(messages)} messages were received")
        tap.ok("RX-6 some of what is long is received", count >= 32, f"{count} of {len(messages)}")
        if RUST:
            # As much as many short ones, whatever each takes up besides its length.
            most = SESSION * 4096 // len(messages[0])
            tap.ok("RX-6 and not all", count <= most + 1, f"{count} of {len(messages)}, and not {most}")

    def sent(self):
        tap.note("what is to be sent")
        self.other.handshake(self.second)
        self.session()
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 24)
        sender.bind((INNER4, 0))
        many, few = QUEUE + 500, 100
        before = self.lab.snapshot()
        with hogged():
            for _ in range(many):
                sender.sendto(bytes(20), (PLAIN4, 7001))
            for _ in range(few):
                sender.sendto(bytes(20), (OTHER4, 7001))
        self.quiet("tx_packets")
        after = self.lab.snapshot()
        # 20 and 8 bytes of headers, and those of a message.
        first, second = ((after[one] - before[one]) // (48 + 32) for one in ("P.tx", "R.tx"))
        tap.note(f"{first} of {many} packets were sent, and {second} of {few} to another peer")
        tap.ok("TX-10 a peer has a queue of 1024", QUEUE - SLACK <= first <= QUEUE + SLACK, str(first))
        if RUST:
            tap.equal("TX-10 and leaves room for another one", second, few)
        sender.close()

    def goes_on(self):
        self.peer.handshake(self.first)
        self.lab.settle()
        self.receive_ok("RX-6 all is as ever", self.packet4())


def main():
    noise.self_check()
    test = Limits(Lab(sys.argv[1]))
    if RUST:
        # By tasks, that the hogs keep from it, as the in-tree driver's always are.
        with open(THREADED, "w") as file:
            file.write("1")
    test.lab.configure(
        attr(Peer.PUBLIC_KEY, test.peer.key.public)
        + attr(Peer.ENDPOINT, endpoint4(HOSTILE4, test.first.port))
    )
    test.lab.probe()
    for part in sys.argv[2:] or ("short", "long", "sent", "goes_on"):
        getattr(test, part)()


main()
