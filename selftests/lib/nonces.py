#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Looks at all data messages that leave namespaces, for a nonce that is used twice. Runs beside a
test, for nonces.sh.

What is looked at is what a device of a namespace is given to send: a socket for packets in the
namespace has a filter, in BPF, that notes the receiver's index and the counter of each message, of
those too that leave in one large packet, and lets nothing through. What is forwarded was noted
where it came from, and what scripts send, who may send anything, has the priority SCRIPTED.

Whether the second message is the same as the first is not asked: no driver sends one twice. It is
noted for each device, so that one may be seen on several that lie above each other.

What is noted is bits, so many for each entry of a table that forgets what was not used for the
longest time: MEMORY messages at most.
"""

import ctypes
import fcntl
import os
import platform
import signal
import socket
import struct
import sys

# What scripts give their sockets by SO_PRIORITY.
SCRIPTED = 0x5747

# Messages for each entry, of which each has a bit; entries; and how many repeated ones are told.
CHUNK = 2048
ENTRIES = 8192
MEMORY = CHUNK * ENTRIES
TOLD = 8
# More messages do not leave in one packet.
MOST = 128

# Namespace, device, index of the receiver, source port, and the counter without its lower bits.
KEY = struct.Struct("<IIIIQ")
COUNTERS = struct.Struct("<QQQ")

# Counters.
MESSAGES, REPEATED, UNNOTED = 0, 8, 16

MAP_CREATE, MAP_LOOKUP_ELEM, PROG_LOAD = 0, 1, 5
HASH_LRU, ARRAY, SOCKET_FILTER = 9, 2, 1
SO_ATTACH_BPF = 50
ETH_P_ALL = 3
PACKET_OUTGOING = 4
UDP_SEGMENT = 103
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
CALL_LOOKUP, CALL_UPDATE, CALL_LOAD_BYTES = 1, 2, 26
R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, FP = range(11)
SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
JUMPS = {"==": 0x15, "!=": 0x55, ">=": 0x35, "&": 0x45}
SUMS = {"+": 0x07, "*": 0x27, "&": 0x57, "<<": 0x67, ">>": 0x77, "=": 0xB7}

libc = ctypes.CDLL(None, use_errno=True)


def scripted(sock):
    """Marks a socket as that of a script, and returns it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, SCRIPTED)
    return sock


def bpf(command, attributes):
    number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
    buffer = ctypes.create_string_buffer(attributes, max(len(attributes), 128))
    result = libc.syscall(number, command, buffer, len(buffer))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"bpf {command}")
    return result


def new_map(kind, key, value, entries):
    return bpf(MAP_CREATE, struct.pack("<5I", kind, key, value, entries, 0))


