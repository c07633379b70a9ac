#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Numbered datagrams, which say whether any of them overtook another.

send ADDRESS PORT SECONDS CPU   from this CPU, in storms with calms between them
ask ADDRESS PORT SECONDS CPU    the same, but never so many ahead of the receiver that any queue would be
                                full; how many
receive ADDRESS PORT            until it is killed; then of all flows: datagrams, overtaken ones
helped                          how often the threads of workqueues have run
"""

import glob
import os
import signal
import socket
import struct
import sys
import time

SOL_UDP, UDP_SEGMENT = 17, 103
SO_RCVBUFFORCE = 33
SIZE, COUNT = 1200, 50
# The number, and whether the receiver is to say now and then how many it has.
NUMBER = struct.Struct("<Q?")
TOLD = struct.Struct("<Q")
# How often it does, how many may be under way, and for how many seconds none comes if some are lost.
TELL, WINDOW, LOST = 8, 200, 1


def datagram_socket(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_DGRAM)


class Flow:
    """Datagrams with ascending numbers, alone or many in one."""

    def __init__(self, address, port, ask=False):
        self.socket = datagram_socket(address)
        self.socket.connect((address, port))
        self.socket.settimeout(LOST)
        self.next, self.ask, self.told = 0, ask, 0
        self.bundle = bytearray(SIZE * COUNT)
        self.segments = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", SIZE))]

    def one(self, size):
        self.socket.send(NUMBER.pack(self.next, self.ask).ljust(size, b"\0"))
        self.next += 1

    def many(self):
        for place in range(0, SIZE * COUNT, SIZE):
            NUMBER.pack_into(self.bundle, place, self.next, self.ask)
            self.next += 1
        self.socket.sendmsg([self.bundle], self.segments)

    def wait(self):
        """Until there are few enough under way, if that is asked for. Returns whether it is so."""
        try:
            while self.ask and self.next - self.told > WINDOW:
                (self.told,) = TOLD.unpack(self.socket.recv(TOLD.size))
        except TimeoutError:
            return False
        return True


def send(address, port, seconds, cpu, ask=False):
    os.sched_setaffinity(0, [int(cpu)])
    flow = Flow(address, int(port), ask)
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end and flow.wait():
        storm = time.monotonic() + 0.3
        while time.monotonic() < storm and flow.wait():
            flow.many()
            # A packet that one CPU could see to on the spot, behind what others are busy with.
            flow.one(64)
            flow.one(1000)
        calm = time.monotonic() + 0.1
        while time.monotonic() < calm:
            flow.one(300)
            time.sleep(0.002)
    print(flow.next)


def ask(*arguments):
    send(*arguments, ask=True)


def receive(address, port):
    sock = datagram_socket(address)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
    sock.bind((address, int(port)))
    flows = {}

    def report(*_):
        received = sum(count for _, count, _ in flows.values())
        overtaken = sum(late for _, _, late in flows.values())
        print(len(flows), received, overtaken, flush=True)
        sys.exit()

    signal.signal(signal.SIGTERM, report)
    print("ready", flush=True)
    buffer = bytearray(2048)
    while True:
        _, source = sock.recvfrom_into(buffer)
        number, asked = NUMBER.unpack_from(buffer)
        last, count, late = flows.get(source, (-1, 0, 0))
        flows[source] = (max(last, number), count + 1, late + (number < last))
        if asked and count % TELL == 0:
            sock.sendto(TOLD.pack(count + 1), source)


def helped():
    times = 0
    # Those of the kernel are not in the namespace of a test.
    processes = os.environ.get("WG_ALL_PROCESSES", "/proc")
    for path in glob.glob(f"{processes}/[0-9]*/status"):
        try:
            with open(path, encoding="ascii") as file:
                fields = dict(line.split(":", 1) for line in file)
        except OSError:
            continue
        if fields["Name"].strip().startswith("kworker/"):
            times += int(fields["voluntary_ctxt_switches"])
    print(times)


if __name__ == "__main__":
    {"send": send, "ask": ask, "receive": receive, "helped": helped}[sys.argv[1]](*sys.argv[2:])
