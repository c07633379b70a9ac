#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Pins a BPF program, for a filter of a device with Ethernet's headers, that sends a clone of each IPv4 packet
to an address by another device.

    cloning.py ADDRESS DEVICE PATH
"""

import socket
import struct
import sys

from bpf import END, R0, R1, R2, R3, R6, call, copy, instruction, load, move, pin

CLONE_REDIRECT = 13
TARGET = 14 + 16


def main():
    address, device, path = sys.argv[1:]
    (number,) = struct.unpack("!i", socket.inet_aton(address))
    clone = copy(R1, R6) + move(R2, socket.if_nametoindex(device)) + move(R3, 0) + call(CLONE_REDIRECT)
    # What is loaded from the packet is in R0.
    read = copy(R6, R1) + instruction(0x20, value=TARGET)
    pin(load(read + instruction(0x56, R0, offset=len(clone) // 8, value=number) + clone + END), path)


main()
