#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Lookups in a table of random prefixes, by sending packets. Runs inside allowed.sh."""

import ipaddress
import os
import random
import re
import socket
import struct

import tap
from wgnl import *  # noqa: F403

PEERS = 12
WG0 = text(Device.IFNAME, "wg0")
SAYS = re.compile(
    r"wireguard: wg0: (?:No peer has allowed IPs matching (\S+)"
    r"|No valid endpoint has been configured or discovered for peer (\d+))$"
)
# The same in every run.
rnd = random.Random(20)
wireguard = WireGuard()


class Log:
    """What the driver says, from now on."""

    def __init__(self):
        self.file = open("/dev/kmsg", encoding="utf-8", errors="replace")
        os.set_blocking(self.file.fileno(), False)
        self.skip()

    def skip(self):
        for _ in self.lines():
            pass

    def lines(self):
        while True:
            try:
                record = os.read(self.file.fileno(), 8192)
            except BlockingIOError:
                return
            except BrokenPipeError:
                continue
            yield record.decode(errors="replace").split("\n")[0].partition(";")[2]


def random_address(family, near):
    """An address; mostly one that has much in common with another."""
    bits = 32 if family == 4 else 128
    if near and rnd.random() < 0.9:
        value = int(rnd.choice(near)) ^ rnd.getrandbits(rnd.randrange(bits + 1))
    else:
        value = rnd.getrandbits(bits)
    return ipaddress.IPv4Address(value) if family == 4 else ipaddress.IPv6Address(value)


def usable(address):
    """Can a packet be sent there by an ordinary socket?"""
    return not (
        address.is_multicast
        or address.is_loopback
        or address.is_unspecified
        or address.is_link_local
        or (address.version == 4 and (int(address) >> 24 in (0, 127) or int(address) >> 28 > 13))
        or (address.version == 6 and address.ipv4_mapped is not None)
        or str(address) in ("192.168.241.1", "fd00::1")
    )


def owner(table, address):
    """What a plain list says: the longest prefix, of it the last owner."""
    best = None
    for network, peer in table.items():
        if address in network and (best is None or network.prefixlen > best[0].prefixlen):
            best = network, peer
    return best and best[1]


def ask(log, addresses):
    """The number of the peer that each address belongs to, or None."""
    sockets = {
        4: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        6: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    }
    out = []
    for address in addresses:
        log.skip()
        number = 0
        try:
            sockets[address.version].sendto(b"?", (str(address), 9))
        except OSError as error:
            # That there is no peer, or no endpoint.
            number = error.errno
        # It was said before that.
        heard = [match for match in map(SAYS.search, log.lines()) if match]
        if len(heard) == 1:
            out.append(int(heard[0][2]) if heard[0][2] else None)
        else:
            out.append(f"{len(heard)} messages, errno {number}")
    return out


def configure(family, count):
    """Random prefixes for random peers, some of them twice; the table that results."""
    table, near = {}, []
    order = []
    for _ in range(count):
        address = random_address(family, near)
        near.append(address)
        length = rnd.randrange(address.max_prefixlen + 1)
        network = ipaddress.ip_network((int(address), length), strict=False)
        if rnd.random() < 0.2 and table:
            network = rnd.choice(list(table))
        peer = rnd.randrange(PEERS)
        table[network] = peer
        order.append((network, peer))
    for network, peer in order:
        wireguard.set(
            WG0 + peers(attr(Peer.PUBLIC_KEY, key(peer)) + allowed_ips(prefix(str(network))))
        )
    for network in rnd.sample(list(table), count // 4):
        one = prefix(str(network), AllowedIp.F_REMOVE_ME)
        wireguard.set(
            WG0 + peers(attr(Peer.PUBLIC_KEY, key(table.pop(network))) + allowed_ips(one))
        )
    return table, near


def main():
    log = Log()
    wireguard.set(WG0 + peers(*(attr(Peer.PUBLIC_KEY, key(n)) for n in range(PEERS))))
    created = [re.search(r"wg0: Peer (\d+) created", line) for line in log.lines()]
    numbers = {int(match[1]): n for n, match in enumerate(filter(None, created))}
    tap.equal("AI-1 peers", len(numbers), PEERS)
    for family in (4, 6):
        table, near = configure(family, 200)
        shown = {}
        for one in dump_peers(wireguard.get(WG0)):
            for network in map(ipaddress.ip_network, prefixes(one)):
                if network.version == family:
                    (shown[network],) = struct.unpack_from("!Q", one[Peer.PUBLIC_KEY])
        tap.equal(f"AI-7 IPv{family}: each prefix is where it was put last", shown, table)
        asked = [one for one in (random_address(family, near) for _ in range(600)) if usable(one)]
        asked = asked[:300]
        answers = [numbers.get(n, n) for n in ask(log, asked)]
        wrong = [
            f"{address}: {got}, not {wanted}"
            for address, got, wanted in zip(asked, answers, (owner(table, one) for one in asked))
            if got != wanted
        ]
        what = f"AI-1 AI-7 IPv{family}: {len(asked)} lookups are as of a plain list"
        tap.ok(what, not wrong, *wrong[:20])
        tap.ok(f"AI-1 IPv{family}: of several peers", len(set(answers)) > 5, str(set(answers)))


main()
