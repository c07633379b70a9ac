# SPDX-License-Identifier: GPL-2.0
"""Measures of what happens before packets flow: configuration, memory, handshakes."""

import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))

import noise  # noqa: E402
import wgnl  # noqa: E402
from tunnel import NETNS, UNDERLAY, Namespaces, at, counters, run  # noqa: E402

# A nested attribute ends at 64 KB.
PEERS_A_MESSAGE = 400


def enter(name):
    """Has this process be in a namespace."""
    with open(f"{NETNS}/{name}", encoding="ascii") as file:
        os.setns(file.fileno(), os.CLONE_NEWNET)


class In:
    """This process in a namespace for the length of a `with`."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.before = os.open("/proc/self/ns/net", os.O_RDONLY)
        enter(self.name)

    def __exit__(self, *_):
        os.setns(self.before, os.CLONE_NEWNET)
        os.close(self.before)


def requests(count, *more):
    """SET requests for as many peers, each with one allowed IP and the attributes given."""
    everyone = [
        wgnl.attr(wgnl.Peer.PUBLIC_KEY, wgnl.key(n))
        + wgnl.allowed_ips(wgnl.prefix(socket.inet_ntoa(struct.pack("!I", 0x0A000000 + n)) + "/32"))
        + b"".join(more)
        for n in range(count)
    ]
    return pack(everyone)


def removals(count, at_once=PEERS_A_MESSAGE):
    """SET requests that remove these peers again."""
    gone = wgnl.u32(wgnl.Peer.FLAGS, wgnl.Peer.F_REMOVE_ME)
    return pack([wgnl.attr(wgnl.Peer.PUBLIC_KEY, wgnl.key(n)) + gone for n in range(count)], at_once)


def pack(everyone, at_once=PEERS_A_MESSAGE):
    """Peers in requests of so many."""
    name = wgnl.text(wgnl.Device.IFNAME, "wg0")
    return [
        name + wgnl.peers(*everyone[start : start + at_once])
        for start in range(0, len(everyone), at_once)
    ]


def timed(action, *arguments):
    """How long something takes, in seconds."""
    start = time.monotonic()
    action(*arguments)
    return time.monotonic() - start


def send_all(family, messages):
    """Sends requests one after the other."""
    for message in messages:
        family.set(message)


def dump(family, count):
    """Reads all peers. The answer is of any size that the kernel wants to give it."""
    family.start(wgnl.text(wgnl.Device.IFNAME, "wg0"))
    found = 0
    while True:
        for message in family.receive(65536):
            if message.kind == wgnl.NLMSG_DONE:
                if found < count:
                    raise RuntimeError(f"{found} of {count} peers in the dump")
                return
            # Counting them is cheap; taking them apart is not.
            found += message.body.count(b"wireguard selftest")


def threads():
    """How many kernel threads there are: they have no command line."""
    count = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    count += not file.read(1)
            except OSError:
                pass
    return count


def free_memory():
    """Bytes that nobody uses, once caches are gone and what is freed later has been."""
    last, calm, deadline = 0, 0, time.monotonic() + 20
    while calm < 5 and time.monotonic() < deadline:
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("3")
        time.sleep(0.1)
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = dict(line.split(":") for line in file)
        free = int(fields["MemFree"].split()[0]) * 1024
        calm = calm + 1 if abs(free - last) < 1 << 16 else 0
        last = free
    return last


class Alone(Namespaces):
    """A namespace for a device without anybody to talk to."""

    names = ("a",)


def config(emit, count):
    """Adding, dumping and removing peers of a device that is up, and deleting it with all."""
    # A thread for each peer, if the driver has such, must not be what there are too few of.
    for limit, value in (("pid_max", 4_000_000), ("threads-max", 3_000_000)):
        with open(f"/proc/sys/kernel/{limit}", "w", encoding="ascii") as file:
            file.write(str(value))
    with Alone(), In("a"):
        run("ip", "link", "add", "wg0", "type", "wireguard")
        at("a", "wg", "set", "wg0", "private-key", "/dev/stdin", stdin=run("wg", "genkey"))
        run("ip", "link", "set", "wg0", "up")
        family = wgnl.WireGuard()
        add, remove = requests(count), removals(count)
        before_threads, before = threads(), free_memory()
        label = f"{count} peers"
        emit(f"add {label}", timed(send_all, family, add) * 1e3, "ms")
        emit(f"memory of one of {label}", (before - free_memory()) / count, "bytes", once=True)
        emit(f"kernel threads with {label}", threads() - before_threads, "")
        emit(f"dump {label}", timed(dump, family, count) * 1e3, "ms")
        emit(f"set {label} once more", timed(send_all, family, add) * 1e3, "ms")
        some = min(count, 1000)
        elapsed = timed(send_all, family, removals(some, some))
        emit(f"remove {some} of {label}, one request", elapsed * 1e3, "ms")
        send_all(family, add)
        emit(f"remove {label}", timed(send_all, family, remove) * 1e3, "ms")
        send_all(family, add)
        emit(f"delete device of {label}", timed(run, "ip", "link", "del", "wg0") * 1e3, "ms")
        family.close()


# How many peers open sessions, how many at once, and how long a flood lasts.
INITIATORS = 600
OUTSTANDING = 64
FLOOD_SECONDS = 2
# How many a second a flood has: the more are sent, the less is left of the CPU to answer them.
FLOOD_RATE = 100_000
# Datagrams in one system call of the flood.
SEGMENTS = 100
SOL_UDP, UDP_SEGMENT = 17, 103


class Crowd(Namespaces):
    """A device in a, and peers in b that have prepared their initiations."""

    names = ("a", "b")

    def __init__(self, count):
        self.count = count

    def build(self):
        super().build()
        self.server = server = noise.Key()
        self.keys = [noise.Key() for _ in range(self.count)]
        everyone = [wgnl.attr(wgnl.Peer.PUBLIC_KEY, one.public) for one in self.keys]
        self.prepare()
        self.cable("a", "eth0", "b", "eth0")
        for name in "ab":
            run("ip", "-n", name, "address", "add", f"{UNDERLAY[name]}/24", "dev", "eth0")
        with In("a"):
            run("ip", "link", "add", "wg0", "type", "wireguard")
            family = wgnl.WireGuard()
            family.set(
                wgnl.text(wgnl.Device.IFNAME, "wg0")
                + wgnl.attr(wgnl.Device.PRIVATE_KEY, server.private)
                + wgnl.u16(wgnl.Device.LISTEN_PORT, 51820)
            )
            send_all(family, pack(everyone))
            family.close()
            run("ip", "link", "set", "wg0", "up")

    def prepare(self):
        """Computes an initiation of each peer."""
        public = self.server.public
        self.messages = [noise.Initiator(one, public).initiation() for one in self.keys]

    @staticmethod
    def connect():
        """A socket of the peers."""
        with In("b"):
            link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            link.connect((UNDERLAY["a"], 51820))
        return link


def answers(packets, octets):
    """Responses and cookie replies among what came in, told apart by their sizes."""
    response, cookie = 14 + 28 + noise.RESPONSE_LEN, 14 + 28 + noise.COOKIE_REPLY_LEN
    responses = (octets - packets * cookie) / (response - cookie)
    return responses, packets - responses


def all_answered(crowd, link):
    """Has every peer open a session, and returns how many did in a second."""
    link.settimeout(5)
    sent = answered = 0
    start = time.monotonic()
    while answered < crowd.count:
        while sent < crowd.count and sent - answered < OUTSTANDING:
            link.send(crowd.messages[sent])
            sent += 1
        if len(link.recv(2048)) == noise.RESPONSE_LEN:
            answered += 1
    return answered / (time.monotonic() - start)


def flooded(crowd, link, limit):
    """Sends initiations for some seconds; returns how many, cookies and responses, each a second."""
    link.setsockopt(SOL_UDP, UDP_SEGMENT, noise.INITIATION_LEN)
    flood = b"".join(crowd.messages[:SEGMENTS])
    before = counters("b", "eth0")
    bursts, start = 0, time.monotonic()
    while (seconds := time.monotonic() - start) < limit:
        if bursts * SEGMENTS < FLOOD_RATE * seconds:
            link.send(flood)
            bursts += 1
        else:
            time.sleep(SEGMENTS / FLOOD_RATE)
    seconds = time.monotonic() - start
    after = counters("b", "eth0")
    responses, cookies = answers(
        after["rx_packets"] - before["rx_packets"], after["rx_bytes"] - before["rx_bytes"]
    )
    return bursts * SEGMENTS / seconds, cookies / seconds, responses / seconds


def handshakes(emit):
    """Handshakes that are answered in full with few of them waiting, then with a flood of them.

    The initiations are computed beforehand. A full answer takes three of Curve25519's
    multiplications and an ephemeral key; the first one of a peer takes another multiplication, unless
    that was done when the peer was added. Only a device under load answers with cookies.
    """
    with Crowd(INITIATORS) as crowd, crowd.connect() as link:
        emit("first handshakes answered", all_answered(crowd, link), "/s")
        crowd.prepare()
        emit("handshakes answered", all_answered(crowd, link), "/s")
        sent, cookies, responses = flooded(crowd, link, FLOOD_SECONDS)
        emit("flood of initiations", sent, "/s")
        emit("flood, cookies", cookies, "/s")
        emit("flood, responses", responses, "/s")
