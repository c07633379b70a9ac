#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Devices, traffic, changes, and what they leave behind. Runs inside soak.sh."""

import json
import os
import random
import socket
import struct
import sys
import time

import noise
import nonces
import soak_slopes
import tap
from lab import PATIENCE, wait_until
from soak_mesh import Inside, Mesh
from soak_traffic import Running
from wgnl import Device, Peer, attr, u16, u32

# So many samples are taken, be the machine slow, or more if it lasts long: one each so many seconds.
SAMPLES, SELDOM = 40, 30
# What comes before, in seconds, as a share of the time, but not less than until the first sessions have ended
# and there are as many of them as there will be (REJECT_AFTER_TIME), nor more than what is kept is kept for.
WARM_UP, LEAST, MOST = 1 / 2, 200, 600
# Bytes of an echo, which comes in fragments: each host remembers who has sent such.
ECHO = 4000


class Changes:
    """What happens to a mesh, by chance."""

    def __init__(self, mesh, chance):
        self.mesh, self.chance = mesh, chance
        self.kinds = (
            self.key,
            self.expire,
            self.peer,
            self.replace,
            self.port,
            self.down,
            self.sockets,
            self.device,
            self.roam,
            self.told,
            self.mtu,
            self.psk,
            self.mark,
            self.keepalive,
        )
        self.waiting = []

    def node(self):
        return self.chance.choice(self.mesh.nodes)

    def pair(self):
        return self.chance.sample(self.mesh.nodes, 2)

    def next(self):
        """Each kind once, and then again in another order."""
        if not self.waiting:
            self.waiting = self.chance.sample(self.kinds, len(self.kinds))
        change = self.waiting.pop()
        return f"{change.__name__} {change()}"

    def key(self):
        node = self.node()
        old, node.key = node.key.public, noise.Key()
        node.set(device=attr(Device.PRIVATE_KEY, node.key.private))
        for other in self.mesh.others(node):
            other.forget(old)
            other.set(other.peer(node))
        return node.number

    def expire(self):
        """All sessions of a device, as its key changes, and then does not."""
        node = self.node()
        node.set(device=attr(Device.PRIVATE_KEY, noise.Key().private))
        node.set(device=attr(Device.PRIVATE_KEY, node.key.private))
        return node.number

    def peer(self):
        node, other = self.pair()
        node.forget(other.key.public)
        node.set(node.peer(other))
        return node.number, other.number

    def replace(self):
        """All peers of a device."""
        node = self.node()
        node.configure()
        return node.number

    def port(self):
        node = self.node()
        node.port = 51820 + node.number + 100 * self.chance.randrange(1, 9)
        node.set(device=u16(Device.LISTEN_PORT, node.port))
        return node.number, node.port

    def down(self):
        node = self.node()
        node.link("down")
        time.sleep(self.chance.random() / 2)
        node.link("up")
        return node.number

    def sockets(self):
        group = self.chance.choice(self.mesh.groups)
        group.renew()
        for node in self.mesh.nodes:
            if node.group is group:
                node.delete()
                node.create()
        return group.number

    def device(self):
        node = self.node()
        node.delete()
        node.create()
        return node.number

    def roam(self):
        group = self.chance.choice(self.mesh.groups)
        group.move()
        # They have all moved, and could not tell each other.
        inside = [node for node in self.mesh.nodes if node.group is group]
        for node in inside:
            for other in inside:
                if other is not node:
                    node.find(other)
        return group.number

    def told(self):
        node, other = self.pair()
        node.find(other)
        return node.number, other.number

    def mtu(self):
        node = self.node()
        node.mtu = self.chance.choice((1280, 1350, 1420, 1500, 9000))
        node.link(f"mtu {node.mtu}")
        return node.number, node.mtu

    def psk(self):
        node, other = self.pair()
        self.mesh.psks[frozenset((node.number, other.number))] = self.chance.randbytes(32)
        node.set(node.peer(other))
        other.set(other.peer(node))
        return node.number, other.number

    def mark(self):
        node = self.node()
        node.set(device=u32(Device.FWMARK, self.chance.randrange(3)))
        return node.number

    def keepalive(self):
        node, other = self.pair()
        seconds = self.chance.choice((0, 1, 5))
        node.set(attr(Peer.PUBLIC_KEY, other.key.public) + u16(Peer.KEEPALIVE, seconds))
        return node.number, other.number, seconds


def unanswered(mesh, family):
    """Who asks whom for an echo and gets none at once, in a mesh in which everybody does so."""
    six = family == socket.AF_INET6
    protocol, request = (socket.IPPROTO_ICMPV6, 128) if six else (socket.IPPROTO_ICMP, 8)
    missing = set()
    for node in mesh.nodes:
        with Inside(node.space):
            with open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
                file.write("0 0")
            sock = socket.socket(family, socket.SOCK_DGRAM, protocol)
        wanted = {other.address6() if six else other.address4() for other in mesh.others(node)}
        with sock:
            sock.settimeout(0.5)
            for address in wanted:
                sock.sendto(struct.pack("!BBHHH", request, 0, 0, 0, 1) + bytes(ECHO), (address, 0))
            try:
                while wanted:
                    wanted.discard(sock.recvfrom(65536)[1][0])
            except TimeoutError:
                missing |= {(node.number, address) for address in wanted}
    return missing


