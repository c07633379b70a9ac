#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A family of generic netlink that the module of contract.sh has. Runs inside contract.sh.

Its first command is answered by the number in it, of which a group hears, or by a dump of all below
that; its second by more than fits.
"""

import errno
import os
import socket
import struct
import subprocess

import tap
from wgnl import *  # noqa: F403

NUMBER, TOO_MUCH = 1, 2
A_NUMBER = 2
NETLINK_ADD_MEMBERSHIP = 1
NOBODY = 65534


class Contract(Netlink):
    """The family of that module."""

    def __init__(self):
        super().__init__(NETLINK_GENERIC)
        body = struct.pack("=BBH", CTRL_CMD_GETFAMILY, 1, 0)
        body += text(CTRL_ATTR_FAMILY_NAME, "contract")
        (reply,) = self.talk(GENL_ID_CTRL, F_REQUEST | F_ACK, body)
        found = flat(reply.attributes())
        (self.family,) = struct.unpack("=H", found[CTRL_ATTR_FAMILY_ID])
        groups = [flat(parse(group)) for _, _, group in parse(found[CTRL_ATTR_MCAST_GROUPS])]
        self.groups = {one[1].rstrip(b"\0"): struct.unpack("=I", one[2])[0] for one in groups}

    def ask(self, command, attributes=b"", flags=F_REQUEST | F_ACK):
        """The attributes of what comes back; or the errno."""
        body = struct.pack("=BBH", command, 1, 0) + attributes
        try:
            return numbers(self.talk(self.family, flags, body))
        except Answer as answer:
            return answer.errno

    def join(self, name):
        """Hears of what the group hears from now on; returns what is wrong with that."""
        try:
            self.socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, self.groups[name])
        except OSError as error:
            return error.errno
        return 0

    def heard(self):
        """The numbers that were heard of."""
        out = []
        self.socket.settimeout(0.2)
        try:
            while True:
                out += numbers(self.receive())
        except TimeoutError:
            return out


def numbers(messages):
    out = []
    for message in messages:
        out += [struct.unpack("=I", payload)[0] for _, _, payload in message.attributes()]
    return out


def apart(act):
    """Does something in a process of its own, which does not fail."""
    child = os.fork()
    if not child:
        os._exit(1 if act() else 0)
    return os.waitpid(child, 0)[1] == 0


def elsewhere():
    """Sends a number in another namespace; returns what is wrong with that."""
    os.unshare(os.CLONE_NEWNET)
    return Contract().ask(NUMBER, u32(A_NUMBER, 5)) != [5]


def as_nobody():
    """Joins as one who administrates nothing; returns whether that can be done."""
    os.setuid(NOBODY)
    return Contract().join(b"numbers") != errno.EPERM


def send():
    """Has a device send a packet, and returns the number of the device."""
    for command in (
        "ip link add contract1 type contract",
        "ip addr add 10.9.8.1/24 dev contract1",
        "ip link set contract1 up",
    ):
        subprocess.run(command.split(), check=True)
    ping = "ping -q -c 1 -W 1 10.9.8.2".split()
    subprocess.run(ping, stdout=subprocess.DEVNULL, check=False)
    return socket.if_nametoindex("contract1")


def main():
    contract = Contract()
    tap.equal("it has its groups", sorted(contract.groups), [b"nothing", b"numbers"])
    dump = F_REQUEST | F_ACK | F_DUMP
    tap.equal("a number is answered", contract.ask(NUMBER, u32(A_NUMBER, 7)), [7])
    tap.equal("or dumped", contract.ask(NUMBER, u32(A_NUMBER, 3), dump), [0, 1, 2])
    tap.equal("none is refused", contract.ask(NUMBER), errno.EINVAL)
    tap.equal("also to be dumped", contract.ask(NUMBER, flags=dump), errno.EINVAL)
    tap.equal("an attribute before it, too", contract.ask(NUMBER, u32(1, 7)), errno.EINVAL)
    tap.equal("more than fits is not sent", contract.ask(TOO_MUCH), errno.EMSGSIZE)
    tap.equal("and not dumped", contract.ask(TOO_MUCH, flags=dump), errno.EOPNOTSUPP)

    member, other = Contract(), Contract()
    tap.equal("a group is joined", member.join(b"numbers"), 0)
    tap.equal("and another", other.join(b"nothing"), 0)
    tap.equal("a number is told", contract.ask(NUMBER, u32(A_NUMBER, 9)), [9])
    tap.ok("in another namespace, too", apart(elsewhere))
    tap.equal("the group hears of that in its own", member.heard(), [9])
    tap.equal("and the other of none", other.heard(), [])
    index = send()
    tap.equal("it hears of what is told as a packet is sent", member.heard(), [index])
    tap.ok("not all may join", apart(as_nobody))
    tap.equal("who has left does not matter", member.close() or contract.ask(NUMBER, u32(2, 1)), [1])


if __name__ == "__main__":
    main()
