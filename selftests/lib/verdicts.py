#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# verdicts.py QUEUE COUNT FIFO: takes so many packets from a queue of netfilter (NFQUEUE), says "held", and
# lets them pass when something is written to FIFO. Prints how many of them were still there to be let pass.

import errno
import socket
import struct
import sys

NETLINK_NETFILTER = 12
NLMSG_ERROR = 2
NLM_F_REQUEST, NLM_F_ACK = 1, 4
NFNL_SUBSYS_QUEUE = 3
NFQNL_MSG_PACKET, NFQNL_MSG_VERDICT, NFQNL_MSG_CONFIG = range(3)
NFQA_CFG_CMD, NFQA_CFG_PARAMS = 1, 2
NFQA_PACKET_HDR, NFQA_VERDICT_HDR = 1, 2
NFQNL_CFG_CMD_BIND, NFQNL_COPY_META, NF_ACCEPT = 1, 1, 1


class Verdicts:
    """What is said of the packets in one queue of the namespace."""

    def __init__(self, number):
        self.number = number
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.socket.settimeout(60)
        self.ask(NFQNL_MSG_CONFIG, NFQA_CFG_CMD, struct.pack(">BxH", NFQNL_CFG_CMD_BIND, 0))
        self.ask(NFQNL_MSG_CONFIG, NFQA_CFG_PARAMS, struct.pack(">IB", 0, NFQNL_COPY_META))

    def messages(self):
        """Those of one datagram, as kind and body."""
        data = self.socket.recv(65536)
        while data:
            length, kind = struct.unpack_from("=IH", data)
            yield kind, data[16:length]
            data = data[length + 3 & ~3:]

    def ask(self, kind, attribute, value):
        """Sends a request with one attribute, and returns the error."""
        body = struct.pack(">BBH", 0, 0, self.number)
        body += struct.pack("=HH", 4 + len(value), attribute) + value + bytes(-len(value) % 4)
        head = (16 + len(body), NFNL_SUBSYS_QUEUE << 8 | kind, NLM_F_REQUEST | NLM_F_ACK, 1, 0)
        self.socket.send(struct.pack("=IHHII", *head) + body)
        while True:
            for answer, rest in self.messages():
                if answer == NLMSG_ERROR:
                    return -struct.unpack_from("=i", rest)[0]

    def take(self, count):
        """The numbers of so many packets."""
        taken = []
        while len(taken) < count:
            for kind, body in self.messages():
                if kind == NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET:
                    rest = body[4:]
                    while rest:
                        length, attribute = struct.unpack_from("=HH", rest)
                        if attribute == NFQA_PACKET_HDR:
                            taken += struct.unpack_from(">I", rest, 4)
                        rest = rest[length + 3 & ~3:]
        return taken

    def accept(self, number):
        """Lets a packet pass; returns whether it was still there."""
        error = self.ask(NFQNL_MSG_VERDICT, NFQA_VERDICT_HDR, struct.pack(">II", NF_ACCEPT, number))
        if error not in (0, errno.ENOENT):
            raise OSError(error, "a verdict is refused")
        return not error


def main():
    queue = Verdicts(int(sys.argv[1]))
    print("bound", flush=True)
    taken = queue.take(int(sys.argv[2]))
    print("held", flush=True)
    with open(sys.argv[3], encoding="ascii") as word:
        word.read()
    print(sum(queue.accept(number) for number in taken), "passed", flush=True)


if __name__ == "__main__":
    main()
