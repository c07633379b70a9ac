# SPDX-License-Identifier: GPL-2.0
"""What the tunnel of `actions` is in: namespaces, and paths between them that it may take. All of that can be
made again, whatever has become of it.

    a -- b	eth0 to eth3, cables; but eth1 is a bridge in r, with a port on either side
    a, b	vlan4 and vx5 on eth0; bond2, br3 and mv6 only at a, upon eth2, eth3 and eth1
    c		where devices are moved to

Path N is that between 10.0.N.1 and 10.0.N.2, and fd00:aN::1 and fd00:aN::2, but the addresses of path 0 are
those of lib.sh's `cable`.
"""

import json
import os
import re
import subprocess

SPACES = "abcr"
# The devices that have the addresses of a path, at a and at b.
PATHS = [
    ("eth0", "eth0"),
    ("eth1", "eth1"),
    ("bond2", "eth2"),
    ("br3", "eth3"),
    ("vlan4", "vlan4"),
    ("vx5", "vx5"),
    ("mv6", "eth1"),
]
LOWER = {
    "a": ["eth0", "eth1", "eth2", "eth3", "bond2", "br3", "vlan4", "vx5", "mv6"],
    "b": ["eth0", "eth1", "eth2", "eth3", "vlan4", "vx5"],
    "r": ["ra", "rb", "br0"],
}
BASE = {
    "a": {*LOWER["a"], "wg0", "lo"},
    "b": {*LOWER["b"], "wg0", "lo"},
    "r": {*LOWER["r"], "lo"},
    "c": {"lo"},
}
FEATURES = "tx on sg on tso on gso on rx on gro on tx-udp-segmentation on rx-gro-list off".split()
# Inside the tunnel.
INNER = {"a": ("192.168.241.1", "fd00::1"), "b": ("192.168.241.2", "fd00::2")}
PORTS = {"a": 51821, "b": 51822}
MTU = 1420
GSO_LIMITS = "gso_max_segs 65535 gso_max_size 65536 gso_ipv4_max_size 65536"
# Who random routes are from, and where they are.
PROTO, TABLE, PREF = 77, 177, 1000
# What is random begins so.
RANDOM = "x"
# Settings that random actions change, below /proc/sys/net, and what they are otherwise.
SETTINGS = {
    "ipv4/ip_forward": 0,
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/eth0/rp_filter": 0,
    "ipv4/conf/all/accept_local": 0,
    "ipv4/ip_no_pmtu_disc": 0,
    "ipv4/ip_early_demux": 1,
    "ipv4/fwmark_reflect": 0,
    "ipv4/fib_multipath_hash_policy": 0,
    "ipv4/conf/all/arp_ignore": 0,
    "ipv4/ip_default_ttl": 64,
    "ipv6/conf/all/forwarding": 0,
    "ipv6/conf/all/disable_ipv6": 0,
    "ipv6/conf/eth0/disable_ipv6": 0,
    "ipv6/conf/wg0/disable_ipv6": 0,
    "ipv6/flowlabel_consistency": 1,
    "ipv6/auto_flowlabels": 1,
    "ipv6/bindv6only": 0,
}


def other(side):
    return "b" if side == "a" else "a"


def address(path, side, family=4):
    number = 1 if side == "a" else 2
    if family == 4:
        return f"10.0.{path}.{number}"
    return f"fd00:a{path or 'a'}::{number}"


def addresses(path, side):
    """Those of a path, as they are set."""
    device = PATHS[path]["ab".index(side)]
    yield f"addr replace {address(path, side)}/24 dev {device}"
    yield f"addr replace {address(path, side, 6)}/64 dev {device} nodad"


