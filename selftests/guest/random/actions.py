#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Random actions on all that is around a tunnel, by a seed. Runs inside actions.sh.

    actions.py plan SEED COUNT			what would be done
    actions.py make RUN				the paths that the tunnel may take
    actions.py round RUN SEED COUNT NUMBER	one round of the plan, and what must hold after it

Several processes take the items of a round from a queue, so that they are begun in the order of the plan, and
more than one is at it. When all is done, what is random goes, and the tunnel must work again.
"""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import tap
from actions_beside import Beside, started, traffic
from actions_grammar import lines, rounds
from actions_world import INNER, PATHS, PORTS, World, address, make, other
from wgnl import (
    Answer,
    Device,
    Peer,
    WireGuard,
    allowed_ips,
    attr,
    endpoint4,
    key,
    peers,
    prefix,
    text,
    u16,
    u32,
)

PATIENCE = float(os.environ.get("PATIENCE", 60))
ACTORS = 4
# What programs are told of things that are not there any more, not yet, or otherwise: by the kernel (status 2
# of iproute2), or since they have found no device themselves.
CLEAN = (
    "Error: ",
    "RTNETLINK answers: File exists",
    "RTNETLINK answers: No such file or directory",
    "RTNETLINK answers: No such device",
    "RTNETLINK answers: No such process",
    "RTNETLINK answers: No such device or address",
    "RTNETLINK answers: Device or resource busy",
    "RTNETLINK answers: Address already in use",
    "RTNETLINK answers: Cannot assign requested address",
    "RTNETLINK answers: Invalid argument",
    "RTNETLINK answers: Network is down",
    "RTNETLINK answers: Network is unreachable",
    "RTNETLINK answers: No route to host",
    # The namespace of its sockets has ended.
    "RTNETLINK answers: Machine is not on the network",
    "RTNETLINK answers: Numerical result out of range",
    "RTNETLINK answers: Operation not supported",
    "Cannot find device",
    "does not exist",
    "Cannot send link get request",
    "No such device",
    "No such file or directory",
    "Operation not supported",
    "Device or resource busy",
    "Address already in use",
    "Address not available",
    "No such process",
    "File exists",
    "Invalid argument",
    "Could not change any device features",
    "Cannot change ",
    "is not a wireguard interface",
    "Unable to access interface",
)
# What none of them is ever told, wherever it says so.
WRONG = (
    "Cannot allocate memory",
    "Bad address",
    "Unknown error",
    "Permission denied",
    "Traceback",
    "Usage",
    "syntax error",
    "garbage",
    "is expected instead of",
    "Error: an ",
    "What is",
    "nknown qdisc",
    "kind is unknown",
    "Unknown filter",
    "Failed to load TC action module",
    "Command line is not complete",
)


# What is shown of each namespace where a tunnel does not work.
STATE = (
    "wg show",
    "ip -br addr",
    "ip neigh",
    "ip rule",
    "ip -6 rule",
    "ip route",
    "ip -6 route",
    "tc qdisc",
    "nft list ruleset",
)


class Report:
    """Lines from many processes to one."""

    def __init__(self):
        self.read, self.write = os.pipe()

    def __call__(self, *what):
        os.write(self.write, (json.dumps(what) + "\n").encode()[:4000])


class Actor:
    """A process that takes items until there are none."""

    def __init__(self, world, queue, items, report, until):
        self.world, self.queue, self.items, self.report, self.until = world, queue, items, report, until
        self.names = {**world.names, "run": world.run}
        for one in "abc":
            self.names[f"pub_{one}"] = os.environ[f"PUB_{one.upper()}"]
            self.names[f"key_{one}"] = os.path.join(os.environ["WG_TMP"], f"key-{one}")
        self.names["psk"] = os.path.join(os.environ["WG_TMP"], "psk")

    def run(self):
        # Ends with a timeout, but not with those that it has started.
        while time.monotonic() < self.until:
            which = os.read(self.queue, 4)
            if not which:
                break
            number, name, steps = self.items[struct.unpack("=I", which)[0]]
            for step in steps:
                self.item = f"{number} {name}: {' '.join(' '.join(map(str, step)).split())}"
                self.take(*step)
            self.report("done", number)
            # So that some packets find it so.
            time.sleep(10 * float(os.environ["WG_PAUSE"]))

    def take(self, tool, space, *words):
        own = getattr(self, f"do_{tool}", None)
        if own:
            own(space, *words)
        else:
            self.run_program(space, [tool, *shlex.split(words[0].format(**self.names))])

    def run_program(self, space, words, given=""):
        self.world.enter(space)
        try:
            done = subprocess.run(
                words,
                input=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return self.report("wrong", f"{self.item}: not done within {PATIENCE:.0f} s")
        finally:
            self.world.enter(None)
        said = done.stdout.strip()
        if done.returncode == 0:
            self.report("ok", words[0])
        elif done.returncode < 0 or any(one in said for one in WRONG) or not self.clean(said):
            self.report("wrong", f"{self.item}: status {done.returncode}, {said[:500]}")
        else:
            self.report("refused", words[0])
            if "WG_VERBOSE" in os.environ:
                self.report("note", f"{self.item}: {said[:300]}")
        return done.stdout if done.returncode == 0 else ""

    def clean(self, said):
        """Whether there can be such a reason."""
        # Whoever changes a socket needs a right in its namespace, which there is no more.
        if "Error: argument" in said:
            return "Device does not exist" in said
        return any(one in said for one in CLEAN) or "orphan" in self.item and "Operation not permitted" in said

    def do_nft(self, space, rules):
        self.run_program(space, ["nft", "-f", "-"], rules)

    def do_write(self, space, path, value):
        self.world.enter(space)
        try:
            with open(f"/proc/sys/net/{path}", "w", encoding="ascii") as file:
                file.write(value)
            self.report("ok", "write")
        except OSError as error:
            # Of a device that is not there, or has no IPv6 any more.
            clean = isinstance(error, FileNotFoundError) or error.errno in (22, 19)
            self.report("refused" if clean else "wrong", "write" if clean else f"{self.item}: {error}")
        finally:
            self.world.enter(None)

    def do_threaded(self, space, device, value):
        path = f"/sys/class/net/{device}/threaded"
        self.run_program(None, ["ip", "netns", "exec", self.world.names[space], "tee", path], value)

    def do_space(self, _space, what, name):
        self.run_program(None, ["ip", "netns", what, f"{self.world.run}-{name}"])

    def do_grace(self, space, name):
        """What is deleted waits for those who look at it."""
        self.run_program(space, ["ip", "link", "add", f"{name}g", "type", "dummy"])
        self.run_program(space, ["ip", "link", "del", f"{name}g"])

    def pid_file(self, name):
        return os.path.join(os.environ["WG_TMP"], f"pid-{name}")

    def do_start(self, name, space, what, *arguments):
        one = Beside(self.world, space, started, self.report, what, *arguments)
        with open(self.pid_file(name), "w", encoding="ascii") as file:
            file.write(str(one.pid))

    def do_end(self, name):
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError, ChildProcessError):
            with open(self.pid_file(name), encoding="ascii") as file:
                pid = int(file.read())
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def do_none(self, space, what, device):
        """Nobody has seen a large packet."""
        if what == "nft":
            out = self.run_program(space, ["nft", "list", "table", "inet", device]) or ""
            seen = [line.split("packets ")[1].split()[0] for line in out.splitlines() if "counter packets" in line]
        else:
            words = ["tc", "-s", "filter", "show", "dev", device, "egress", "pref", what.split()[1]]
            seen = re.findall(r"Sent \d+ bytes (\d+) pkt", self.run_program(space, words) or "")
        if not seen:
            self.report("unseen", what.split()[0])
        for count in seen:
            self.report("looked", what.split()[0])
            if int(count):
                self.report("wrong", f"{self.item}: {count} large packets, where somebody looks")

    def do_peers(self, space, what, number):
        """A request by netlink."""
        name = text(Device.IFNAME, "wg0")
        self.world.enter(space)
        try:
            netlink = WireGuard()
            if what == "show":
                netlink.get(name)
            else:
                some = range(number, number + 8)
                netlink.set(name + peers(*(attr(Peer.PUBLIC_KEY, key(one)) + self.change(what, one) for one in some)))
            netlink.close()
            self.report("ok", "peers")
        except Answer as answer:
            clean = answer.errno in (19, 95, 99)
            self.report("refused" if clean else "wrong", "peers" if clean else f"{self.item}: {answer}")
        finally:
            self.world.enter(None)

    def change(self, what, number):
        if what == "remove":
            return u32(Peer.FLAGS, Peer.F_REMOVE_ME)
        ips = [prefix(f"10.66.{number}.0/24"), prefix(f"fd66::{number}/128")]
        out = u32(Peer.FLAGS, Peer.F_REPLACE_ALLOWEDIPS) + allowed_ips(*ips)
        out += attr(Peer.ENDPOINT, endpoint4(address(number % len(PATHS), "b"), 9)) + u16(Peer.KEEPALIVE, number % 2)
        return out + (attr(Peer.PRESHARED_KEY, key(number)) if what == "change" else b"")


# One round ------------------------------------------------------------------------------------------


def reaches(world, side, to):
    """Whether an echo comes back, sooner or later; and when."""
    begin = time.monotonic()
    while time.monotonic() < begin + PATIENCE:
        if " 0% packet loss" in world.command(side, "ping", "-n", "-q", "-c", "1", "-W", "1", to):
            return time.monotonic() - begin
        time.sleep(0.1)
    return None


def copies(world, side):
    """A file by TCP, to the other end."""
    data = os.urandom(300000)
    world.enter(other(side))
    server = socket.create_server((INNER[other(side)][0], 5004))
    world.enter(side)
    client = socket.socket()
    world.enter(None)
    server.settimeout(PATIENCE)
    client.settimeout(PATIENCE)
    client.connect(server.getsockname())
    got, _ = server.accept()
    with server, client, got:
        sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
        sender.start()
        found = b"".join(iter(lambda: got.recv(65536), b""))
        sender.join()
    return found == data


def agree(before, after):
    """The device has counted what its peers have, since then; what could not be sent may not be."""
    received, sent = (after[f"peers_{way}"] - before[f"peers_{way}"] for way in ("rx", "tx"))
    return after["rx_bytes"] - before["rx_bytes"] == received and after["tx_bytes"] - before["tx_bytes"] <= sent


class OneRound:
    """All that is done in it, and what is found."""

    def __init__(self, run, plan, items):
        self.world, self.plan, self.items = World(run), plan, items
        self.what = f"round {plan.number}"
        self.report = Report()
        self.tally, self.wrong = {}, []

    def reload(self):
        """The module, with other parameters if it has any, and so the tunnel."""
        ours = os.environ.get("WG_MODULE")
        insert = ("insmod", ours, f"parallel={self.plan.parallel}") if ours else ("modprobe", "wireguard")
        done = [subprocess.run(words, check=False).returncode for words in (("rmmod", "wireguard"), insert)]
        tap.equal(f"{self.what}: the module comes anew", done, [0, 0])
        self.world.restore(True)

    def begin(self):
        if self.plan.parallel is not None:
            self.reload()
        path, family = self.plan.path, self.plan.family
        for side in "ab":
            where = address(path, other(side), family)
            where = f"[{where}]" if family == 6 else where
            words = ("peer", os.environ[f"PUB_{other(side).upper()}"], "endpoint", f"{where}:{PORTS[other(side)]}")
            self.world.command(side, "wg", "set", "wg0", *words)
        tap.note(f"{self.what}: {' '.join(self.plan.head())}")
        took = reaches(self.world, "a", INNER["b"][0])
        tap.ok(f"{self.what}: the tunnel works by its path", took is not None, *self.state())

    def act(self, until, pause):
        """The items, by several processes at once, with traffic."""
        queue, give = os.pipe()
        os.write(give, b"".join(struct.pack("=I", place) for place in range(len(self.items))))
        os.close(give)
        beside = traffic(self.world, self.report, pause)
        # For the others, until they end, so that it is read to its end.
        actors = []
        for _ in range(ACTORS):
            actor = Actor(self.world, queue, self.items, self.report, until)
            actors.append(Beside(self.world, None, actor.run))
        reader = threading.Thread(target=self.listen)
        reader.start()
        for one in actors:
            os.waitpid(one.pid, 0)
        alive = [one for one in beside if not os.waitpid(one.pid, os.WNOHANG)[0]]
        for one in alive:
            one.end()
        tap.equal(f"{self.what}: traffic goes on to the end", len(alive), len(beside))
        self.report("end")
        reader.join()

    def listen(self):
        with os.fdopen(self.report.read) as lines_of_all:
            for line in lines_of_all:
                what, *rest = json.loads(line)
                if what == "end":
                    return
                if what == "wrong":
                    self.wrong += rest
                elif what == "note":
                    tap.note(rest[0])
                else:
                    name = what if what == "done" else f"{what} {rest[0]}"
                    self.tally[name] = self.tally.get(name, 0) + (rest[1] if what == "received" else 1)

    def judge(self):
        tap.note(f"{self.what}: {', '.join(f'{name} {count}' for name, count in sorted(self.tally.items()))}")
        tap.ok(f"{self.what}: each action succeeds, or is refused for a reason", not self.wrong, *self.wrong)

    def after(self, before):
        world, alone = self.world, self.plan.alone
        world.restore(not alone, {step[1:] for _, _, steps in self.items for step in steps if step[0] == "ethtool"})
        how = "by itself" if alone else "configured anew"
        took = [reaches(world, "a", INNER["b"][0]), reaches(world, "b", INNER["a"][1])]
        tap.note(f"{self.what}: works after {took} s")
        worked = tap.ok(f"{self.what}: the tunnel works again, {how}", None not in took, *self.state())
        tap.ok(f"{self.what}: a file arrives", worked and copies(world, "a"))
        tap.ok(f"{self.what}: and one back", worked and copies(world, "b"))
        for side in "ab":
            self.count(side, before[side])

    def count(self, side, before):
        """Counters are sane: small, and those of the device and of its peers agree, if none was removed."""
        now = self.world.counters(side)
        huge = [f"{name}: {value}" for name, value in now.items() if value >= 1 << 40]
        tap.ok(f"{self.what}: no counter of {side} has gone below nothing", not huge, *huge)
        if not self.plan.alone:
            return
        end = time.monotonic() + 10
        while not agree(before, now) and time.monotonic() < end:
            time.sleep(0.1)
            now = self.world.counters(side)
        tap.ok(f"{self.what}: peers' bytes of {side} are the device's", agree(before, now), str(before), str(now))

    def settled(self, side):
        """Counters between which nothing has come or gone."""
        now, again = None, self.world.counters(side)
        while now != again:
            now, again = again, self.world.counters(side)
        return now

    def state(self):
        for side in "abr":
            for line in STATE:
                yield from self.world.command(side, *line.split()).splitlines()


def one_round(run, seed, count, number):
    plan, items = list(rounds(seed, int(count)))[int(number)]
    one = OneRound(run, plan, items)
    until = float(os.environ.get("WG_UNTIL", "inf"))
    one.begin()
    before = {side: one.settled(side) for side in "ab"}
    begin = time.monotonic()
    one.act(until, float(os.environ["WG_PAUSE"]))
    tap.note(f"{one.what}: {len(items)} items in {time.monotonic() - begin:.1f} s")
    one.judge()
    one.after(before)


def make_world(run):
    world = World(run)
    for path in range(1, len(PATHS)):
        for space in "rab":
            world.ip(space, [line for where, line in make(path) if where == space])
    world.restore(True)
    for path, ends in enumerate(PATHS):
        for family in (4, 6):
            far = address(path, "b", family)
            tap.ok(f"path {path}, {'/'.join(ends)}: {far}", reaches(world, "a", far) is not None)


def main():
    what, *arguments = sys.argv[1:]
    if what == "plan":
        print("\n".join(lines(arguments[0], int(arguments[1]))))
    elif what == "make":
        make_world(*arguments)
    else:
        one_round(*arguments)


main()
