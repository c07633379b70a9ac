# SPDX-License-Identifier: GPL-2.0
"""Measures over links that are not as plain as a veth pair: one that cuts, a narrow one with a queue,
a policer, and rules that rewrite each datagram."""

import json
import subprocess
import time

from traffic import BLOCK, SECONDS, Server, client, gigabits, percentile, pin, round_trips
from tunnel import INNER, UNDERLAY, Namespaces, at, inside, reach, run

# Rules as people have them who must put bytes into the reserved field of each message, and a server
# that takes no others.
MARK = "0x0a0b0c"
REWRITE = f"""
table inet t {{
	chain out {{ type filter hook output priority mangle; udp dport 51820 @th,72,24 set {MARK}; }}
}}
"""
EXPECT = f"""
table inet t {{
	counter bare {{ }}
	chain before {{
		type filter hook prerouting priority mangle
		udp dport 51820 iifname eth0 @th,72,24 != {MARK} counter name bare drop
		udp dport 51820 @th,72,24 set 0
	}}
}}
"""


def card(*names):
    """Has eth0 be as nearly all network cards: what leaves is one datagram."""
    for name in names:
        at(name, "ethtool", "-K", "eth0", "tx-udp-segmentation", "off", "tso", "off", "gso", "off")


def qdisc(name, *arguments):
    """What is queued on eth0, and how."""
    at(name, "tc", "qdisc", "add", "dev", "eth0", *arguments)


def dropped(name):
    """How many packets eth0 could not pass on: those that the ring of the other side had no room for."""
    return int(run("ip", "netns", "exec", name, "cat", "/sys/class/net/eth0/statistics/tx_dropped"))


def wire(emit):
    """TCP through a device that gets single datagrams, as it is and with the ring that NAPI has."""
    card("a", "b")
    for label in ("cut", "cut, NAPI"):
        if label != "cut":
            for name in "ab":
                at(name, "ethtool", "-K", "eth0", "gro", "on")
        before = dropped("a")
        with Server():
            client("-n", "20M")
            end = client("-t", SECONDS, *BLOCK)
        emit(f"TCP, 1 stream, {label}", gigabits(end["sum_received"]), "Gbit/s")
        emit(f"TCP, 1 stream, {label}, retransmits", end["sum_sent"]["retransmits"], "")
        emit(f"TCP, 1 stream, {label}, lost in the ring", dropped("a") - before, "")


class Lan(Namespaces):
    """A host l behind a, whose packets are forwarded."""

    names = ("l",)

    def build(self):
        super().build()
        self.cable("l", "eth0", "a", "eth1")
        run("ip", "-n", "l", "address", "add", "10.1.0.2/24", "dev", "eth0")
        run("ip", "-n", "a", "address", "add", "10.1.0.1/24", "dev", "eth1")
        run("ip", "-n", "l", "route", "add", "default", "via", "10.1.0.1")
        run("ip", "-n", "b", "route", "add", "10.1.0.0/24", "dev", "wg0")
        at("a", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        reach("l", INNER["b"])


# What the queues of an uplink are: the one that there usually is, and the one that HTB has by itself.
QUEUES = {"fq_codel": ("fq_codel",), "pfifo": ("pfifo", "limit", "100")}


def uplink(emit, rate):
    """Bulk data through a narrow link, from a itself and from behind it, and echoes outside the tunnel."""
    card("a", "b")
    with Lan():
        for queue, leaf in QUEUES.items():
            qdisc("a", "root", "handle", "1:", "htb", "default", "1")
            at("a", "tc", "class", "add", "dev", "eth0", "parent", "1:", "classid", "1:1",
               "htb", "rate", f"{rate}mbit", "quantum", "1514")  # fmt: skip
            qdisc("a", "parent", "1:1", *leaf)
            for name, what in (("a", "local"), ("l", "forwarded")):
                beside(emit, f"{rate} Mbit/s, {queue}, {what}", name)
            at("a", "tc", "qdisc", "del", "dev", "eth0", "root")


def beside(emit, label, name):
    """One TCP stream from a namespace, and echoes beside it."""
    with Server():
        command = ("iperf3", "-J", "-c", INNER["b"], *pin(0), "-t", "6")
        load = subprocess.Popen(inside(name, *command), stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(2)
            times = round_trips(100, 0.03, UNDERLAY["b"])
            report = json.loads(load.communicate(timeout=60)[0])
        finally:
            load.kill()
            load.wait()
    if "error" in report:
        raise RuntimeError(f"iperf3: {report['error']}")
    emit(f"TCP, {label}", gigabits(report["end"]["sum_received"]) * 1000, "Mbit/s")
    emit(f"ping beside TCP, {label}, median", percentile(times, 50), "us")
    emit(f"ping beside TCP, {label}, 99th percentile", percentile(times, 99), "us")


def policer(emit):
    """TCP through a policer with room for twenty datagrams, and one for seventy."""
    card("a", "b")
    qdisc("b", "root", "netem", "delay", "10ms")
    for burst in ("30k", "100k"):
        qdisc("a", "clsact")
        at("a", "tc", "filter", "add", "dev", "eth0", "egress", "matchall", "action", "police",
           "rate", "20mbit", "burst", burst, "conform-exceed", "drop")  # fmt: skip
        with Server():
            end = client("-t", "8")
        emit(f"TCP, policed to 20 Mbit/s, burst {burst}",
             gigabits(end["sum_received"]) * 1000, "Mbit/s")  # fmt: skip
        at("a", "tc", "qdisc", "del", "dev", "eth0", "clsact")


def rewrite(emit):
    """TCP with rules that rewrite each datagram, for a server that drops what is not."""
    card("a", "b")
    qdisc("b", "root", "netem", "delay", "10ms")
    at("b", "nft", "-f", "-", stdin=EXPECT)
    at("a", "nft", "-f", "-", stdin=REWRITE)
    with Server():
        end = client("-t", SECONDS, *BLOCK)
    emit("TCP, rewritten", gigabits(end["sum_received"]) * 1000, "Mbit/s")
    emit("TCP, rewritten, retransmits", end["sum_sent"]["retransmits"], "")
    text = at("b", "nft", "-j", "list", "counter", "inet", "t", "bare")
    counters = [one["counter"] for one in json.loads(text)["nftables"] if "counter" in one]
    emit("TCP, rewritten, without the bytes", sum(one["packets"] for one in counters), "")
