#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sockets whose packets a device keeps that the module of contract.sh has. Runs inside contract.sh, for
`waiting` or `found`, with a namespace to be reached.

The device keeps what it is to send to 10.9.7.0/24, until it is taken down.
"""

import os
import socket
import subprocess
import sys
import time

import tap
from lab import wait_until

THERE = ("10.9.7.2", 7)
FOUND = ("10.9.7.1", 9)
DEVICE = "contract0"
# More than a slab has.
OTHERS = 400


class There:
    """Another namespace."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY)
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def socket(self, *kind):
        os.setns(self.fd, os.CLONE_NEWNET)
        try:
            return socket.socket(*kind)
        finally:
            os.setns(self.home, os.CLONE_NEWNET)


def ip(command):
    subprocess.run(["ip", *command.split()], check=True)


def sent():
    """How many packets the device was to send."""
    with open(f"/sys/class/net/{DEVICE}/statistics/tx_dropped", encoding="ascii") as file:
        return int(file.read())


def references():
    """Those to sockets that wait for the other side's last words, or in TIME_WAIT. There is one more while
    a packet for such a socket is looked at.
    """
    with open("/proc/thread-self/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    return [int(row[10]) for row in rows if row[3] in ("05", "06")]


def waiting(there):
    listener = there.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(THERE)
    listener.listen()
    ours = socket.create_connection(THERE)
    theirs, _ = listener.accept()
    ours.close()
    time.sleep(0.5)
    before = references()
    tap.equal("one is left of a closed connection", len(before), 1)
    ip(f"route replace {THERE[0]} dev {DEVICE}")
    so_far = sent()
    # What acknowledges this is not seen, so it is repeated.
    theirs.close()
    time.sleep(3)
    tap.ok("it answers", sent() - so_far >= 2)
    wait_until(lambda: references() == before)
    tap.equal("its answers, which are kept, do not refer to it", references(), before)
    ip(f"link set {DEVICE} down")


def found(there):
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(FOUND)
    sender = there.socket(socket.AF_INET, socket.SOCK_DGRAM)
    so_far = sent()
    for _ in range(20):
        sender.sendto(bytes(100), FOUND)
    time.sleep(0.5)
    tap.equal("packets of a socket that a program has found", sent() - so_far, 20)
    bound.close()
    time.sleep(1)
    # One of these is where it was.
    others = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(OTHERS)]
    ip(f"link set {DEVICE} down")
    for other in others:
        other.close()
    tap.ok("others are not taken for it", True)


def main():
    {"waiting": waiting, "found": found}[sys.argv[1]](There(sys.argv[2]))


if __name__ == "__main__":
    main()
