#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sends TCP segments to an interface by way of a packet socket with offload headers.

usage: packet.py DEVICE SOURCE TARGET COUNT HEADER...

HEADER is virtio_net_hdr's fields with commas between them: flags, GSO type, length of headers, GSO
size, start of what is summed, offset of the sum. Prints for each how sending it ended. The segments
carry COUNT bytes to port 9.
"""

import os
import socket
import struct
import sys

SOL_PACKET, PACKET_VNET_HDR = 263, 15


def total(data):
    """The sum of RFC 1071, not inverted."""
    data += b"\0" * (len(data) % 2)
    number = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while number >> 16:
        number = (number & 0xFFFF) + (number >> 16)
    return number


def packet(source, target, count):
    """A TCP segment, however large, with the sum of the pseudo header, as offloads want it."""
    source, target = socket.inet_aton(source), socket.inet_aton(target)
    length = 20 + count
    pseudo = total(source + target + struct.pack("!HH", 6, length))
    tcp = struct.pack("!HHIIBBHHH", 4000, 9, 1, 1, 0x50, 0x10, 1000, pseudo, 0)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 1, 0, 64, 6, 0) + source + target
    header = header[:10] + struct.pack("!H", total(header) ^ 0xFFFF) + header[12:]
    return header + tcp + os.urandom(count)


def main():
    device, source, target, count = sys.argv[1:5]
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    raw.bind((device, 0x0800))
    for fields in sys.argv[5:]:
        header = struct.pack("=BBHHHH", *map(int, fields.split(",")))
        try:
            raw.send(header + packet(source, target, int(count)))
            print(fields, "sent")
        except OSError as error:
            print(fields, os.strerror(error.errno))


if __name__ == "__main__":
    main()