def reach(mesh):
    """All reach all, sooner or later."""
    for family, name in (socket.AF_INET, "IPv4"), (socket.AF_INET6, "IPv6"):
        wait_until(lambda family=family: not unanswered(mesh, family), PATIENCE)
        tap.equal(f"all reach all by {name}", unanswered(mesh, family), set())


class Counters:
    """What only becomes more, while devices come and go."""

    def __init__(self, mesh):
        self.mesh = mesh
        self.packets = self.handshakes = 0
        self.last_packets, self.last_handshakes = {}, {}

    def update(self):
        for node in self.mesh.nodes:
            now, before = node.packets(), self.last_packets.get(node, 0)
            self.packets += now - before if now >= before else now
            self.last_packets[node] = now
            times, before = node.handshakes(), self.last_handshakes.get(node, {})
            self.handshakes += sum(
                time != bytes(16) and before.get(key) != time for key, time in times.items()
            )
            self.last_handshakes[node] = times


def judge(times, samples, counters):
    """`counters` are packets and handshakes at each sample."""
    seconds = times[-1] - times[0]
    packets, handshakes = (end - begin for begin, end in zip(counters[0], counters[-1]))
    tap.note(
        f"in {seconds:.0f} s: {len(times)} samples, {len(times) - 1} changes, "
        f"{packets} packets of devices, {handshakes} handshakes at least, of both ends"
    )
    found = soak_slopes.slopes(times, samples, len(times) - 1)
    ignored = soak_slopes.LAZY + (soak_slopes.KEEPING if seconds < soak_slopes.KEPT else ())
    found = [one for one in found if one.name not in ignored]
    found.sort(key=lambda one: -one.slope / one.bound)
    for one in found:
        if one.slope > one.bound / 4 or not one.name.startswith("slab") or "malloc-" in one.name:
            tap.note(str(one))
    tap.equal("nothing grows", [str(one) for one in found if one.grows], [])
    caches = [one for one in found if one.name.startswith("slab")]
    # Of one that loses so much, the slope is more than that if noise takes as much as it may.
    deaf = [str(one) for one in caches if 2 * one.bound * seconds > handshakes]
    tap.equal("an object for each handshake would be noticed in each cache", deaf, [])
    bounds = sorted(2 * one.bound * seconds / packets for one in caches)
    for what, bound in ("half", bounds[len(bounds) // 2]), ("each", bounds[-1]):
        tap.note(f"an object for each {1 / bound:.0f} packets would be noticed in {what} of the caches")


def record(*what):
    """For who wants to look at it later, in a directory that the guest was given by --share."""
    name = os.environ.get("WG_SAMPLES")
    if name:
        with open(name, "a") as file:
            print(json.dumps(what), file=file)


def main():
    run, devices, groups, minutes, seed = sys.argv[1], *map(float, sys.argv[2:])
    seed = int(seed) or random.randrange(1, 1 << 32)
    seconds = minutes * 60
    interval = min(SELDOM, seconds / SAMPLES)
    tap.note(f"WG_SEED={seed} WG_MINUTES={minutes:g}, a change and a sample each {interval:g} s")
    wrong = nonces.control()
    if wrong:
        tap.note(wrong)
    mesh = Mesh(run, int(devices), int(groups))
    changes, counters = Changes(mesh, random.Random(seed)), Counters(mesh)
    reach(mesh)
    traffic = Running(mesh, seed)
    times, samples, counted = [], [], []
    begin = due = time.monotonic()
    warm = begin + min(max(seconds * WARM_UP, LEAST), MOST)
    while len(times) < SAMPLES or times[-1] < seconds:
        if time.monotonic() < warm:
            times, samples, counted, begin = [], [], [], warm
        change = changes.next()
        due += interval
        time.sleep(max(due - time.monotonic(), 1))
        traffic.pause()
        times.append(time.monotonic() - begin)
        samples.append(soak_slopes.sample(mesh))
        traffic.resume()
        counters.update()
        counted.append((counters.packets, counters.handshakes))
        record(times[-1], change, counted[-1], traffic.counts(), samples[-1])
    datagrams, streams, broken = traffic.counts()
    tap.note(f"{datagrams} datagrams arrived, {streams} connections were used to the end, {broken} not")
    tap.ok("there was traffic", datagrams > 10 * times[-1] and streams > times[-1] / 10)
    traffic.end()
    # Of two that both have moved at nearly the same time, neither knows where the other one is.
    for node in mesh.nodes:
        for other in mesh.others(node):
            node.find(other)
    reach(mesh)
    judge(times, samples, counted)
    messages, repeated, unnoted = mesh.tap.counts()
    tap.note(f"nonces of {messages} messages were looked at, {unnoted} not noted")
    tap.ok(
        "no nonce is used twice",
        not (wrong or repeated or unnoted) and messages > 0,
        *mesh.tap.report(),
    )
    mesh.tap.close()


main()
