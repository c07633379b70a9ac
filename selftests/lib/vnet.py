# SPDX-License-Identifier: GPL-2.0
"""Packets with headers for offloads, and devices that take them."""

import fcntl
import os
import struct

# struct virtio_net_hdr: what is to be summed, and how it is to be segmented.
NEEDS_CSUM, DATA_VALID = 1, 2
GSO_NONE, GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_UDP_L4, GSO_ECN = 0, 1, 3, 4, 5, 0x80
VNET = struct.Struct("=BBHHHH")

SOL_PACKET, PACKET_VNET_HDR = 263, 15
TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NAPI, IFF_NAPI_FRAGS, IFF_NO_PI, IFF_VNET_HDR = (
    0x400454CA, 1, 2, 0x10, 0x20, 0x1000, 0x4000,
)  # fmt: skip


def device(name, flags):
    """A tun or tap device with offload headers; what is written to it, it receives."""
    number = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(number, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags | IFF_NO_PI | IFF_VNET_HDR))
    return number
