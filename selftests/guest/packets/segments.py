#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""GSO packets of thousands of segments. Runs inside segments.sh, from where the namespaces a and b are,
with a tunnel between them.

    segments.py NAMESPACES
"""

import os
import socket
import struct
import sys
import threading

import noise
import spaces
import tap

SOL_PACKET, PACKET_VNET_HDR, PACKET_QDISC_BYPASS = 263, 15, 20
SO_RCVBUFFORCE = 33
NEEDS_CSUM, GSO_TCPV4, GSO_UDP_L4 = 1, 1, 5
TCP, UDP = 6, 17
A4, B4 = (socket.inet_aton(one) for one in ("192.168.241.1", "192.168.241.2"))
PATIENCE = 20


def enter(name):
    spaces.enter(sys.argv[1], name)


def gso(protocol, count, size):
    """A packet that stands for `count`, whose payloads, of `size` bytes, begin with their number."""
    payload = b"".join(struct.pack("!I", number).ljust(size, b".") for number in range(count))
    length = len(payload) + (20 if protocol == TCP else 8)
    pseudo = noise.checksum(A4 + B4 + struct.pack("!BBH", 0, protocol, length)) ^ 0xFFFF
    if protocol == TCP:
        # RST: nobody answers.
        head, kind, place = struct.pack("!HHIIBBHHH", 4000, 9, 1, 1, 0x50, 4, 1000, pseudo, 0), GSO_TCPV4, 16
    else:
        head, kind, place = struct.pack("!HHHH", 4000, 9, length, pseudo), GSO_UDP_L4, 6
    header = struct.pack("=BBHHHH", NEEDS_CSUM, kind, 20 + len(head), size, 20, place)
    return header + noise.ipv4(A4, B4, head + payload, protocol)


def arrived(listener, protocol, count, size):
    """The numbers of the packets that come out, until there are all, or none for some time."""
    numbers = []
    listener.settimeout(PATIENCE)
    while len(numbers) < count:
        try:
            packet, address = listener.recvfrom(66000)
        except TimeoutError:
            break
        if address[2] != socket.PACKET_OUTGOING and packet[9] == protocol and len(packet) > 20 + size:
            numbers.append(struct.unpack("!I", packet[-size:][:4])[0])
        # What is still to come, if anything, is on its way.
        listener.settimeout(3)
    return numbers


def datagrams():
    """How many the sockets of b have been given; those that b is in no time to decrypt are among them."""
    with open(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/net/snmp") as file:
        names, values = (line.split() for line in file if line.startswith("Udp:"))
    return int(values[names.index("InDatagrams")])


def main():
    enter("b")
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
    listener.bind(("wg0", 0x0800))
    for bypass in (0, 1):
        enter("a")
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sender.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        sender.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, bypass)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
        enter("b")
        # The kernel takes no more than 128 of UDP.
        for protocol, count, size in ((TCP, 6000, 10), (TCP, 2000, 30), (TCP, 100, 600), (UDP, 100, 600)):
            before = datagrams()
            sender.sendto(gso(protocol, count, size), ("wg0", 0x0800))
            numbers = arrived(listener, protocol, count, size)
            name = "TCP" if protocol == TCP else "UDP"
            past = ", past the queue" if bypass else ""
            name = f"{count} segments of {name}{past}"
            tap.ok(f"{name}: all messages arrive", datagrams() - before >= count, datagrams() - before)
            tap.ok(f"{name}: most come out", len(numbers) > count // 2, len(numbers))
            tap.ok(f"{name}: in order", numbers == sorted(numbers))


main()
