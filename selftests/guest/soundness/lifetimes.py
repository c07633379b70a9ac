#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# lifetimes.py RUN ROUNDS MOST LATE KIND:CASE...: the namespace of a device's sockets ends, so often in
# each case. What is around it has been made by lifetimes.sh, RUN is how its namespaces are called, MOST
# how many peers are removed at once in one of these rounds, and LATE after how many ticks RCU looks at
# idle CPUs meanwhile.

import base64
import contextlib
import errno
import itertools
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

import wgnl
from lifetimes_base import Echo, Ends, Log, Meanwhile, NoMemory, Route, Space, busy, eventually
from lifetimes_base import milliseconds, report, transformations
from wgnl import Device, Peer, allowed_ips, attr, prefix, text, u16, u32

RUN, ROUNDS, MOST, LATE = sys.argv[1], *map(int, sys.argv[2:5])
TROUBLE = re.compile("(?!.*(?:{KNOWN_RACES})).*(?:{TROUBLE})".format_map(os.environ))
KEY_A, KEY_B, KEY_C, PUB_C = (
    base64.b64decode(os.environ[name]) for name in ("KEY_A", "KEY_B", "KEY_C", "PUB_C")
)
RCU = "/sys/module/rcutree/parameters/"
CPUS = sorted(os.sched_getaffinity(0))
ALL = prefix("0.0.0.0/0")
REKEY_TIMEOUT = 5
# Numbers of links, each used once.
INDICES = itertools.count(1000)
# How many peers one request removes in other rounds than that with the most: as many, or now and then
# some more.
MANY, MORE = 200, 1000
# To remove so many takes longer than until the exit of a namespace begins.
LONG = 10000
# A route has room for so many that differ from it by the MTU, and a request for so many peers.
BUNCH = 250


def write(name, value):
    with open(name, "w", encoding="ascii") as file:
        file.write(f"{value}\n")


def usual_pace():
    with open(RCU + "jiffies_till_first_fqs", encoding="ascii") as file:
        return int(file.read())


def endpoint(address, port):
    return attr(Peer.ENDPOINT, (wgnl.endpoint6 if ":" in address else wgnl.endpoint4)(address, port))


def nearby(i):
    """Address number i of those at c."""
    return f"fd03:0:0:{i // BUNCH:x}::{i % BUNCH + 1:x}"


def known(*attributes):
    """The peer at c."""
    return wgnl.peers(attr(Peer.PUBLIC_KEY, PUB_C) + b"".join(attributes))


def outer(kind):
    """Where the peer is, from a."""
    return "10.2.0.1" if kind.endswith("4") else "fd02::1"


def ip(space, *arguments, **options):
    with space.inside():
        subprocess.run(["ip", *arguments], check=True, text=True, **options)


def many_peers(numbers, *attributes):
    """Requests about the peers with these numbers, with attributes that depend on the number."""
    numbers = list(numbers)
    for start in range(0, len(numbers), BUNCH):
        yield wgnl.peers(*(
            attr(Peer.PUBLIC_KEY, bytes([i & 255, i >> 8]) + bytes(29) + b"@")
            + b"".join(one(i) for one in attributes)
            for i in numbers[start:start + BUNCH]
        ))


