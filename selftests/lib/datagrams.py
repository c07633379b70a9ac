#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Datagrams from one socket to another, and how many of them arrive.

usage: datagrams.py send ADDRESS COUNT [SECONDS]   COUNT datagrams at once, again and again for SECONDS
       datagrams.py count ADDRESS SECONDS          prints how many have come when there was none for SECONDS,
                                                   or none at all for three times as long
"""

import socket
import sys
import time

PORT = 9
LENGTH = 16
# Of <linux/udp.h>: what one call sends becomes datagrams of that length.
UDP_SEGMENT = 103
AT_ONCE = 60


def send(address, count, seconds=0.0):
    """Sends as many as the call takes at once, and does not wait for room."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUFFORCE, 64 << 20)
    sock.connect((address, PORT))
    sock.setblocking(False)
    end = time.monotonic() + seconds
    while True:
        left = count
        while left:
            now = min(left, AT_ONCE)
            sock.setsockopt(socket.SOL_UDP, UDP_SEGMENT, LENGTH if now > 1 else 0)
            try:
                sock.send(bytes(LENGTH * now))
            except (BlockingIOError, ConnectionRefusedError):
                pass
            left -= now
        if time.monotonic() >= end:
            return


def count(address, seconds):
    """Counts what comes, until nothing does."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, PORT))
    sock.settimeout(3 * seconds)
    number = 0
    try:
        while True:
            sock.recv(LENGTH)
            number += 1
            sock.settimeout(seconds)
    except TimeoutError:
        print(number)


if __name__ == "__main__":
    socket.SO_SNDBUFFORCE = getattr(socket, "SO_SNDBUFFORCE", 32)
    socket.SOL_UDP = getattr(socket, "SOL_UDP", 17)
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]), *map(float, sys.argv[4:]))
    else:
        count(sys.argv[2], float(sys.argv[3]))
