#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Numbered datagrams, which say whether any of them overtook another.

send ADDRESS PORT SECONDS CPU   from this CPU, in storms with calms between them
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
SIZE, COUNT = 1200, 50
NUMBER = struct.Struct("<Q")


def datagram_socket(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_DGRAM)


class Flow:
    """Datagrams with ascending numbers, alone or many in one."""

    def __init__(self, address, port):
        self.socket = datagram_socket(address)
        self.socket.connect((address, port))
        self.next = 0
        self.bundle = bytearray(SIZE * COUNT)
        self.segments = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", SIZE))]

    def one(self, size):
        self.socket.send(NUMBER.pack(self.next).ljust(size, b"\0"))
        self.next += 1

    def many(self):
        for place in range(0, SIZE * COUNT, SIZE):
            NUMBER.pack_into(self.bundle, place, self.next)
            self.next += 1
        self.socket.sendmsg([self.bundle], self.segments)


def send(address, port, seconds, cpu):
    os.sched_setaffinity(0, [int(cpu)])
    flow = Flow(address, int(port))
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        storm = time.monotonic() + 0.3
        while time.monotonic() < storm:
            flow.many()
            # A packet that one CPU could see to on the spot, behind what others are busy with.
            flow.one(64)
            flow.one(1000)
        calm = time.monotonic() + 0.1
        while time.monotonic() < calm:
            flow.one(300)
            time.sleep(0.002)


def receive(address, port):
    sock = datagram_socket(address)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
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
        (number,) = NUMBER.unpack_from(buffer)
        last, count, late = flows.get(source, (-1, 0, 0))
        flows[source] = (max(last, number), count + 1, late + (number < last))


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
    {"send": send, "receive": receive, "helped": helped}[sys.argv[1]](*sys.argv[2:])