class Rounds:
    """The namespaces around, and what happens in them."""

    def __init__(self):
        self.b, self.c, self.d, self.r = (Space(f"/run/netns/{RUN}-{name}") for name in "bcdr")
        self.links = {"b": Route(self.b), "d": Route(self.d)}
        self.r_link = Route(self.r)
        self.c_link = Route(self.c)
        with self.b.inside():
            self.wireguard = wgnl.WireGuard()
        self.ends = Ends(self.r)
        self.echo = Echo(self.b, "192.168.241.2")
        self.usual = usual_pace()
        self.kind = self.a = self.cable = self.wg0 = self.job = None
        self.made, self.round = [], 0
        # When the last one ended, how long after that its exit began, and how long it took in all.
        self.ended, self.delays, self.lasted = 0, [], []
        # How long requests took, and how much of that the next one has until the end.
        self.durations, self.quarters = {}, 0
        # Whether a request that was to last until after the end did not.
        self.early = False

    # --- What there is before -------------------------------------------------------------------

    def settle(self, kind):
        """What is the same in all rounds with one kind of routes."""
        mtu = "1300" if kind == "exception" else "1500"
        for space, name in (self.r, "eth1"), (self.c, "eth0"):
            ip(space, "link", "set", name, "mtu", mtu)
        ip(self.c, "xfrm", "state", "flush")
        if kind.startswith("esp"):
            ip(self.c, "-batch", "-", input=transformations(kind)[0])
        self.kind = kind

    def device(self, name, key, address, moves=False):
        """One in b that has its sockets in a, from where it has moved or not. Returns its number."""
        index = next(INDICES)
        with contextlib.closing(Route(self.a)) as link:
            link.add_wireguard(index, name, None if moves else self.b)
            if moves:
                link.move(index, self.b)
        self.made.append(name)
        peer = known(endpoint(address, 51820), allowed_ips(ALL))
        self.set(name, attr(Device.PRIVATE_KEY, key), peer)
        self.links["b"].set_up(index)
        return index

    def set(self, name, *attributes):
        self.wireguard.set(text(Device.IFNAME, name) + b"".join(attributes))

    def begin(self, case):
        """a, with a device in b that has a route of that kind cached."""
        cleared = Meanwhile(self.clear)
        self.a = Space()
        self.r_link.name_space(self.a)
        self.cable, index = next(INDICES), next(INDICES)
        self.r_link.add_veth(self.cable, "eth0", self.a, index)
        addresses = [(("10.1.0.2", 24), ("10.1.0.1", 24)), (("fd01::2", 64), ("fd01::1", 64))]
        if case != "roamed":
            addresses = addresses[:1] if self.kind.endswith("4") else addresses[1:]
        with contextlib.closing(Route(self.a)) as link:
            link.set_up(1)
            link.set_up(index)
            for there, here in addresses:
                self.r_link.add_address(self.cable, *there)
                link.add_address(index, *here)
                link.add_route(index, there[0])
            if case in ("replaced", "held") and self.kind == "exception":
                for start in range(0, MOST, BUNCH):
                    link.add_route(index, addresses[0][0][0], nearby(start), 64)
        if self.kind.startswith("esp"):
            ip(self.a, "-batch", "-", input="".join(transformations(self.kind)))
        cleared.wait()
        self.wg0 = self.device("wg0", KEY_A, outer(self.kind), self.round % 2 == 0)
        released = Meanwhile(self.release)
        self.links["b"].add_address(self.wg0, "192.168.241.1", 24)
        self.echo.reaches()
        if self.kind == "exception":
            # Routers do not cut IPv6 packets, so what gets there was cut in a.
            self.echo.reaches(1300)
        released.wait()
        # A peer that has moved, as by the answer, gets another cache after 100 ms.
        time.sleep(0.12)
        # All CPUs are to have it, if they may.
        for cpu in CPUS:
            os.sched_setaffinity(0, [cpu])
            self.echo.send(1300)
        os.sched_setaffinity(0, CPUS)
        self.echo.answered(1)

    def release(self):
        """Sockets that were in a keep it for a while yet, which is to be over."""
        write(RCU + "do_rcu_barrier", 1)

    def clear(self):
        """What is left of the last round."""
        while self.made:
            name = self.made.pop()
            for link in self.links.values():
                with contextlib.suppress(wgnl.Answer):
                    link.delete(name)

    # --- The end --------------------------------------------------------------------------------

    def end(self):
        """The namespace ends, without delay: nothing else keeps it."""
        a, self.a = self.a, None
        a.close()
        self.ended = time.monotonic()

    def end_while(self, *call, excused=(), long=False):
        """The same while a request is under way: at its begin, its end, and in between; a long one
        lasts until after that."""
        usual = 0 if long else self.durations.get(call[0].__name__, 0)
        self.quarters = (self.quarters + 1) % 4
        job = Meanwhile(*call, excused=excused, long=long)
        time.sleep(usual * self.quarters / 4)
        self.end()
        self.job = job

    def gone(self):
        """Waits until what was in a has gone, and for what was under way."""
        began, gone = self.ends.gone(self.cable)
        if began:
            self.delays.append(began - self.ended)
        self.lasted.append(gone - self.ended)
        if self.job:
            job, self.job = self.job, None
            job.wait()
            seconds = job.over - job.begun
            if not job.long:
                if not job.error:
                    self.durations[job.call[0].__name__] = seconds
                return
            since = began - job.begun if began else seconds
            print(f"a request took {seconds:.2f} s, and the exit began {since:.2f} s after its begin")
            self.early = since >= seconds and MOST >= LONG

    def abandon(self):
        """What a round that failed has left."""
        self.job = None
        if self.a:
            self.end()
            self.gone()

    def finished(self):
        """Waits until no namespace is being ended: one comes after the other, and so does this."""
        self.clear()
        space, index = Space(), next(INDICES)
        self.r_link.name_space(space)
        self.r_link.add_veth(index, "eth2", space, next(INDICES))
        self.ends.forget()
        space.close()
        self.ends.gone(index)

    # --- What happens before the end ------------------------------------------------------------

    def lives(self):
        self.end()

    def remove(self):
        self.set("wg0", known(u32(Peer.FLAGS, Peer.F_REMOVE_ME)))

    def removed(self):
        self.remove()
        self.end()

    def too_large(self, many):
        """a has a route with an MTU to each of many addresses"""
        with self.a.inside(), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            for i in range(many):
                sock.sendto(bytes(1400), (nearby(i), 9))
        # fib_rt_cache
        return int(self.a.read("rt6_stats").split()[4], 16) >= many

    def have_sent(self, many):
        """each of many peers has sent something, and the one at c"""
        found = self.wireguard.get(text(Device.IFNAME, "wg0"))
        return sum(any(one.get(Peer.TX_BYTES, b"")) for one in wgnl.dump_peers(found)) > many

    def fill(self, many, quiet=False):
        """Many peers that have sent something, so that each has a route. They go on with it, as nobody
        answers, and look for routes anew each time; or they are quiet afterwards."""
        if self.kind == "exception":
            eventually(self.too_large, many)
        for start in range(0, many, MORE):
            numbers = range(start, min(start + MORE, many))
            for _ in range(3):
                begun = time.monotonic()
                self.ask(numbers)
                if not quiet:
                    break
                self.silence(numbers)
                # Whoever is about to ask again has no route meanwhile, and is to be quiet before.
                if time.monotonic() - begun < REKEY_TIMEOUT:
                    break
            else:
                raise TimeoutError(f"{len(numbers)} peers were quiet too late, three times")
        self.release()

    def ask(self, numbers):
        """Each of these peers asks for a session."""
        before = self.r_link.received("eth0")

        def sent():
            """what many peers send gets to r"""
            return self.r_link.received("eth0") - before >= len(numbers)

        for request in many_peers(
            numbers,
            lambda i: endpoint(nearby(i) if self.kind == "exception" else outer(self.kind), 51820),
            lambda i: allowed_ips(prefix(f"10.{i >> 8}.{i & 255}.0/24")),
            lambda i: u16(Peer.KEEPALIVE, 25),
        ):
            self.set("wg0", request)
        eventually(sent)
        eventually(self.have_sent, numbers.stop)

    def silence(self, numbers):
        self.links["b"].set_up(self.wg0, False)
        for request in many_peers(numbers, lambda i: u16(Peer.KEEPALIVE, 0)):
            self.set("wg0", request)
        self.links["b"].set_up(self.wg0)

    def holding(self):
        """How many routes of the kind exception are there for those that hold them, and no longer for
        others."""
        ip(self.a, "-6", "route", "flush", "cache")
        # dst_entries
        return int(self.a.read("rt6_stats").split()[5], 16)

    def replaced(self):
        # Once so many that the end comes in the midst of it.
        most = self.kind == "exception" and not self.round
        many = MOST if most else MANY if self.round % 5 else min(MOST, MORE)
        self.fill(many, most)
        if most and (routes := self.holding()) < many * 0.9:
            raise ValueError(f"{routes} routes")
        change = u32(Device.FLAGS, Device.F_REPLACE_PEERS) + attr(Device.PRIVATE_KEY, bytes(32))
        excused = ()
        if self.round % 2:
            change += u16(Device.LISTEN_PORT, 0) + u32(Device.FWMARK, 0)
            # There is no other port if the namespace is gone already.
            excused = errno.ENONET, errno.EPERM
        self.end_while(self.set, "wg0", change, excused=excused, long=most)

    def roamed(self):
        for address, port in ("fd02::9", 1), ("10.2.0.9", 1), ("fd02::8", 1), ("10.2.0.8", 1):
            time.sleep(0.12)
            self.set("wg0", known(endpoint(address, port)))
            self.echo.send()
            self.echo.answered(0.01)
        self.end()

    def marked(self):
        time.sleep(0.12)
        self.set("wg0", u32(Device.FWMARK, 7), u16(Device.LISTEN_PORT, 0))
        self.echo.send()
        self.echo.answered(0.01)
        self.end()

    def rekeyed(self):
        # The peer has this key itself, and cannot be one of ours then.
        self.set("wg0", attr(Device.PRIVATE_KEY, KEY_C))
        self.end()

    def deleted(self):
        self.end_while(self.links["b"].delete, "wg0")

    def several(self):
        """One of several devices loses its peer, and another one goes."""
        for number in 1, 2, 3:
            name = f"wg{number}"
            index = self.device(name, KEY_B, outer(self.kind))
            self.links["b"].add_address(index, f"192.168.24{number}.101", 32)
            # Handshakes that are not answered have routes, too.
            with contextlib.closing(Echo(self.b, "192.168.250.1", name)) as echo:
                echo.send()
                echo.answered(0.1)
        self.release()
        self.set("wg1", known(u32(Peer.FLAGS, Peer.F_REMOVE_ME)))
        self.end_while(self.links["b"].delete, "wg2")

    def moved(self):
        self.end_while(self.links["b"].move, self.wg0, self.d)

    def taken_down(self):
        self.end_while(self.links["b"].set_up, self.wg0, False)

    def flooded(self):
        stop = threading.Event()

        def flood():
            while not stop.is_set():
                self.echo.send()
                self.echo.answered(0.01)

        job = Meanwhile(flood)
        time.sleep(0.02)
        self.end()
        stop.set()
        job.wait()

    def starved(self):
        """There is no memory for the driver when the namespace ends. The peer goes later."""
        with NoMemory():
            self.end()
            self.gone()
        self.remove()

    def starved_before(self):
        """There is none to renew the endpoint, and then the namespace ends. The peer goes later."""
        with NoMemory():
            self.set("wg0", u32(Device.FWMARK, 7))
        # To an address that does not answer, as an answer renews it.
        with contextlib.closing(Echo(self.b, "192.168.241.3")) as echo:
            echo.send()
            echo.answered(0.01)
        if self.round % 2:
            self.echo.send()
            self.echo.answered(0.01)
        self.end()
        self.gone()
        self.remove()

    # --- Rounds ---------------------------------------------------------------------------------

    def tries(self, case, rounds):
        """So many rounds; says how long after the last word the exit of the namespace began."""
        self.delays, self.lasted = [], []
        for self.round in range(rounds):
            # Both begin at once, on a machine whose CPUs may be busy with something else.
            for _ in range(3):
                self.early = False
                self.one(case)
                if not self.early:
                    break
            else:
                raise ValueError("the request was over before the exit began, three times")
        self.finished()

    def one(self, case):
        self.abandon()
        self.begin(case)
        self.ends.forget()
        write(RCU + "jiffies_till_first_fqs", LATE)
        try:
            getattr(self, case)()
            if not case.startswith("starved"):
                self.gone()
        finally:
            write(RCU + "jiffies_till_first_fqs", self.usual)

    def held(self):
        """Each peer that has sent something holds a route, until it goes."""
        self.settle("exception")
        self.round = 0
        self.begin("held")
        self.fill(MANY, quiet=True)
        if (routes := self.holding()) < MANY:
            raise ValueError(f"{routes} routes")
        for request in many_peers(range(MANY), lambda i: u32(Peer.FLAGS, Peer.F_REMOVE_ME)):
            self.set("wg0", request)

        def few():
            """routes are gone with their peers"""
            return self.holding() < 10

        eventually(few)


def check(log, what, call, *arguments):
    """One result: the call succeeds, and the kernel has nothing to complain about meanwhile."""
    log.read()
    trouble = []
    try:
        call(*arguments)
    except Exception:
        trouble += traceback.format_exc().splitlines()
    trouble += [line for line in log.read() if TROUBLE.match(line)]
    report(not trouble, what, *trouble)


def main():
    sys.setswitchinterval(0.0005)
    log = Log()
    rounds = Rounds()
    check(log, "each peer that has sent something holds a route", rounds.held)
    rounds.abandon()
    rounds.finished()
    for argument in sys.argv[5:]:
        kind, case, *more = argument.split(":")
        count = ROUNDS * int(*more or [1])
        if kind != rounds.kind:
            rounds.settle(kind)
        begin, before = time.monotonic(), busy()
        what = f"route {kind}: {case}"
        if more:
            what += ", over and over"
        check(log, what, rounds.tries, case, count)
        seconds, worked = (time.monotonic() - begin) / count, (busy() - before) / count
        print(f"each {seconds:.2f} s, and {worked:.2f} s of CPUs' time; the exit began after"
            f" {milliseconds(rounds.delays)}, and took {milliseconds(rounds.lasted)}")


main()
