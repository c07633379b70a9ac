#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# hooks.py SECONDS: has the kernel list netfilter's hooks for what is received, over and over.
# Prints how often it did.

import socket
import struct
import sys
import time

NETLINK_NETFILTER = 12
NFNL_SUBSYS_HOOK = 12
NLM_F_REQUEST_DUMP = 0x301
NLMSG_ERROR = 2
NLMSG_DONE = 3
NFNLA_HOOK_HOOKNUM = 1
NF_INET_LOCAL_IN = 1


def request(family):
    attribute = struct.pack("=HH", 8, NFNLA_HOOK_HOOKNUM) + struct.pack(">I", NF_INET_LOCAL_IN)
    body = struct.pack("=BBH", family, 0, 0) + attribute
    return struct.pack("=IHHII", 16 + len(body), NFNL_SUBSYS_HOOK << 8, NLM_F_REQUEST_DUMP, 1, 0) + body


def listing(sock, message):
    """Has it list those of one family, and says whether it did."""
    sock.send(message)
    while True:
        kind = struct.unpack_from("=H", sock.recv(65536), 4)[0]
        if kind in (NLMSG_DONE, NLMSG_ERROR):
            return kind == NLMSG_DONE


def main():
    until = time.monotonic() + float(sys.argv[1])
    requests = [request(socket.AF_INET), request(socket.AF_INET6)]
    count = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        while time.monotonic() < until:
            for message in requests:
                if not listing(sock, message):
                    sys.exit("the kernel does not list hooks")
                count += 1
    print(count)


main()
