# SPDX-License-Identifier: GPL-2.0
"""Devices that are all peers of each other, for soak.py.

Each has a namespace of its own, and its sockets are in that of a group of devices, of which each is at a
port of a bridge.
"""

import os
import subprocess

import noise
import nonces
from wgnl import (
    Device,
    Peer,
    WireGuard,
    allowed_ips,
    attr,
    dump_peers,
    endpoint4,
    endpoint6,
    peers,
    prefix,
    text,
    u16,
    u32,
)

NAME = text(Device.IFNAME, "wg0")


def ip(namespace, *lines):
    """Commands of ip(8), in a namespace."""
    subprocess.run(
        ("ip", "-n", namespace, "-batch", "-"), input="\n".join(lines).encode(), check=True
    )


class Inside:
    """The block is in another namespace."""

    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def __init__(self, there):
        self.there = there

    def __enter__(self):
        os.setns(self.there, os.CLONE_NEWNET)

    def __exit__(self, *_):
        os.setns(Inside.home, os.CLONE_NEWNET)


class Group:
    """A namespace with sockets of several devices, and its address, of which there is more than one."""

    def __init__(self, mesh, number):
        self.mesh, self.number = mesh, number
        self.name = f"{mesh.run}-u{number}"
        self.variant = self.generation = 0
        self.connect()

    def connect(self):
        self.generation += 1
        port = f"p{self.number}.{self.generation}"
        hub = f"{self.mesh.run}-hub"
        ip(
            hub,
            f"link add {port} type veth peer name eth0 netns {self.name}",
            f"link set {port} master br0 up",
        )
        ip(self.name, *self.addresses("add"), "link set eth0 up")
        self.mesh.tap.watch(self.name, f"/run/netns/{self.name}")

    def address4(self):
        return f"10.0.{self.variant}.{self.number + 1}"

    def address6(self):
        return f"fd00:aa::{self.variant}:{self.number + 1}"

    def addresses(self, what):
        nodad = " nodad" if what == "add" else ""
        return (
            f"addr {what} {self.address4()}/16 dev eth0",
            f"addr {what} {self.address6()}/64 dev eth0{nodad}",
        )

    def move(self):
        """To another address."""
        ip(self.name, *self.addresses("del"))
        self.variant = 1 - self.variant
        ip(self.name, *self.addresses("add"))

    def renew(self):
        """The namespace ends, and there is another one with devices of the same names."""
        self.mesh.tap.leave(self.name)
        subprocess.run(("ip", "netns", "del", self.name), check=True)
        subprocess.run(("ip", "netns", "add", self.name), check=True)
        ip(self.name, "link set lo up")
        self.connect()


class Node:
    """A device."""

    def __init__(self, mesh, number, group):
        self.mesh, self.number, self.group = mesh, number, group
        self.name = f"{mesh.run}-n{number}"
        self.space = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        with Inside(self.space):
            self.netlink = WireGuard()
            for setting in ("keep_addr_on_down", "accept_dad"):
                with open(f"/proc/sys/net/ipv6/conf/all/{setting}", "w") as file:
                    file.write("1" if setting == "keep_addr_on_down" else "0")
        mesh.tap.watch(self.name, f"/run/netns/{self.name}")
        self.key = noise.Key()
        self.port = 51820 + number
        self.mtu = 1420

    def address4(self):
        return f"192.168.241.{self.number + 1}"

    def address6(self):
        return f"fd00::{self.number + 1:x}"

    def create(self):
        """The device, whose sockets are to be in the namespace of the group as it is now."""
        ip(
            self.group.name,
            f"link add w{self.number} type wireguard",
            f"link set w{self.number} netns {self.name} name wg0",
        )
        ip(
            self.name,
            f"addr add {self.address4()}/24 dev wg0",
            f"addr add {self.address6()}/112 dev wg0 nodad",
            f"link set wg0 mtu {self.mtu}",
        )
        self.configure()
        self.link("up")

    def delete(self):
        ip(self.name, "link del wg0")

    def link(self, *what):
        ip(self.name, f"link set wg0 {' '.join(what)}")

    def configure(self):
        """All of it."""
        self.netlink.set(
            NAME
            + attr(Device.PRIVATE_KEY, self.key.private)
            + u16(Device.LISTEN_PORT, self.port)
            + u32(Device.FLAGS, Device.F_REPLACE_PEERS)
            + peers(*(self.peer(other) for other in self.mesh.others(self)))
        )

    def set(self, *peer, device=b""):
        self.netlink.set(NAME + device + (peers(*peer) if peer else b""))

    def peer(self, other):
        """All that is to be said of one."""
        return (
            attr(Peer.PUBLIC_KEY, other.key.public)
            + attr(Peer.PRESHARED_KEY, self.mesh.psk(self, other))
            + self.endpoint_of(other)
            + allowed_ips(prefix(other.address4()), prefix(other.address6()))
        )

    def endpoint_of(self, other):
        # By both families, half of each.
        if (self.number + other.number) % 2:
            return attr(Peer.ENDPOINT, endpoint6(other.group.address6(), other.port))
        return attr(Peer.ENDPOINT, endpoint4(other.group.address4(), other.port))

    def find(self, other):
        """It is told where another one is."""
        self.set(
            attr(Peer.PUBLIC_KEY, other.key.public)
            + u32(Peer.FLAGS, Peer.F_UPDATE_ONLY)
            + self.endpoint_of(other)
        )

    def forget(self, public):
        self.set(attr(Peer.PUBLIC_KEY, public) + u32(Peer.FLAGS, Peer.F_REMOVE_ME))

    def handshakes(self):
        """When the last one was, by peer."""
        return {
            one[Peer.PUBLIC_KEY]: one[Peer.LAST_HANDSHAKE_TIME]
            for one in dump_peers(self.netlink.get(NAME))
            if Peer.PUBLIC_KEY in one and Peer.LAST_HANDSHAKE_TIME in one
        }

    def packets(self):
        """How many were sent and received."""
        with Inside(self.space), open("/proc/thread-self/net/dev") as file:
            for line in file:
                name, _, counters = line.partition(":")
                if name.strip() == "wg0":
                    fields = counters.split()
                    return int(fields[1]) + int(fields[9])
        return 0


class Mesh:
    def __init__(self, run, devices, groups):
        self.run = run
        self.tap = nonces.Tap()
        self.psks = {}
        ip(f"{run}-hub", "link add br0 type bridge", "link set br0 up")
        self.groups = [Group(self, number) for number in range(groups)]
        self.nodes = [Node(self, n, self.groups[n % groups]) for n in range(devices)]
        for node in self.nodes:
            node.create()

    def others(self, node):
        return [other for other in self.nodes if other is not node]

    def psk(self, one, other):
        return self.psks.get(frozenset((one.number, other.number)), noise.NO_PSK)

    def namespaces(self):
        """Descriptors of all of them, to be closed."""
        names = [group.name for group in self.groups] + [node.name for node in self.nodes]
        for name in names + [f"{self.run}-hub"]:
            space = os.open(f"/run/netns/{name}", os.O_RDONLY)
            yield space
            os.close(space)
