#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Has a BPF program look at what leaves by a device, attached by a link, until it is ended: no qdisc
and no filter shows that.

    tcx.py DEVICE
"""

import signal
import socket
import struct
import sys

from bpf import END, LINK_CREATE, bpf, load

TCX_EGRESS = 47


def main():
    # Whatever it is, it goes on.
    program = load(END)
    bpf(LINK_CREATE, struct.pack("=III", program, socket.if_nametoindex(sys.argv[1]), TCX_EGRESS))
    print("attached", flush=True)
    signal.pause()


main()
