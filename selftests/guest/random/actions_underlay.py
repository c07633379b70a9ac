# SPDX-License-Identifier: GPL-2.0
"""The part of the grammar of `actions` that is about rules, traffic control, and programs beside the tunnel.

Nothing has messages sent twice where devices of a or b are given them, since that is what the check of nonces
looks for: copies go out by another device, and what doubles packets is on the way in, or in the tunnel.
"""

from actions_world import LOWER, PORTS, address, other

# The ports of both ends, whatever they are.
ANY = "51821-51840"
# More than any packet with one message has, and a program that counts UDP to these ports that is longer.
LARGE = 1700
LOOK = [
    (0x28, 0, 0, 12),
    (0x15, 0, 8, 0x800),
    (0x30, 0, 0, 23),
    (0x15, 0, 6, 17),
    (0x28, 0, 0, 36),
    (0x35, 0, 4, 51821),
    (0x25, 3, 0, 51840),
    (0x80, 0, 0, 0),
    (0x35, 0, 1, LARGE),
    (0x06, 0, 0, 0xFFFFFFFF),
    (0x06, 0, 0, 0),
]
BYTECODE = f"{len(LOOK)}," + ",".join(" ".join(map(str, one)) for one in LOOK)
# A program that lets all pass.
PASS = "1,6 0 0 0"
POLICE = "action police rate 10gbit burst 10k conform-exceed drop"


# The paths that may take large packets, and devices that these leave by, at a and at b.
OPEN = {
    0: (("eth0",), ("eth0",)),
    2: (("bond2", "eth2"), ("eth2",)),
    3: (("br3", "eth3"), ("eth3",)),
    4: (("vlan4", "eth0"), ("vlan4", "eth0")),
}


