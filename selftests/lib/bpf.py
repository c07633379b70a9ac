# SPDX-License-Identifier: GPL-2.0
"""BPF programs for traffic control, by bpf(2)."""

import ctypes
import os
import struct

SYS_BPF = 321
PROG_LOAD, OBJ_PIN, LINK_CREATE = 5, 6, 28
SCHED_CLS = 3
# Registers, and what follows in a program's result: the next filter.
R0, R1, R2, R3, R6 = 0, 1, 2, 3, 6
GO_ON = -1

libc = ctypes.CDLL(None, use_errno=True)


def instruction(code, to=0, of=0, offset=0, value=0):
    return struct.pack("=BBhi", code, of << 4 | to, offset, value)


def move(to, value):
    return instruction(0xB7, to, value=value)


def copy(to, of):
    return instruction(0xBF, to, of)


def call(function):
    return instruction(0x85, value=function)


END = move(R0, GO_ON) + instruction(0x95)


def bpf(command, attributes):
    attributes = attributes.ljust(128, b"\0")
    number = libc.syscall(SYS_BPF, command, attributes, len(attributes))
    if number < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return number


def load(code):
    """The file descriptor of a program that looks at packets."""
    text, licence = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
    where, terms = ctypes.addressof(text), ctypes.addressof(licence)
    return bpf(PROG_LOAD, struct.pack("=IIQQ", SCHED_CLS, len(code) // 8, where, terms))


def pin(program, path):
    name = ctypes.create_string_buffer(path.encode())
    bpf(OBJ_PIN, struct.pack("=QI", ctypes.addressof(name), program))
