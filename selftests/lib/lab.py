# SPDX-License-Identifier: GPL-2.0
"""A device under test in this namespace, and hostile peers in another one.

The process lives in the namespace of the device, whose state it reads; only the sockets of the
peers are made in the other namespace.
"""

import os
import socket
import struct
import subprocess
import time

import noise
import nonces
import tap
from wgnl import (
    Device,
    Peer,
    WireGuard,
    allowed_ips,
    attr,
    dump_peers,
    peers,
    prefix,
    text,
    u16,
    u32,
)

DEVICE = "wg0"
PORT = 51820
OUTER4, OUTER6 = "10.0.0.1", "fd00:aa::1"
HOSTILE4, HOSTILE6 = "10.0.0.2", "fd00:aa::2"
INNER4, INNER6 = "192.168.241.1", "fd00::1"
STATISTICS = f"/sys/class/net/{DEVICE}/statistics"
PATIENCE = float(os.environ.get("PATIENCE", 60))


def pack4(address):
    return socket.inet_pton(socket.AF_INET, address)


def pack6(address):
    return socket.inet_pton(socket.AF_INET6, address)


def wait_until(condition, limit=PATIENCE):
    """Does the condition come true in time?"""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def udp_counters():
    """The UDP counters of this namespace, both families' datagrams together."""
    with open("/proc/self/net/snmp") as file:
        lines = [line.split() for line in file if line.startswith("Udp:")]
    out = dict(zip(lines[0][1:], map(int, lines[1][1:])))
    with open("/proc/self/net/snmp6") as file:
        for name, value in (line.split() for line in file):
            if name.startswith("Udp6"):
                out[name] = int(value)
    return out


class Wire:
    """A UDP socket of the hostile side."""

    def __init__(self, lab, port, family=socket.AF_INET):
        self.socket = lab.make(family, socket.SOCK_DGRAM)
        self.address = HOSTILE4 if family == socket.AF_INET else HOSTILE6
        self.port = port
        self.target = (OUTER4 if family == socket.AF_INET else OUTER6, PORT)
        self.socket.bind((self.address, port))
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        self.tos = None
        self.set_tos = (
            (socket.IPPROTO_IP, socket.IP_TOS)
            if family == socket.AF_INET
            else (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
        )

    @property
    def endpoint(self):
        """How `wg show` writes it."""
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else f"{self.address}:{self.port}"
        )

    def send(self, message, tos=0):
        self.socket.setsockopt(*self.set_tos, tos)
        self.socket.sendto(message, self.target)

    def receive(self, limit=PATIENCE):
        """One datagram, or None; its TOS is then in self.tos."""
        self.socket.settimeout(limit)
        try:
            message, ancillary, _, _ = self.socket.recvmsg(65535, 256)
        except (TimeoutError, BlockingIOError):
            return None
        self.tos = ancillary[0][2][0] if ancillary else None
        return message

    def drain(self):
        """All that has arrived."""
        out = []
        self.socket.setblocking(False)
        while True:
            try:
                out.append(self.socket.recv(65535))
            except BlockingIOError:
                return out


class Hostile:
    """A peer of the device that we hold the key of."""

    def __init__(self, lab, name, ips, psk=noise.NO_PSK, configure=True):
        self.lab, self.name, self.psk = lab, name, psk
        self.key = noise.Key()
        self.session = None
        if configure:
            lab.configure(
                attr(Peer.PUBLIC_KEY, self.key.public)
                + attr(Peer.PRESHARED_KEY, psk)
                + allowed_ips(*map(prefix, ips))
            )
            lab.names[self.key.public] = name

    def initiator(self, **options):
        return noise.Initiator(self.key, self.lab.public, self.psk, **options)

    def handshake(self, wire, confirm=True):
        """A session, by our initiative."""
        initiator = self.initiator()
        time.sleep(0.05)
        wire.drain()
        wire.send(initiator.initiation())
        response = wire.receive()
        self.session = response and initiator.finish(response)
        if self.session is None:
            raise RuntimeError(f"{self.name}: no session")
        if confirm:
            wire.send(self.session.data())
        return self.session

    def remove(self):
        self.lab.configure(
            attr(Peer.PUBLIC_KEY, self.key.public) + u32(Peer.FLAGS, Peer.F_REMOVE_ME)
        )
        self.lab.names.pop(self.key.public, None)


