# SPDX-License-Identifier: GPL-2.0
"""The module and its devices, for faults.py: they come, change, move and go."""

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys

from faults_base import (
    GETLINK,
    IFNAME,
    MTU,
    NAME,
    NEWLINK,
    NINE,
    Log,
    WorkersFaults,
    absent,
    add,
    configure,
    delete,
    exists,
    is_open,
    link,
    move,
    namespace,
    present,
    request,
    sweep,
    up,
)
from wgnl import Answer, Device, WireGuard, text, u32

FINIT_MODULE, DELETE_MODULE = 313, 176
SIOCGIFMTU = 0x8921

libc = ctypes.CDLL(None, use_errno=True)

# Module -------------------------------------------------------------------------------------------


def call(number, *args):
    if libc.syscall(number, *args) != 0:
        raise OSError(ctypes.get_errno(), "system call")


def is_loaded():
    return os.path.isdir("/sys/module/wireguard")


def unload():
    if is_loaded():
        call(DELETE_MODULE, b"wireguard", os.O_NONBLOCK)


@contextlib.contextmanager
def file_of_module():
    """Whoever asks for the family must not have it loaded meanwhile."""
    file = os.open(sys.argv[2], os.O_RDONLY)
    with open("/proc/sys/kernel/modprobe", "r+") as modprobe:
        path = modprobe.read()
        os.pwrite(modprobe.fileno(), b"\n", 0)
        try:
            yield file
        finally:
            os.pwrite(modprobe.fileno(), path.encode(), 0)
    os.close(file)


def has_family(wrong):
    """Nothing but what is loaded can be talked to."""
    if is_loaded() != (wrong is None):
        return f"loaded: {is_loaded()}"
    try:
        WireGuard().close()
    except Answer as error:
        return None if wrong else f"no family: {error}"
    return "a family is left" if wrong else None


def insmod():
    with file_of_module() as file:
        sweep("insmod", unload, lambda _: call(FINIT_MODULE, file, b"", 0), has_family)


def rmmod():
    with file_of_module() as file:

        def in_use():
            if not is_loaded():
                call(FINIT_MODULE, file, b"", 0)
            present()
            configure(NINE)()
            up()()

        def all_gone(wrong):
            return "the device is left" if exists() else has_family(wrong or errno.ENOENT)

        def remove(_):
            call(DELETE_MODULE, b"wireguard", os.O_NONBLOCK)

        sweep("rmmod", in_use, remove, all_gone, refuses=False)


# Devices ------------------------------------------------------------------------------------------


def mtu_of(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, SIOCGIFMTU, struct.pack("16si12x", name.encode(), 0))
    return struct.unpack_from("16si", answer)[1]


def device():
    def without():
        absent()
        return add()

    # The answer may be lost, and all be done. Of one allocation of its own, the core says EINVAL.
    sweep(
        "link add",
        without,
        lambda run: run(),
        lambda wrong: None if wrong or exists() else "it is not there",
        also=(errno.EINVAL,),
    )

    def is_down():
        present()
        up(0)()
        request({Device.LISTEN_PORT: 1000})()
        return up()

    def open_or_not(wrong):
        families = is_open(1000)
        if families not in ("", "46") or (wrong is None and not families):
            return f"sockets: {families!r}"
        return None

    sweep("link up", is_down, lambda run: run(), open_or_not)

    def with_device():
        present()
        configure(NINE)()
        return delete()

    sweep(
        "link del",
        with_device,
        lambda run: run(),
        lambda wrong: None if wrong or not exists() else "it is there",
    )
    mtus = 1400, 1300

    def other_mtu():
        present()
        resize(mtus[0])()
        return resize(mtus[1])

    def resize(mtu):
        return link(NEWLINK, 0, text(IFNAME, NAME) + u32(MTU, mtu))

    def as_asked(wrong):
        found = mtu_of(NAME)
        return None if found in mtus[wrong is None :] else f"MTU {found}"

    sweep("a change of the MTU", other_mtu, lambda run: run(), as_asked)

    def is_up():
        present()
        request({Device.LISTEN_PORT: 1000})()
        up()()
        return up(0)

    sweep(
        "link down",
        is_up,
        lambda run: run(),
        lambda wrong: None if wrong or not is_open(1000) else "it has sockets",
    )
    sweep(
        "link show",
        lambda: link(GETLINK, 0, text(IFNAME, NAME)),
        lambda run: run(),
        lambda wrong: None,
    )
    absent()


# Namespaces ---------------------------------------------------------------------------------------


# A move to another namespace is not among them: without memory for the device's name, the core's own
# tables of /sys still point to the one that it has freed, and KASAN sees them read.


def exits():
    """A namespace ends with a device of its own, and with one of its own that has moved away.

    That is done by a worker, and cannot be refused.
    """
    orphan = "wgo"
    log = Log()

    def in_use():
        home = namespace()
        os.unshare(os.CLONE_NEWNET)
        for name in orphan, NAME:
            add(name)()
        for name in orphan, NAME:
            configure(NINE, name=name)()
            up(name=name)()
        move(home, orphan)()
        space = namespace()
        os.setns(home, os.CLONE_NEWNET)
        os.close(home)
        up(name=orphan)()
        list(log.lines())
        return space

    def end(space):
        os.close(space)
        if not log.has_destroyed("Interface"):
            raise OSError(errno.ETIMEDOUT, "the device of the namespace is not destroyed")

    def orphaned(_wrong):
        if not exists(orphan):
            return "the device that has moved is gone"
        up(0, orphan)()
        delete(orphan)()
        return None if log.has_destroyed("Interface") else "it is not destroyed"

    sweep("the end of a namespace", in_use, end, orphaned, refuses=False, faults=WorkersFaults())