class Program:
    """Instructions of BPF, and jumps to names."""

    def __init__(self):
        self.code, self.jumps, self.names = [], [], {}

    def emit(self, op, dst=0, src=0, off=0, imm=0):
        self.code.append((op, dst | src << 4, off, imm))

    def load(self, dst, src, off, size=8):
        self.emit(0x61 | SIZES[size], dst, src, off)

    def store(self, dst, off, src, size=8):
        self.emit(0x63 | SIZES[size], dst, src, off)

    def store_imm(self, dst, off, imm, size=8):
        self.emit(0x62 | SIZES[size], dst, 0, off, imm)

    def alu(self, dst, what, imm):
        self.emit(SUMS[what], dst, 0, 0, imm)

    def alu_reg(self, dst, what, src):
        self.emit(SUMS[what] | 0x08, dst, src)

    def add_atomically(self, dst, off, src, fetch=False):
        self.emit(0xDB, dst, src, off, int(fetch))

    def set_atomically(self, dst, off, src):
        """Sets bits, and loads what there was into `src`."""
        self.emit(0xDB, dst, src, off, 0x40 | 1)

    def jump(self, reg, how, imm, name):
        self.jumps.append((len(self.code), name))
        self.emit(JUMPS[how], reg, 0, 0, imm)

    def jump_reg(self, reg, how, other, name):
        self.jumps.append((len(self.code), name))
        self.emit(JUMPS[how] | 0x08, reg, other)

    def go(self, name):
        self.jumps.append((len(self.code), name))
        self.emit(0x05)

    def call(self, number):
        self.emit(0x85, 0, 0, 0, number)

    def map(self, dst, fd):
        self.emit(0x18, dst, 1, 0, fd)
        self.emit(0)

    def name(self, name):
        self.names[name] = len(self.code)

    def frame(self, dst, off):
        self.alu_reg(dst, "=", FP)
        self.alu(dst, "+", off)

    def load_bytes(self, offset, to, size):
        """From the packet that R6 stands for; goes to `out` if there are not as many."""
        self.alu_reg(R1, "=", R6)
        self.alu_reg(R2, "=", offset)
        self.frame(R3, to)
        self.alu(R4, "=", size)
        self.call(CALL_LOAD_BYTES)
        self.jump(R0, "!=", 0, "out")

    def load_program(self):
        for place, name in self.jumps:
            op, regs, _, imm = self.code[place]
            self.code[place] = op, regs, self.names[name] - place - 1, imm
        code = b"".join(struct.pack("<BBhi", *one) for one in self.code)
        code = ctypes.create_string_buffer(code, len(code))
        licence = ctypes.create_string_buffer(b"GPL")
        places = len(self.code), ctypes.addressof(code), ctypes.addressof(licence)
        return bpf(PROG_LOAD, struct.pack("<IIQQIIQ", SOCKET_FILTER, *places, 0, 0, 0))


# Places in the frame.
HEAD, KEY_AT, RECORD, INDEX = -24, -56, -88, -96


def match_sender(p):
    """R6: the packet. Only one that leaves from here and is not a script's is looked into."""
    p.alu_reg(R6, "=", R1)
    p.load(R1, R6, 4, 4)
    p.jump(R1, "!=", PACKET_OUTGOING, "out")
    p.load(R1, R6, 32, 4)
    p.jump(R1, "==", SCRIPTED, "out")
    # Where it came in, if it is forwarded.
    p.load(R1, R6, 36, 4)
    p.jump(R1, "!=", 0, "out")


def match_headers(p, namespace):
    """R7: where the first message begins; and what of its key all messages have."""
    p.alu(R7, "=", 0)
    p.load_bytes(R7, HEAD, 12)
    p.load(R1, FP, HEAD, 1)
    p.alu_reg(R7, "=", R1)
    p.alu(R1, ">>", 4)
    p.jump(R1, "==", 6, "ipv6")
    p.jump(R1, "!=", 4, "out")
    p.load(R1, FP, HEAD + 9, 1)
    p.jump(R1, "!=", socket.IPPROTO_UDP, "out")
    # No fragment but the first.
    p.load(R1, FP, HEAD + 6, 2)
    p.jump(R1, "&", socket.htons(0x1FFF), "out")
    p.alu(R7, "&", 15)
    p.alu(R7, "<<", 2)
    p.go("udp")
    p.name("ipv6")
    p.load(R1, FP, HEAD + 6, 1)
    p.jump(R1, "!=", socket.IPPROTO_UDP, "out")
    p.alu(R7, "=", 40)
    p.name("udp")
    p.load_bytes(R7, HEAD, 8)
    p.alu(R7, "+", 8)
    p.load(R1, FP, HEAD, 2)
    p.store(FP, KEY_AT + 12, R1, 4)
    p.store_imm(FP, KEY_AT, namespace, 4)
    p.load(R1, R6, 40, 4)
    p.store(FP, KEY_AT + 4, R1, 4)


def find_totals(p, counters):
    """R9: what all have counted. R8: how many messages of the packet were looked at."""
    p.store_imm(FP, INDEX, 0, 4)
    p.map(R1, counters)
    p.frame(R2, INDEX)
    p.call(CALL_LOOKUP)
    p.jump(R0, "==", 0, "out")
    p.alu_reg(R9, "=", R0)
    p.alu(R8, "=", 0)