class Lab:
    """The device, what is known of it, and how it changes."""

    def __init__(self, hostile_namespace):
        self.hostile = os.open(hostile_namespace, os.O_RDONLY)
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.netlink = WireGuard()
        self.name = text(Device.IFNAME, DEVICE)
        self.key = noise.Key()
        self.public = self.key.public
        self.names = {}
        self.netlink.set(
            self.name + attr(Device.PRIVATE_KEY, self.key.private) + u16(Device.LISTEN_PORT, PORT)
        )
        self.wires = {}
        self.probe_peer = Hostile(self, "Q", ["192.168.242.9/32"])
        self.probe_wire = self.wire(4999)
        self.last = None
        # What came from the device and nobody has asked for.
        self.surprises = []

    def make(self, family, kind, protocol=0):
        """A socket of the other namespace."""
        os.setns(self.hostile, os.CLONE_NEWNET)
        try:
            return nonces.scripted(socket.socket(family, kind, protocol))
        finally:
            os.setns(self.home, os.CLONE_NEWNET)

    def wire(self, port, family=socket.AF_INET):
        if port not in self.wires:
            self.wires[port] = Wire(self, port, family)
        return self.wires[port]

    def configure(self, one):
        """A SET of one peer."""
        self.netlink.set(self.name + peers(one))

    def snapshot(self):
        """Everything that can be seen of the device from outside."""
        out = {}
        for name in os.listdir(STATISTICS):
            with open(f"{STATISTICS}/{name}") as file:
                out[name] = int(file.read())
        for one in dump_peers(self.netlink.get(self.name)):
            name = self.names.get(one[Peer.PUBLIC_KEY])
            if name is None:
                continue
            (out[f"{name}.rx"],) = struct.unpack("=Q", one[Peer.RX_BYTES])
            (out[f"{name}.tx"],) = struct.unpack("=Q", one[Peer.TX_BYTES])
            out[f"{name}.handshake"] = one[Peer.LAST_HANDSHAKE_TIME] != bytes(16)
            out[f"{name}.endpoint"] = describe(one.get(Peer.ENDPOINT))
        return out

    def settle(self):
        """Forgets what happened so far: the next changes count from now."""
        for wire in self.wires.values():
            wire.drain()
        time.sleep(0.1)
        self.last = self.snapshot()

    def probe(self):
        """A handshake of an innocent peer, so that what came before has been dealt with."""
        time.sleep(0.05)
        initiator = self.probe_peer.initiator()
        self.probe_wire.send(initiator.initiation())
        response = self.probe_wire.receive()
        if response is None or initiator.finish(response) is None:
            raise RuntimeError("the device does not answer the innocent any more")

    PROBE = {
        "rx_packets": 1,
        "rx_bytes": 148,
        "tx_packets": 1,
        "tx_bytes": 92,
        "Q.rx": 148,
        "Q.tx": 92,
    }

    def collect(self, sessions):
        """Reads all sockets. Keepalives of known sessions are counted, the rest is surprising."""
        count = {}
        for wire in self.wires.values():
            for message in wire.drain():
                for name, session in sessions.items():
                    if session and len(message) == 32 and session.open(message):
                        count[name] = count.get(name, 0) + 1
                        break
                else:
                    self.surprises.append((wire.endpoint, len(message), message[:4].hex()))
        return count

    def expect(self, what, action, sessions=None, **wanted):
        """What an action changes, all of it, and that nothing comes back.

        Passive keepalives of the device may come at any time on a slow machine; those of the
        given sessions are allowed for.
        """
        if self.last is None:
            self.settle()
        self.surprises = []
        action()
        self.probe()
        for name, value in self.PROBE.items():
            wanted[name] = wanted.get(name, 0) + value
        wanted = {name.replace("__", "."): value for name, value in wanted.items()}
        wanted = {name: value for name, value in wanted.items() if value != 0}
        keepalives = 0

        def changed():
            nonlocal keepalives
            for name, number in self.collect(sessions or {}).items():
                keepalives += number
                for counter, each in ((f"{name}.tx", 32), ("tx_packets", 1), ("tx_bytes", 32)):
                    wanted[counter] = wanted.get(counter, 0) + number * each
            self.now = self.snapshot()
            return changes(self.last, self.now)

        wait_until(lambda: changed() == wanted, 5)
        got = changes(self.last, self.now)
        self.last = self.now
        explanation = [f"wanted: {wanted}", f"got:    {got}"] if got != wanted else []
        explanation += [f"unasked: {one}" for one in self.surprises]
        return tap.ok(what, not explanation, *explanation)


def describe(endpoint):
    """A sockaddr as `wg show` writes it."""
    if endpoint is None:
        return None
    port = struct.unpack_from("!H", endpoint, 2)[0]
    if len(endpoint) == 16:
        return f"{socket.inet_ntop(socket.AF_INET, endpoint[4:8])}:{port}"
    return f"[{socket.inet_ntop(socket.AF_INET6, endpoint[8:24])}]:{port}"


def changes(before, after):
    """What is different; numbers as differences."""
    out = {}
    for name in after:
        if name not in before:
            continue
        old, new = before[name], after[name]
        if old != new:
            number = isinstance(new, int) and not isinstance(new, bool)
            out[name] = new - old if number else new
    return out


def ip(*args):
    subprocess.run(("ip",) + args, check=True)
