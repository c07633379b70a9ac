# SPDX-License-Identifier: GPL-2.0
"""The part of the grammar of `actions` that is about links, addresses and routes."""

from actions_world import (
    INNER,
    LOWER,
    MTU,
    PATHS,
    PORTS,
    PREF,
    PROTO,
    SETTINGS,
    TABLE,
    address,
    addresses,
    make,
    other,
)

FEATURES = ["tso", "gso", "gro", "tx-udp-segmentation", "tx", "sg", "rx-gro-list", "rx-udp-gro-forwarding", "rx"]
BLIND = ["blackhole", "unreachable", "prohibit", "throw"]


class Links:
    """Actions; `self` is a Round. Each returns steps, and those that undo them or None."""

    def link_actions(self):
        return [
            (self.flap, 6),
            (self.tunnel_flap, 5),
            (self.mtu, 7),
            (self.feature, 6),
            (self.gso_limit, 4),
            (self.queue_length, 1),
            (self.elsewhere, 4),
            (self.rename, 2),
            (self.delete, 3),
            (self.upper, 8),
            (self.port_of, 5),
            (self.address_gone, 4),
            (self.another_address, 2),
            (self.tunnel_address, 2),
            (self.blind_route, 5),
            (self.route, 6),
            (self.nexthop, 5),
            (self.rule, 5),
            (self.setting, 6),
            (self.forget, 4),
            (self.threaded, 4),
            (self.orphan, 4),
        ]

    def device(self):
        """Namespace and device of what is below the tunnel."""
        space = self.one("a", "a", "b", "b", "r")
        return space, self.rnd.choice(LOWER[space])

    def below(self):
        """The same, of an end."""
        space = self.side()
        return space, self.rnd.choice(LOWER[space])

    def again(self, space, name):
        """Addresses of a device, which it has lost."""
        if space == "r":
            return []
        paths = [path for path, ends in enumerate(PATHS) if ends["ab".index(space)] == name]
        return [("ip", space, line) for path in paths for line in addresses(path, space)]

    # Links ------------------------------------------------------------------------------------------

    def flap(self):
        space, name = self.device()
        return [("ip", space, f"link set {name} down")], [
            ("ip", space, f"link set {name} up"),
            *self.again(space, name),
        ]

    def tunnel_flap(self):
        side = self.side()
        steps = [("ip", side, "link set wg0 down"), *self.up(side)]
        if self.rnd.random() < 0.5:
            return steps, None
        return steps[:1], steps[1:]

    def mtu(self):
        if self.rnd.random() < 0.4:
            side, usual = self.side(), MTU
            name, size = "wg0", self.one(0, 1, 68, 576, 1279, 1280, 1500, 9000, 65000, self.rnd.randrange(2000))
        else:
            (side, name), usual = self.device(), 1500
            size = self.one(68, 576, 1280, 1400, 1499, 9000, self.rnd.randrange(1000, 1600))
        back = [("ip", side, f"link set {name} mtu {usual}")]
        if name == "wg0":
            back += self.up(side)
        else:
            back += self.again(side, name)
        return [("ip", side, f"link set {name} mtu {size}")], back

    def feature(self):
        space, name = self.below() if self.rnd.random() < 0.6 else (self.side(), "wg0")
        feature = self.rnd.choice(FEATURES)
        usual = "off" if feature.startswith("rx-") else "on"
        changed = "on" if usual == "off" else "off"
        words = f"-K {name} {feature}"
        return [("ethtool", space, f"{words} {changed}")], [("ethtool", space, f"{words} {usual}")]

    def gso_limit(self):
        space, name = self.below() if self.rnd.random() < 0.7 else (self.side(), "wg0")
        what, usual = self.one(("gso_max_segs", 65535), ("gso_ipv4_max_size", 65536), ("gso_max_size", 65536))
        value = self.one(1, 2, 17, 40) if what == "gso_max_segs" else self.one(1500, 3000, 20000, 180000)
        words = f"link set {name} {what}"
        return [("ip", space, f"{words} {value}")], [("ip", space, f"{words} {usual}")]

    def queue_length(self):
        space, name = self.device()
        return [("ip", space, f"link set {name} txqueuelen {self.one(0, 1, 1000)}")], None

    def elsewhere(self):
        space, name = self.device()
        return [("ip", space, f"link set {name} netns {{c}} name x{space}{name}")], [
            ("ip", "c", f"link set x{space}{name} netns {{{space}}} name {name}"),
            ("ip", space, f"link set {name} up"),
            *self.again(space, name),
        ]

    def rename(self):
        space, name = self.device()
        return [("ip", space, f"link set {name} name x{name}")], [("ip", space, f"link set x{name} name {name}")]

    def delete(self):
        path = self.rnd.randrange(len(PATHS))
        side = "a" if path == 6 else self.side()
        name = PATHS[path]["ab".index(side)]
        return [("ip", side, f"link del {name}")], [("ip", space, line) for space, line in make(path)]

    def upper(self):
        """Something upon a device, or beside it."""
        (space, below), name = self.below(), self.name()
        if self.rnd.random() < 0.3:
            below = "wg0"
        kinds = ["dummy", "ifb", f"veth peer name {name}p", "bond", "bridge", f"vrf table {TABLE}"]
        kinds += ["macvlan", "macvlan mode passthru", f"vlan id {self.rnd.randrange(10, 20)}"]
        kinds += [f"vxlan id {self.rnd.randrange(100)} dev {below} group 239.1.1.1 dstport 4790"]
        kinds += [f"gre local {INNER[space][0]} remote {INNER[other(space)][0]}", "wireguard"]
        kind = self.rnd.choice(kinds)
        upon = f"link {below} " if kind.startswith(("macvlan", "vlan")) else ""
        up = self.one(" up", " up", " down")
        return [
            ("ip", space, f"link add {upon}name {name} type {kind}"),
            ("ip", space, f"link set {name}{up}"),
        ], [("ip", space, f"link del {name}")]

    def port_of(self):
        """A device below, or the tunnel, becomes a part of a bridge, a bond or a VRF."""
        (space, name), master = self.below(), self.name()
        if self.rnd.random() < 0.25:
            name = "wg0"
        kind = self.one("bridge", "bond", f"vrf table {TABLE}", f"vrf table {TABLE}")
        back = [("ip", space, f"link set {name} nomaster"), ("ip", space, f"link del {master}")]
        back += self.up(space) if name == "wg0" else self.again(space, name)
        return [
            ("ip", space, f"link add {master} type {kind}"),
            ("ip", space, f"link set {master} up"),
            ("ip", space, f"link set {name} master {master}"),
        ], back

    # Addresses and routes -----------------------------------------------------------------------------

    def address_gone(self):
        side, path, family = self.side(), self.rnd.randrange(len(PATHS)), self.one(4, 4, 6)
        name = PATHS[path]["ab".index(side)]
        length = 24 if family == 4 else 64
        return [("ip", side, f"addr del {address(path, side, family)}/{length} dev {name}")], self.again(side, name)

    def another_address(self):
        side, name = self.below()
        path = self.rnd.randrange(len(PATHS))
        more = f"10.0.{path}.{self.rnd.randrange(10, 20)}/24", f"fd00:a{path or 'a'}::77/64 nodad"
        one = self.one("10.9.9.9/32", *more)
        return [("ip", side, f"addr add {one} dev {name}")], [("ip", side, f"addr del {one.split()[0]} dev {name}")]

    def tunnel_address(self):
        side = self.side()
        one = self.one(INNER[side][0] + "/24", INNER[side][1] + "/112")
        return [("ip", side, f"addr del {one} dev wg0")], [*self.up(side)]

    def target(self, side):
        """Who a route is to: the other end outside, or inside."""
        if self.rnd.random() < 0.75:
            family = self.one(4, 4, 6)
            return family, address(self.rnd.randrange(len(PATHS)), other(side), family)
        family = self.one(4, 6)
        return family, INNER[other(side)][family == 6]

    def length(self, family):
        return 32 if family == 4 else 128

    def there_and_back(self, side, family, where, rest=""):
        flag = "-6 " if family == 6 else ""
        # What is deleted needs no more than what it was found by.
        add, remove = (f"{flag}route {what} {where} proto {PROTO}" for what in ("add", "del"))
        return [("ip", side, f"{add} {rest}")], [("ip", side, remove)]

    def blind_route(self):
        side = self.side()
        family, where = self.target(side)
        return self.there_and_back(side, family, f"{self.rnd.choice(BLIND)} {where}/{self.length(family)}")

    def via(self, side, family):
        path = self.rnd.randrange(len(PATHS))
        return f"via {address(path, other(side), family)} dev {PATHS[path]['ab'.index(side)]}"

    def route(self):
        side = self.side()
        family, where = self.target(side)
        way = self.one("via", "via", "two", "tunnel", "lo")
        if way == "via":
            rest = self.via(side, family)
            mtu = f" mtu {self.one(600, 1280, 1400)}"
            rest += self.one("", mtu, " mtu lock 1300", " metric 5", " advmss 500", " hoplimit 3")
            if self.rnd.random() < 0.2:
                rest += f" src {address(self.rnd.randrange(len(PATHS)), side, family)}"
        elif way == "two":
            rest = " ".join(f"nexthop {self.via(side, family)} weight {self.one(1, 3)}" for _ in range(2))
        else:
            rest = "dev wg0" if way == "tunnel" else "dev lo"
        return self.there_and_back(side, family, f"{where}/{self.length(family)}", rest)

    def nexthop(self):
        side = self.side()
        family, where = self.target(side)
        number = self.rnd.randrange(1, 60) * 3
        first, second = self.via(side, family), self.one(self.via(side, family), "blackhole")
        flag = "-6 " if family == 6 else ""
        used = number + self.one(0, 1, 2)
        steps = [
            ("ip", side, f"{flag}nexthop replace id {number} {first}"),
            ("ip", side, f"{flag}nexthop replace id {number + 1} {second}"),
            ("ip", side, f"nexthop replace id {number + 2} group {number}/{number + 1}"),
            ("ip", side, f"{flag}route add {where}/{self.length(family)} nhid {used} proto {PROTO}"),
        ]
        # The route goes with it, and what has the group is changed first.
        undo = [("ip", side, f"nexthop del id {number + place}") for place in self.one((0, 1, 2), (2, 1, 0))]
        return steps, undo

    def rule(self):
        side = self.side()
        family, where = self.target(side)
        flag = "-6 " if family == 6 else ""
        port = f"dport {PORTS[other(side)]} ipproto udp"
        what = self.one(f"to {where}", "fwmark 1", "fwmark 2/2", "oif eth0", "iif lo ipproto udp", port)
        then = self.one(f"table {TABLE}", f"table {TABLE}", "unreachable", "blackhole", "prohibit")
        pref = PREF + self.rnd.randrange(4)
        steps = [("ip", side, f"{flag}rule add pref {pref} {what} {then}")]
        if "table" in then:
            steps.insert(0, ("ip", side, f"{flag}route replace default {self.via(side, family)} table {TABLE}"))
        return steps, [("ip", side, f"{flag}rule del pref {pref}")]

    # Whatever else there is ---------------------------------------------------------------------------

    def setting(self):
        side, path = self.side(), self.rnd.choice(sorted(SETTINGS))
        value = {64: 1, 0: self.one(1, 2) if "rp_filter" in path else 1, 1: 0}[SETTINGS[path]]
        back = [("write", side, path, str(SETTINGS[path]))]
        if "ipv6" in path:
            for name in LOWER[side]:
                back += [step for step in self.again(side, name) if ":" in step[2]]
            back += self.up(side)
        return [("write", side, path, str(value))], back

    def forget(self):
        space = self.one("a", "b")
        return [
            self.one(
                ("conntrack", space, "-F"),
                ("ip", space, "neigh flush all"),
                ("ip", space, "route flush cache"),
                ("write", space, "ipv4/route/flush", "1"),
                ("write", space, "ipv6/route/flush", "1"),
            )
        ], None

    def threaded(self):
        side, name, value = self.side(), self.one("wg0", "wg0", "eth0"), self.one(0, 1)
        return [("threaded", side, name, str(value))], [("threaded", side, name, str(1 - value))]

    def orphan(self):
        """A tunnel whose sockets are in a namespace that ends: it is at a then, and has no way to send."""
        name, end = self.name(), self.side()
        inside = self.one("127.0.0.1", "::1")
        there = f"[{inside}]" if ":" in inside else inside
        peer = f"peer {{pub_a}} allowed-ips 10.77.0.0/16 endpoint {there}:9 persistent-keepalive 1"
        steps = [
            ("space", None, "add", name),
            ("ip", None, f"-n {{run}}-{name} link set lo up"),
            ("ip", None, f"-n {{run}}-{name} link add {name} type wireguard"),
            ("ip", None, f"-n {{run}}-{name} link set {name} netns {{{end}}}"),
            ("wg", end, f"set {name} private-key {{key_c}} {peer}"),
            ("ip", end, f"addr add 10.77.0.1/24 dev {name}"),
            ("ip", end, f"link set {name} up"),
            ("start", name, end, "greet", "10.77.0.2"),
        ]
        ends = [
            ("space", None, "del", name),
            ("ip", end, f"link set {name} down"),
            ("ip", end, f"link set {name} up"),
            ("wg", end, f"set {name} listen-port 0"),
            ("ip", end, f"link del {name}"),
            ("end", name),
        ]
        if self.rnd.random() < 0.3:
            # The device goes first.
            ends = [ends[4], ends[0], ends[5]]
        return steps, ends