class Underlay:
    """Actions; `self` is a Round. Each returns steps, and those that undo them or None."""

    def underlay_actions(self):
        return [
            (self.filter, 10),
            (self.filter_device, 4),
            (self.flow_table, 2),
            (self.look_rules, 7),
            (self.look_program, 8),
            (self.queue, 10),
            (self.tunnel_queue, 5),
            (self.way_in, 4),
            (self.control, 8),
            (self.held_port, 4),
            (self.watcher, 4),
            (self.program, 2),
            (self.suspend, 1),
        ]

    def rules(self, side, family, table, chain, more=""):
        text = f"table {family} {table} {{\n{more}\nchain c {{\n{chain}\n}}\n}}"
        return [("nft", side, text)]

    def no_rules(self, side, family, table):
        return [("nft", side, f"delete table {family} {table}")]

    def filter(self):
        side, table = self.side(), self.name()
        hook = self.one("output", "postrouting", "prerouting", "input")
        out = hook in ("output", "postrouting")
        port = f"udp dport {ANY}" if out else f"udp sport {ANY}"
        actions = ["drop", "counter", "limit rate 200/second counter", "ip dscp set cs1", "meta mark set 2"]
        actions += ["log group 9", "notrack", "queue num 7 bypass", "queue num 8", "numgen random mod 3 0 drop"]
        actions += ["ct state new counter", "meta priority set 1:1"]
        if hook in ("output", "input"):
            actions += ["reject", "reject with icmpx host-unreachable"]
        action = self.rnd.choice(actions)
        if self.rnd.random() < 0.1:
            return self.copies(side, table, port)
        priority = self.one("raw", "mangle", "filter", "100", "-225")
        family = "ip" if "dscp" in action else "inet"
        if action == "notrack":
            hook, priority = self.one("output", "prerouting"), "raw"
        which = self.one(port, port, "meta l4proto udp", f"{'o' if out else 'i'}ifname wg0")
        chain = f"type filter hook {hook} priority {priority}; {which} {action}"
        steps = self.rules(side, family, table, chain)
        undo = self.no_rules(side, family, table)
        if "num 8" in action:
            steps.insert(0, ("start", table, side, "verdicts", "8"))
            undo = [*undo, ("end", table)][:: self.one(1, -1)]
        return steps, undo

    def copies(self, side, table, port):
        """A copy of each to a device of its own."""
        steps = [
            ("ip", side, f"link add {table} type dummy"),
            ("ip", side, f"link set {table} up"),
            ("ip", side, f"addr add 10.88.0.1/24 dev {table}"),
        ]
        chain = f"type filter hook prerouting priority mangle; {port} dup to 10.88.0.2 device {table}"
        undo = [("ip", side, f"link del {table}"), *self.no_rules(side, "ip", table)]
        return steps + self.rules(side, "ip", table, chain), undo

    def filter_device(self):
        side, table = self.side(), self.name()
        name = self.rnd.choice([*LOWER[side], "wg0"])
        hook = self.one("ingress", "egress")
        action = self.one("drop", "counter", "meta mark set 3", "numgen random mod 2 0 drop")
        chain = f"type filter hook {hook} device {name} priority 0; meta protocol {{ ip, ip6 }} {action}"
        return self.rules(side, "netdev", table, chain), self.no_rules(side, "netdev", table)

    def flow_table(self):
        side, table = self.side(), self.name()
        devices = f"{self.rnd.choice(LOWER[side])}, wg0"
        more = f"flowtable f {{\nhook ingress priority 0; devices = {{ {devices} }};\n}}"
        chain = "type filter hook forward priority 0; meta l4proto { tcp, udp } flow add @f"
        return self.rules(side, "inet", table, chain, more), self.no_rules(side, "inet", table)

    # Those who look must find that each message is by itself. What is on its way when they come has not seen
    # them, so they begin to count when that is gone, as a device is that was deleted.

    def by_path(self, side):
        """One that may take large packets, which the tunnel takes from here on, if it may be configured."""
        if self.alone:
            return self.path, []
        path = self.rnd.choice(sorted(OPEN))
        return path, [self.peer(side, f"endpoint {address(path, other(side))}:{PORTS[other(side)]}")]

    def look_rules(self):
        side, table = self.side(), self.name()
        hook = self.one("output", "postrouting")
        priority = self.one("raw", "mangle", "filter")
        steps = self.rules(side, "inet", table, f"type filter hook {hook} priority {priority}; udp dport 1 accept")
        steps.append(("grace", side, table))
        steps.append(("nft", side, f"add rule inet {table} c udp dport {ANY} meta length > {LARGE} counter"))
        steps += self.by_path(side)[1]
        return steps, [("none", side, "nft", table), *self.no_rules(side, "inet", table)]

    def look_program(self):
        side = self.side()
        path, endpoint = self.by_path(side)
        # With Ethernet's headers, which the tunnel's own packets do not have.
        name = self.rnd.choice(OPEN.get(path, OPEN[0])["ab".index(side)])
        pref = self.rnd.randrange(100, 200)
        steps = [("tc", side, f"qdisc add dev {name} clsact"), ("grace", side, self.name())]
        steps.append(("tc", side, f"filter add dev {name} egress pref {pref} bpf bytecode '{BYTECODE}' action pass"))
        steps += endpoint
        undo = [("none", side, f"tc {pref}", name), ("tc", side, f"filter del dev {name} egress pref {pref}")]
        return steps, undo + self.one([], [("tc", side, f"qdisc del dev {name} clsact")])

    # Queues -----------------------------------------------------------------------------------------

    def kind(self):
        return self.one(
            f"netem delay {self.one(1, 5, 30)}ms {self.one(0, 2)}ms",
            f"netem loss {self.one(1, 10, 50)}%",
            "netem delay 5ms reorder 25% 50%",
            "netem rate 20mbit limit 50",
            "tbf rate 20mbit burst 32k latency 50ms",
            "tbf rate 100mbit burst 10k limit 30k",
            "fq_codel",
            "fq_codel limit 20 target 1ms",
            "fq",
            "cake bandwidth 50mbit",
            "cake unlimited",
            "pfifo limit 5",
            "pfifo_fast",
            "prio",
            "noqueue",
            "htb default 1",
        )

    def queued(self, space, name, kind):
        steps = [("tc", space, f"qdisc replace dev {name} root handle 1: {kind}")]
        if kind.startswith("htb"):
            steps.append(("tc", space, f"class add dev {name} parent 1: classid 1:1 htb rate 50mbit quantum 1514"))
            steps.append(("tc", space, f"qdisc add dev {name} parent 1:1 {self.one('fq_codel', 'pfifo limit 50')}"))
        elif kind in ("fq_codel", "prio") and self.rnd.random() < 0.3:
            steps.append(("tc", space, f"filter add dev {name} parent 1: matchall classid 1:1 {POLICE}"))
        return steps, [("tc", space, f"qdisc del dev {name} root")]

    def queue(self):
        space, name = self.device()
        kind = self.kind()
        if self.rnd.random() < 0.1:
            kind = "netem corrupt 5%"
        elif space == "r" and self.rnd.random() < 0.3:
            kind = "netem duplicate 20%"
        return self.queued(space, name, kind)

    def tunnel_queue(self):
        kind = self.kind() if self.rnd.random() < 0.8 else "netem duplicate 10%"
        return self.queued(self.side(), "wg0", kind)

    def way_in(self):
        """What comes in goes through a queue of another device."""
        (side, name), other_one = self.below(), self.name()
        narrow = "tbf rate 50mbit burst 20k latency 20ms"
        kind = self.one("netem delay 2ms", "netem duplicate 10%", "fq_codel", narrow)
        redirect = f"matchall action mirred egress redirect dev {other_one}"
        steps = [
            ("ip", side, f"link add {other_one} type ifb"),
            ("ip", side, f"link set {other_one} up"),
            ("tc", side, f"qdisc replace dev {other_one} root {kind}"),
            ("tc", side, f"qdisc add dev {name} clsact"),
            ("tc", side, f"filter add dev {name} ingress pref 50 {redirect}"),
        ]
        undo = [("tc", side, f"filter del dev {name} ingress pref 50"), ("ip", side, f"link del {other_one}")]
        return steps, undo[:: self.one(1, -1)]

    def control(self):
        """Filters of devices, of which one may be the tunnel."""
        side, beside = self.side(), self.name()
        name = self.rnd.choice([*LOWER[side], "wg0", "wg0"])
        way = self.one("ingress", "egress")
        action = self.one(
            "action drop",
            "action skbedit mark 2",
            "action skbedit priority 7 queue_mapping 0",
            "action csum ip4h udp",
            "action police rate 5mbit burst 20k conform-exceed drop",
            POLICE,
            "action pass random determ drop 4",
            "bpf",
            f"action mirred egress mirror dev {beside}",
            f"action mirred egress redirect dev {beside}",
            f"action mirred ingress mirror dev {beside}",
            "trap",
        )
        pref = self.rnd.randrange(1, 40)
        steps = [("tc", side, f"qdisc add dev {name} {self.one('clsact', 'clsact', 'ingress')}")]
        undo = [("tc", side, f"filter del dev {name} {way} pref {pref}")]
        if beside in action:
            steps += [("ip", side, f"link add {beside} type dummy"), ("ip", side, f"link set {beside} up")]
            undo = [*undo, ("ip", side, f"link del {beside}")][:: self.one(1, -1)]
        if action == "bpf":
            found = f"bpf bytecode '{PASS}' action pass"
        elif action == "trap":
            found = "protocol ip flower ip_proto udp action tunnel_key unset"
        else:
            found = f"matchall {action}"
        steps.append(("tc", side, f"filter add dev {name} {way} pref {pref} {found}"))
        if self.rnd.random() < 0.3:
            undo.append(("tc", side, f"qdisc del dev {name} clsact"))
        return steps, undo

    # Programs -----------------------------------------------------------------------------------------

    def held_port(self):
        """Somebody else has a port, which the tunnel may want when it is up again."""
        name, side = self.name(), self.side()
        port = PORTS[side] + self.one(0, 2, 4)
        steps = [("start", name, side, "hold", str(self.one(4, 6, 46)), str(port), str(self.one(0, 1)))]
        undo = [("end", name)]
        if self.rnd.random() < 0.4:
            steps = [("ip", side, "link set wg0 down"), *steps, *self.up(side)]
            undo += [*self.up(side)]
        return steps, undo

    def watcher(self):
        """A packet socket, or one that sees all UDP."""
        name, side = self.name(), self.side()
        device = self.rnd.choice([*LOWER[side], "wg0", "wg0"])
        return [("start", name, side, self.one("tap", "tap", "raw"), device)], [("end", name)]

    def program(self):
        """One of BPF that no qdisc shows."""
        name, side = self.name(), self.side()
        return [("start", name, side, "tcx", self.rnd.choice([*LOWER[side], "wg0"]))], [("end", name)]

    def suspend(self):
        """The machine is said to be about to be hibernated, where the kernel can be."""
        name = self.name()
        return [("start", name, None, "snapshot")], [("end", name)]
