# SPDX-License-Identifier: GPL-2.0
"""Requests with preshared keys that leave no copy of these in user space.

A key comes masked. It is unmasked byte by byte in the memory that the kernel copies the request from,
and which is overwritten afterwards: Python keeps one object for each byte, and no others are made. So
what is found later is the kernel's.
"""

import ctypes
import mmap
import struct

import wgnl

MASK = 0x5A


class Request:
    """Sends requests from memory that is neither copied nor written elsewhere."""

    def __init__(self):
        self.memory = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE)):
            raise OSError(ctypes.get_errno(), "mlock")

    def set(self, attributes, keys):
        """Returns the error; `keys` says where in the attributes there are masked ones."""
        client = wgnl.WireGuard()
        body = client.body(wgnl.SET, attributes)
        start = 16 + len(body) - len(attributes)
        flags = wgnl.F_REQUEST | wgnl.F_ACK
        message = struct.pack("=IHHII", 16 + len(body), client.family, flags, 0, 0) + body
        self.memory[: len(message)] = message
        try:
            for key in keys:
                for at in range(start + key, start + key + 32):
                    self.memory[at] ^= MASK
            client.socket.send(memoryview(self.memory)[: len(message)])
        finally:
            self.wipe()
        (answer,) = client.receive()
        client.close()
        return answer.error()[0]

    def get(self, name):
        """Asks for all that there is to know of a device, and does not look at it."""
        client = wgnl.WireGuard()
        client.start(wgnl.text(wgnl.Device.IFNAME, name))
        while not self.last(client.socket.recv_into(self.memory)):
            self.wipe()
        self.wipe()
        client.close()

    def last(self, size):
        """Is the last message of so many bytes the end of a dump, or an error?"""
        at, kind = 0, None
        while at < size:
            length, kind = struct.unpack_from("=IH", self.memory, at)
            at += length + 3 & ~3
        return kind in (wgnl.NLMSG_ERROR, wgnl.NLMSG_DONE)

    def wipe(self):
        for at in range(mmap.PAGESIZE):
            self.memory[at] = 0
