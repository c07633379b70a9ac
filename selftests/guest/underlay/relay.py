#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A tap device in each of two namespaces, and a process between them that takes large packets.

    relay.py NAMESPACE NAMESPACE DEVICE
"""

import fcntl
import os
import struct
import sys
import threading

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 2, 0x1000, 0x4000
CSUM, TSO4, TSO6, USO4, USO6 = 1, 2, 4, 0x20, 0x40


def tap(space, name):
    with open(space, "rb") as file:
        os.setns(file.fileno(), os.CLONE_NEWNET)
    number = os.open("/dev/net/tun", os.O_RDWR)
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
    fcntl.ioctl(number, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    fcntl.ioctl(number, TUNSETOFFLOAD, CSUM | TSO4 | TSO6 | USO4 | USO6)
    return number


def carry(from_, to):
    while True:
        frame = os.read(from_, 1 << 17)
        try:
            os.write(to, frame)
        except OSError:
            # The other end is down.
            pass


def main():
    one, other = (tap(space, sys.argv[3]) for space in sys.argv[1:3])
    threading.Thread(target=carry, args=(other, one), daemon=True).start()
    print("ready", flush=True)
    carry(one, other)


main()