def read_message(p):
    """The header of a message of data, and the rest of its key."""
    p.load_bytes(R7, HEAD, 16)
    p.load(R1, FP, HEAD, 4)
    p.jump(R1, "!=", 4, "out")
    p.alu(R1, "=", 1)
    p.add_atomically(R9, MESSAGES, R1)
    p.load(R1, FP, HEAD + 4, 4)
    p.store(FP, KEY_AT + 8, R1, 4)
    p.load(R1, FP, HEAD + 8)
    p.alu(R1, ">>", CHUNK.bit_length() - 1)
    p.store(FP, KEY_AT + 16, R1)


def find_bits(p, seen, empty):
    """R0: the bits of the counters around the one of the message."""
    p.map(R1, seen)
    p.frame(R2, KEY_AT)
    p.call(CALL_LOOKUP)
    p.jump(R0, "!=", 0, "known")
    p.map(R1, empty)
    p.frame(R2, INDEX)
    p.store_imm(FP, INDEX, 0, 4)
    p.call(CALL_LOOKUP)
    p.jump(R0, "==", 0, "out")
    p.alu_reg(R3, "=", R0)
    p.map(R1, seen)
    p.frame(R2, KEY_AT)
    # Not if another CPU was faster.
    p.alu(R4, "=", 1)
    p.call(CALL_UPDATE)
    p.map(R1, seen)
    p.frame(R2, KEY_AT)
    p.call(CALL_LOOKUP)
    p.jump(R0, "!=", 0, "known")
    p.alu(R1, "=", 1)
    p.add_atomically(R9, UNNOTED, R1)
    p.go("after")
    p.name("known")


