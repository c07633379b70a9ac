# SPDX-License-Identifier: GPL-2.0
"""Plans of random actions, by a seed: what is done to all that is around a tunnel, and undone some actions
later. Nothing here looks at the kernel, so that a seed always means the same plan.

A plan is rounds of items, and an item is steps, which are done one after the other. A step is

    (tool, namespace, words)		a program, such as `ip`, is run; {a} stands for a namespace
    ("nft", namespace, rules)		the same, with a text
    ("write", namespace, path, text)	a file is written, that is below /proc/sys/net if there is a namespace
    ("start", name, namespace, what, argument...)	something goes on, until it is ended by its name
    ("end", name)
    ("peers", namespace, what, number)	a request by netlink
    ("none", namespace, what, device)	a counter of packets that must not have been there
"""

import heapq
import random

from actions_links import Links
from actions_underlay import OPEN, Underlay
from actions_world import INNER, PATHS, PORTS, address, other

# Items of a round, which ends with all being put right; and how many items later one is undone, so that it has been
# done by then.
ROUND = 40
SOONER, LATER = 5, 14
PROBABLY_ALONE = 0.4
PEERS = 40


class Round(Links, Underlay):
    """The items of one round, one by one."""

    def __init__(self, seed, number):
        self.rnd = random.Random(f"{seed}/{number}")
        self.number = number
        # Whether the tunnel's own configuration stays as it is, so that it must find its way by itself.
        self.alone = self.rnd.random() < PROBABLY_ALONE
        # How the module is loaded before, if that has parameters; or it stays as it is.
        self.parallel = self.rnd.choice((None, 0, 1, 2))
        self.path = self.rnd.choice((*range(len(PATHS)), *OPEN, *OPEN))
        self.family = self.rnd.choice((4, 4, 6))
        self.later, self.count, self.names = [], 0, 0
        actions = self.link_actions() + self.underlay_actions()
        if not self.alone:
            actions += self.tunnel_actions()
        self.functions, self.weights = zip(*actions)

    def head(self):
        """What a round begins with."""
        yield f"alone={self.alone:d} parallel={self.parallel} path={self.path} family={self.family}"

    def items(self):
        """Without an end: a shorter plan is the beginning of a longer one."""
        while True:
            self.count += 1
            if self.later and self.later[0][0] <= self.count:
                _, _, name, steps = heapq.heappop(self.later)
                yield f"no {name}", steps
                continue
            function = self.rnd.choices(self.functions, self.weights)[0]
            steps, undo = function()
            name = function.__name__
            if undo:
                when = self.count + self.rnd.randint(SOONER, LATER)
                heapq.heappush(self.later, (when, self.count, name, undo))
            yield name, steps

    # Of all that is random --------------------------------------------------------------------------

    def one(self, *values):
        return self.rnd.choice(values)

    def side(self):
        return self.rnd.choice("ab")

    def name(self):
        """A name that nothing else has, in this round."""
        self.names += 1
        return f"x{self.number % 100}n{self.names}"

    # The tunnel itself ------------------------------------------------------------------------------

    def tunnel_actions(self):
        return [
            (self.endpoint, 12),
            (self.listen_port, 4),
            (self.fwmark, 4),
            (self.private_key, 2),
            (self.preshared, 3),
            (self.remove_peer, 3),
            (self.many_peers, 6),
            (self.move_ips, 3),
            (self.keepalive, 3),
            (self.device_gone, 2),
            (self.device_moved, 3),
            (self.device_named, 2),
            (self.translate, 5),
        ]

    def peer(self, side, *words):
        return "wg", side, f"set wg0 peer {{pub_{other(side)}}} {' '.join(words)}"

    def base_endpoint(self, side):
        return f"endpoint {address(0, other(side))}:{PORTS[other(side)]}"

    def endpoint(self):
        side, path, family = self.side(), self.rnd.randrange(len(PATHS)), self.one(4, 6)
        where = address(path, other(side), family)
        where = f"[{where}]" if family == 6 else where
        if self.rnd.random() < 0.1:
            inside = self.one(INNER[side][0], INNER[other(side)][0])
            where = self.one("127.0.0.1", "[::1]", "10.0.0.255", "192.0.2.1", "224.0.0.5", inside)
        return [self.peer(side, f"endpoint {where}:{PORTS[other(side)]}")], [self.peer(side, self.base_endpoint(side))]

    def listen_port(self):
        side = self.side()
        port = PORTS[side] + self.one(2, 4, 6)
        back = "wg", side, f"set wg0 listen-port {PORTS[side]}"
        return [("wg", side, f"set wg0 listen-port {self.one(port, port, 0)}")], [back]

    def fwmark(self):
        side = self.side()
        return [("wg", side, f"set wg0 fwmark {self.one(1, 2, 3, 0xffffffff)}")], [("wg", side, "set wg0 fwmark 0")]

    def private_key(self):
        side = self.side()
        wrong = self.one("/dev/null", "{key_c}", f"{{key_{other(side)}}}")
        right = "wg", side, f"set wg0 private-key {{key_{side}}}"
        return [("wg", side, f"set wg0 private-key {wrong}")], [right, self.whole_peer(side)]

    def whole_peer(self, side):
        ips = f"{INNER[other(side)][0]}/32,{INNER[other(side)][1]}/128"
        return self.peer(side, "allowed-ips", ips, self.base_endpoint(side))

    def preshared(self):
        sides = self.one("a", "b", "ab")
        return (
            [self.peer(side, "preshared-key {psk}") for side in sides],
            [self.peer(side, "preshared-key /dev/null") for side in sides],
        )

    def remove_peer(self):
        side = self.side()
        return [self.peer(side, "remove")], [self.whole_peer(side)]

    def move_ips(self):
        side = self.side()
        ips = self.one(INNER[other(side)][0] + "/32", INNER[other(side)][1] + "/128", "0.0.0.0/0,::/0")
        return [("wg", side, f"set wg0 peer {{pub_c}} allowed-ips {ips}")], [
            ("wg", side, "set wg0 peer {pub_c} remove"),
            self.whole_peer(side),
        ]

    def keepalive(self):
        side = self.side()
        return [self.peer(side, "persistent-keepalive 1")], [self.peer(side, "persistent-keepalive 0")]

    def many_peers(self):
        side, number = self.side(), self.rnd.randrange(PEERS)
        return [("peers", side, self.one("add", "add", "remove", "change", "show"), number)], None

    def device_gone(self):
        side = self.side()
        return [("ip", side, "link del wg0")], [
            ("ip", side, "link add wg0 type wireguard"),
            ("wg", side, f"set wg0 private-key {{key_{side}}} listen-port {PORTS[side]}"),
            self.whole_peer(side),
            *self.up(side),
        ]

    def up(self, side):
        """The tunnel, with its addresses."""
        yield "ip", side, "link set wg0 up"
        yield "ip", side, f"addr replace {INNER[side][0]}/24 dev wg0"
        yield "ip", side, f"addr replace {INNER[side][1]}/112 dev wg0 nodad"

    def device_moved(self):
        side = self.side()
        there = [("ip", side, f"link set wg0 netns {{c}} name xw{side}")]
        if self.rnd.random() < 0.6:
            there.append(("ip", "c", f"link set xw{side} up"))
            there.append(("ip", "c", f"addr add {INNER[side][0]}/24 dev xw{side}"))
        return there, [("ip", "c", f"link set xw{side} netns {{{side}}} name wg0"), *self.up(side)]

    def device_named(self):
        side = self.side()
        return [("ip", side, f"link set wg0 name xw{side}")], [("ip", side, f"link set xw{side} name wg0")]

    def translate(self):
        """Ports and addresses that are others on the way, so that peers roam."""
        side, table = self.side(), self.name()
        port = PORTS[other(side)]
        rule = self.one(
            f"type nat hook postrouting priority srcnat; udp dport {port} masquerade to :7000-7010",
            f"type nat hook postrouting priority srcnat; udp dport {port} snat to {address(0, side)}",
            f"type nat hook output priority dstnat; udp dport {port} dnat to {address(1, other(side))}",
            f"type filter hook output priority mangle; udp dport {port} ip id & 1 == 0 udp sport set 7001",
            f"type nat hook prerouting priority dstnat; udp dport {port + 2} redirect to :{port}",
        )
        return self.rules(side, "ip", table, rule), self.no_rules(side, "ip", table)


def rounds(seed, count):
    """The plan: rounds, each with its items as (number, name, steps)."""
    number = 0
    for start in range(0, count, ROUND):
        one = Round(seed, number)
        items = one.items()
        some = min(ROUND, count - start)
        yield one, [(start + place, *next(items)) for place in range(some)]
        number += 1


def lines(seed, count):
    """The plan as text."""
    for one, items in rounds(seed, count):
        yield f"round {one.number}: {' '.join(one.head())}"
        for number, name, steps in items:
            for step in steps:
                yield f"{number} {name}: {' '.join(' '.join(map(str, step)).split())}"
