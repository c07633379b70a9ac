# SPDX-License-Identifier: GPL-2.0
"""latency.py SECONDS ADDRESS: a real-time task on each CPU, and what is in its way.

Each wakes up every two milliseconds, and then sends a datagram to itself by the loopback device, which
takes what a CPU's softirqs take, and every fifth time one to ADDRESS. How late it woke up, and how long
either took, is measured; a line for each of the three has the median, the 99th percentile and the
maximum, in microseconds, of all CPUs, and how many there were.
"""

import ctypes
import os
import socket
import struct
import sys
import time

PERIOD = 2_000_000
PRIORITY = 80
KINDS = ("wake-up", "loopback", "tunnel")
CLOCK_MONOTONIC = 1
TIMER_ABSTIME = 1
MCL_CURRENT, MCL_FUTURE = 1, 2

libc = ctypes.CDLL(None, use_errno=True)


class Timespec(ctypes.Structure):
    """A point in time."""

    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


def sleep_until(when):
    at = Timespec(when // 1_000_000_000, when % 1_000_000_000)
    while libc.clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, ctypes.byref(at), None):
        pass


def measure(cpu, seconds, address):
    """Yields (kind, nanoseconds) on a CPU."""
    os.sched_setaffinity(0, {cpu})
    libc.mlockall(MCL_CURRENT | MCL_FUTURE)
    loopback = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    loopback.bind(("127.0.0.1", 0))
    loopback.connect(loopback.getsockname())
    tunnel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tunnel.connect((address, 9))
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    clock = time.monotonic_ns
    when = clock() + PERIOD
    count = 0
    end = when + int(seconds * 1e9)
    while when < end:
        sleep_until(when)
        before = clock()
        yield 0, before - when
        before = clock()
        loopback.send(b"x")
        loopback.recv(1)
        yield 1, clock() - before
        count += 1
        if count % 5 == 0:
            before = clock()
            try:
                tunnel.send(bytes(64))
            except OSError:
                # What nobody listens to is answered so.
                pass
            yield 2, clock() - before
        # What was missed is not made up for.
        when = max(when + PERIOD, clock())


def child(cpu, seconds, address, output):
    found = list(measure(cpu, seconds, address))
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with os.fdopen(output, "wb") as pipe:
        pipe.write(b"".join(struct.pack("=Bq", *one) for one in found))


def main():
    seconds, address = float(sys.argv[1]), sys.argv[2]
    pipes = []
    for cpu in sorted(os.sched_getaffinity(0)):
        reader, writer = os.pipe()
        if not os.fork():
            os.close(reader)
            child(cpu, seconds, address, writer)
            os._exit(0)
        os.close(writer)
        pipes.append(reader)
    found = [[] for _ in KINDS]
    for pipe in pipes:
        with os.fdopen(pipe, "rb") as reader:
            for kind, took in struct.iter_unpack("=Bq", reader.read()):
                found[kind].append(took)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    for name, some in zip(KINDS, found):
        some.sort()
        figures = some[len(some) // 2], some[len(some) * 99 // 100], some[-1]
        print(name, *(f"{figure / 1000:.0f}" for figure in figures), len(some))


main()