def make(path):
    """Has a path made that is not there: lines for `ip`, each with its namespace."""
    if path in (0, 2, 3):
        yield "a", f"link add eth{path} type veth peer name eth{path} netns {{b}}"
    elif path == 1:
        yield "a", "link add eth1 type veth peer name ra netns {r}"
        yield "b", "link add eth1 type veth peer name rb netns {r}"
        yield "r", "link add br0 type bridge forward_delay 0"
        for port in "ra", "rb", "br0":
            yield "r", f"link set {port} up" + ("" if port == "br0" else " master br0")
    elif path == 4:
        for side in "ab":
            yield side, "link add link eth0 name vlan4 type vlan id 4"
    elif path == 5:
        for side in "ab":
            ends = f"local {address(0, side)} remote {address(0, other(side))}"
            yield side, f"link add vx5 type vxlan id 5 dstport 4789 {ends} dev eth0"
    elif path == 6:
        yield "a", "link add link eth1 name mv6 type macvlan mode bridge"
    if path == 2:
        yield "a", "link add bond2 type bond mode active-backup miimon 50"
        yield "a", "link set eth2 down master bond2"
    elif path == 3:
        yield "a", "link add br3 type bridge forward_delay 0"
        yield "a", "link set eth3 master br3"
    if path in (2, 3):
        yield "a", f"link set eth{path} up"
    for index, side in enumerate("ab"):
        yield side, f"link set {PATHS[path][index]} up"
        for line in addresses(path, side):
            yield side, line


