#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""memory.py SECONDS ADDRESS...: sends far more than can be encrypted, and prints two numbers.

The first is how much less memory was free meanwhile, at worst, the second how much less is once all
is over, both in kB.
"""

import socket
import sys
import time

SOL_UDP, UDP_SEGMENT, SO_SNDBUFFORCE = 17, 103, 32
SIZE, COUNT = 1200, 50
SOCKETS, BUFFER = 64, 8 << 20


def free():
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name == "MemFree":
                return int(value.split()[0])
    raise RuntimeError("no MemFree")


def sender(address):
    """A socket to which a lot may be given that is not sent yet."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, BUFFER)
    sock.setsockopt(SOL_UDP, UDP_SEGMENT, SIZE)
    sock.setblocking(False)
    sock.connect((address, 7000))
    return sock


def main():
    seconds, addresses = float(sys.argv[1]), sys.argv[2:]
    senders = [sender(addresses[n % len(addresses)]) for n in range(SOCKETS)]
    bundle = bytes(SIZE * COUNT)
    before = least = free()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for one in senders:
            try:
                one.send(bundle)
            except (BlockingIOError, ConnectionRefusedError):
                pass
        least = min(least, free())
    # What is on its way comes to its end, and what CPUs keep for later is given back.
    after, deadline = free(), time.monotonic() + 20
    while before - after > 8192 and time.monotonic() < deadline:
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("3")
        time.sleep(0.2)
        after = free()
    print(before - least, before - after)


if __name__ == "__main__":
    main()
