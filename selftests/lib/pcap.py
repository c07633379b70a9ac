#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints the UDP datagrams of a capture, one a line, as the tests like to compare them:

    FAMILY TOS DF SOURCE PORT DESTINATION PORT LENGTH TYPE

FAMILY is v4, v6 or, for a packet that is only a part of one, v4frag or v6frag (then only the
lengths of the parts' payloads follow the addresses). TOS is in hexadecimal, LENGTH is that of
the UDP payload and TYPE its first byte, which is WireGuard's message type.
"""

import socket
import struct
import sys


def packets(path):
    """The frames of a pcap file, each from its network header on."""
    with open(path, "rb") as file:
        data = file.read()
    magic = data[:4]
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    link_type = struct.unpack_from(order + "I", data, 20)[0]
    skip = {1: 14, 12: 0, 101: 0, 113: 16}[link_type]
    offset = 24
    while offset + 16 <= len(data):
        length = struct.unpack_from(order + "I", data, offset + 8)[0]
        offset += 16
        yield data[offset + skip : offset + length]
        offset += length


def udp(payload):
    """Ports, length and message type of a UDP datagram."""
    source, destination, length = struct.unpack_from("!HHH", payload)
    kind = payload[8] if len(payload) > 8 else "-"
    return source, destination, length - 8, kind


def describe(packet):
    """One line for a packet, or None for what is not UDP."""
    version = packet[0] >> 4
    if version == 4:
        header = (packet[0] & 15) * 4
        total, _, offset = struct.unpack_from("!HHH", packet, 2)
        source = socket.inet_ntop(socket.AF_INET, packet[12:16])
        destination = socket.inet_ntop(socket.AF_INET, packet[16:20])
        tos, df = packet[1], offset >> 14 & 1
        protocol, fragment = packet[9], offset & 0x3FFF
        payload = packet[header:total]
    elif version == 6:
        tos, df = struct.unpack_from("!I", packet)[0] >> 20 & 255, 0
        source = socket.inet_ntop(socket.AF_INET6, packet[8:24])
        destination = socket.inet_ntop(socket.AF_INET6, packet[24:40])
        protocol, payload = packet[6], packet[40:]
        fragment = protocol == 44
    else:
        return None
    if fragment:
        return f"v{version}frag {tos:02x} {df} {source} {destination} {len(payload)}"
    if protocol != 17:
        return None
    sport, dport, length, kind = udp(payload)
    return f"v{version} {tos:02x} {df} {source} {sport} {destination} {dport} {length} {kind}"


def main():
    for packet in packets(sys.argv[1]):
        line = describe(packet)
        if line:
            print(line)


if __name__ == "__main__":
    main()