class World:
    """The namespaces of one run."""

    def __init__(self, run):
        self.run = run
        self.names = {one: f"{run}-{one}" for one in SPACES}
        self.spaces = {one: os.open(f"/run/netns/{name}", os.O_RDONLY) for one, name in self.names.items()}
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)

    def enter(self, space):
        """From here on, this process is there."""
        os.setns(self.spaces[space] if space else self.home, os.CLONE_NEWNET)

    def command(self, space, *words, text=None):
        """Runs one in a namespace, and returns what it prints."""
        self.enter(space)
        try:
            out, null = subprocess.PIPE, subprocess.DEVNULL
            done = subprocess.run(words, input=text, stdout=out, stderr=null, text=True, check=False, timeout=300)
            return done.stdout
        finally:
            self.enter(None)

    def ip(self, space, lines, *program):
        """Many lines, of which some may fail, for `ip` or another program."""
        text = "".join(line.format(**self.names) + "\n" for line in lines)
        self.command(space, *(program or ("ip",)), "-force", "-batch", "-", text=text)

    def links(self, space, *kind):
        return json.loads(self.command(space, "ip", "-j", "link", "show", *kind) or "[]")

    def listed(self, space, *kind):
        """The names of links there, or of those of a kind."""
        return {one["ifname"] for one in self.links(space, *kind) if one}

    # What is random goes -------------------------------------------------------------------------

    def clear(self):
        """Removes all that is not there at the beginning, but for how the tunnel is configured."""
        for name in os.listdir("/run/netns"):
            if name.startswith(f"{self.run}-{RANDOM}"):
                self.command(None, "ip", "netns", "del", name)
        for space in SPACES:
            self.command(space, "nft", "flush", "ruleset")
            self.forget_routes(space)
        self.bring_home()
        for space in SPACES:
            extra = self.listed(space) - BASE[space]
            self.ip(space, [f"link del {name}" for name in sorted(extra)])
            base = sorted(BASE[space])
            kinds = ("root", "clsact", "ingress")
            self.ip(space, [f"qdisc del dev {name} {kind}" for name in base for kind in kinds], "tc")
        for space in "ab":
            self.set(space, SETTINGS)

    def forget_routes(self, space):
        # Several rules may have the same preference.
        lines = [f"rule del pref {PREF + number}" for number in range(4)] * 3
        lines += [f"route flush table {TABLE}", f"route flush proto {PROTO}", "neigh flush all", "nexthop flush"]
        for family in "-4", "-6":
            self.ip(space, lines, "ip", family)

    def set(self, space, settings):
        self.enter(space)
        for path, value in settings.items():
            try:
                with open(f"/proc/sys/net/{path}", "w", encoding="ascii") as file:
                    file.write(str(value))
            except OSError:
                # Of a device that is not there.
                pass
        self.enter(None)

    def bring_home(self):
        """Tunnels are where they belong, and have their names; one that is gone is made again."""
        for side in "ab":
            for space in side, "c":
                name = f"{RANDOM}w{side}"
                if name in self.listed(space, "type", "wireguard"):
                    moved = "" if space == side else f" netns {{{side}}}"
                    self.ip(space, [f"link set {name} down", f"link set {name}{moved} name wg0"])
            if "wg0" not in self.listed(side, "type", "wireguard"):
                self.ip(side, ["link del wg0", "link add wg0 type wireguard"])

    # What is not there is made again -------------------------------------------------------------

    def whole(self, path):
        """Whether all devices of a path are there, and below or beside each other."""
        if path == 1 and not {"ra", "rb", "br0"} <= self.there["r"]:
            return False
        above = [("a", f"eth{path}")] if path in (2, 3) else []
        return all(name in self.there[side] for side, name in [*above, *zip("ab", PATHS[path])])

    def repair(self):
        """Each path is as it was at the beginning."""
        self.there = {space: self.listed(space) for space in SPACES}
        for path, _ in enumerate(PATHS):
            if self.whole(path):
                continue
            ends = {"r": ["ra", "rb", "br0"]} if path == 1 else {}
            if path != 6:
                ends |= {"a": [PATHS[path][0], f"eth{path}"], "b": [PATHS[path][1]]}
            for space, names in ends.items():
                self.ip(space, [f"link del {name}" for name in names])
            for space in SPACES:
                self.ip(space, [line for where, line in make(path) if where == space])
            self.there = {space: self.listed(space) for space in SPACES}
        self.settle()

    def settle(self):
        """Properties, masters and addresses."""
        masters = {"eth2": "bond2", "eth3": "br3", "ra": "br0", "rb": "br0"}
        for space in "abr":
            lines = []
            # Those below come first, since they limit the MTU of what is upon them.
            for name in LOWER[space]:
                master = masters.get(name) if space != "b" else None
                mtu = 1500 if name != "vx5" else 1450
                if name != "bond2":
                    lines.append(f"link set {name} mtu {mtu}")
                lines.append(f"link set {name} {GSO_LIMITS}")
                if master != "bond2":
                    lines.append(f"link set {name} nomaster" if not master else f"link set {name} master {master}")
                    lines.append(f"link set {name} up")
                else:
                    # It does not become a part of it while it is up.
                    lines += [f"link set {name} down", f"link set {name} master {master}", f"link set {name} up"]
            for path, _ in enumerate(PATHS):
                lines += addresses(path, space) if space in "ab" else []
            self.ip(space, lines)

    def tunnel(self, side, configure):
        """wg0 is up, with its addresses; and, if so, configured anew. Peers that are to stay do."""
        lines = [f"link set wg0 mtu {MTU} nomaster", f"link set wg0 {GSO_LIMITS}", "link set wg0 up"]
        lines.append(f"addr replace {INNER[side][0]}/24 dev wg0")
        lines.append(f"addr replace {INNER[side][1]}/112 dev wg0 nodad")
        self.ip(side, lines)
        if configure:
            self.configure(side)
            self.ip(side, lines)

    def configure(self, side):
        keys, peer = {one: os.environ[f"PUB_{one.upper()}"] for one in "ab"}, other(side)
        private = os.path.join(os.environ["WG_TMP"], f"key-{side}")
        remove = []
        for one in self.command(side, "wg", "show", "wg0", "peers").split():
            if one != keys[peer]:
                remove += ["peer", one, "remove"]
        ips = ",".join((f"{INNER[peer][0]}/32", f"{INNER[peer][1]}/128"))
        words = ["private-key", private, "listen-port", str(PORTS[side]), "fwmark", "0", *remove]
        words += ["peer", keys[peer], "preshared-key", "/dev/null", "persistent-keepalive", "0"]
        words += ["allowed-ips", ips, "endpoint", f"{address(0, peer)}:{PORTS[peer]}"]
        self.command(side, "wg", "set", "wg0", *words)

    def restore(self, configure, features=()):
        """All is as at the beginning, save the tunnels' peers, ports and keys, if they are not configured. Offloads
        may be others where `features` were set."""
        self.clear()
        self.repair()
        for space, name in sorted({(space, words.split()[1]) for space, words in features}):
            self.command(space, "ethtool", "-K", name, *FEATURES)
        for side in "ab":
            self.tunnel(side, configure)

    # What can be seen ----------------------------------------------------------------------------

    def counters(self, side):
        """Of the device, and the bytes of all its peers, received and sent."""
        found = json.loads(self.command(side, "ip", "-j", "-s", "link", "show", "dev", "wg0"))
        out = {f"{way}_{name}": value for way, part in found[0]["stats64"].items() for name, value in part.items()}
        pairs = re.findall(r"\t(\d+)\t(\d+)$", self.command(side, "wg", "show", "wg0", "transfer"), re.MULTILINE)
        out["peers_rx"], out["peers_tx"] = (sum(int(pair[way]) for pair in pairs) for way in (0, 1))
        return out