def set_bit(p):
    """Sets the one of the message, and goes to `after` if it was not set before."""
    p.load(R1, FP, HEAD + 8)
    p.alu_reg(R2, "=", R1)
    p.alu(R2, ">>", 6)
    p.alu(R2, "&", CHUNK // 64 - 1)
    p.alu(R2, "<<", 3)
    p.alu_reg(R0, "+", R2)
    p.alu(R1, "&", 63)
    p.alu(R3, "=", 1)
    p.alu_reg(R3, "<<", R1)
    p.alu_reg(R4, "=", R3)
    p.set_atomically(R0, 0, R3)
    p.alu_reg(R3, "&", R4)
    p.jump(R3, "==", 0, "after")


def note_repeated(p, told):
    """Counts the message as one whose nonce was used before, and keeps which it was of the first ones."""
    p.alu(R1, "=", 1)
    p.add_atomically(R9, REPEATED, R1, fetch=True)
    p.jump(R1, ">=", TOLD, "after")
    p.store(FP, INDEX, R1, 4)
    for part in range(0, 16, 8):
        p.load(R1, FP, KEY_AT + part)
        p.store(FP, RECORD + part, R1)
    p.load(R1, FP, HEAD + 8)
    p.store(FP, RECORD + 16, R1)
    p.map(R1, told)
    p.frame(R2, INDEX)
    p.frame(R3, RECORD)
    p.alu(R4, "=", 0)
    p.call(CALL_UPDATE)


def build(namespace, maps):
    """The filter for a namespace with that number."""
    seen, empty, counters, told = maps
    p = Program()
    match_sender(p)
    match_headers(p, namespace)
    find_totals(p, counters)
    p.name("next")
    read_message(p)
    find_bits(p, seen, empty)
    set_bit(p)
    note_repeated(p, told)
    p.name("after")
    # A packet for GSO has more of them.
    p.load(R1, R6, 176, 4)
    p.jump(R1, "==", 0, "out")
    p.alu_reg(R7, "+", R1)
    p.alu(R8, "+", 1)
    p.jump(R8, "!=", MOST, "next")
    p.name("out")
    p.alu(R0, "=", 0)
    p.emit(0x95)
    return p.load_program()


class Tap:
    def __init__(self):
        self.maps = (
            new_map(HASH_LRU, KEY.size, CHUNK // 8, ENTRIES),
            new_map(ARRAY, 4, CHUNK // 8, 1),
            new_map(ARRAY, 4, COUNTERS.size, 1),
            new_map(ARRAY, 4, KEY.size, TOLD),
        )
        # Of namespaces by their number, which is free if the name is None; programs are kept.
        self.names, self.programs, self.sockets = [], [], {}
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)

    def watch(self, name, path):
        self.leave(name)
        there = os.open(path, os.O_RDONLY)
        try:
            os.setns(there, os.CLONE_NEWNET)
            # Bound to nothing before it has a filter.
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            tap.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, self.program_for(name))
            # To all devices, of which Python does not know how to say it.
            address = struct.pack("=HHiHBB8x", socket.AF_PACKET, socket.htons(ETH_P_ALL), 0, 0, 0, 0)
            if libc.bind(tap.fileno(), address, len(address)):
                raise OSError(ctypes.get_errno(), "bind")
        finally:
            os.setns(self.home, os.CLONE_NEWNET)
            os.close(there)
        self.sockets[name] = tap

    def close(self):
        """Nothing is left of it."""
        for name in list(self.sockets):
            self.leave(name)
        for fd in (*self.maps, *self.programs, self.home):
            os.close(fd)

    def program_for(self, name):
        if None not in self.names:
            self.programs.append(build(len(self.names), self.maps))
            self.names.append(None)
        number = self.names.index(None)
        self.names[number] = name
        return self.programs[number]

    def leave(self, name):
        tap = self.sockets.pop(name, None)
        if tap:
            tap.close()
            self.names[self.names.index(name)] = None

    def read(self, which, form, number):
        key, value = ctypes.c_uint32(number), ctypes.create_string_buffer(form.size)
        pack = struct.pack(
            "<IIQQQ", self.maps[which], 0, ctypes.addressof(key), ctypes.addressof(value), 0
        )
        bpf(MAP_LOOKUP_ELEM, pack)
        return form.unpack(value.raw)

    def counts(self):
        return self.read(2, COUNTERS, 0)

    def report(self):
        messages, repeated, unnoted = self.counts()
        yield f"{messages} {repeated} {unnoted}"
        for number in range(min(repeated, TOLD)):
            namespace, device, index, port, counter = self.read(3, KEY, number)
            yield (
                f"from {self.names[namespace]}, device {device}, port {socket.ntohs(port)}: "
                f"receiver {index:#x}, counter {counter}"
            )


def message(counter):
    return struct.pack("<IIQ", 4, 0x5747, counter) + bytes(16)


def control():
    """Sends messages, of which two are repeated, in a namespace of their own, and says what is wrong if
    that is not what is seen."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    os.unshare(os.CLONE_NEWNET)
    # At home there, which it comes back to.
    tap = Tap()
    try:
        tap.watch("control", "/proc/self/ns/net")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            fcntl.ioctl(out, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
            for counter in (1, 1 << 40, 1):
                out.sendto(message(counter), ("127.0.0.1", 9))
            # And in one large packet.
            out.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, len(message(0)))
            out.sendto(b"".join(map(message, (2, 3, 2))), ("127.0.0.1", 9))
    finally:
        os.setns(home, os.CLONE_NEWNET)
        os.close(home)
    counts = tap.counts()
    tap.close()
    return "" if counts == (6, 2, 0) else f"of 6 messages with 2 repeated, it sees {counts}"


def answers(tap, what, arguments):
    if what == "control":
        wrong = control()
        if wrong:
            yield wrong
    elif what == "watch":
        tap.watch(*arguments)
    elif what == "leave":
        tap.leave(*arguments)
    elif what == "report":
        yield from tap.report()


def main():
    # Ends with the test.
    libc.prctl(1, signal.SIGKILL)
    tap = Tap()
    for line in sys.stdin:
        what, *arguments = line.split()
        try:
            for text in answers(tap, what, arguments):
                print(text)
        except OSError as error:
            print(f"{line.strip()}: {error}")
        # What was asked for is done.
        print("", flush=True)


if __name__ == "__main__":
    main()
