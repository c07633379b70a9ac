#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Has a BPF program look at what leaves by a device, attached by a link, until it is ended: no qdisc
and no filter shows that.

    tcx.py DEVICE
"""

import ctypes
import os
import signal
import socket
import struct
import sys

SYS_BPF = 321
PROG_LOAD, LINK_CREATE = 5, 28
SCHED_CLS, TCX_EGRESS = 3, 47
# Whatever it is, it goes on: r0 = -1, exit.
CODE = struct.pack("=BBhi", 0xB7, 0, 0, -1) + struct.pack("=BBhi", 0x95, 0, 0, 0)

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    attributes = attributes.ljust(128, b"\0")
    number = libc.syscall(SYS_BPF, command, attributes, len(attributes))
    if number < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return number


def main():
    code, licence = ctypes.create_string_buffer(CODE), ctypes.create_string_buffer(b"GPL")
    where, terms = ctypes.addressof(code), ctypes.addressof(licence)
    program = bpf(PROG_LOAD, struct.pack("=IIQQ", SCHED_CLS, len(CODE) // 8, where, terms))
    bpf(LINK_CREATE, struct.pack("=III", program, socket.if_nametoindex(sys.argv[1]), TCX_EGRESS))
    print("attached", flush=True)
    signal.pause()


main()
