# SPDX-License-Identifier: GPL-2.0
"""Measures of packets on their way: throughput, loss and latency."""

import json
import os
import re
import statistics
import subprocess
import time

from tunnel import INNER, at, counter, inside, reach, run, spawn, wait_until

SERVER = INNER["b"]


def pin(cpu):
    """Options of iperf3 that have each side be on a CPU of its own, if there are several."""
    count = os.cpu_count()
    return ("-A", str(cpu % count)) if count > 1 else ()


class Server:
    """An iperf3 server in b."""

    def __enter__(self):
        self.process = spawn("b", "iperf3", "-s", "-B", SERVER, *pin(1))
        wait_until(lambda: at("b", "ss", "-tlnH", "sport = :5201"))
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def client_command(*arguments):
    """What an iperf3 client in a is called with."""
    return inside("a", "iperf3", "-J", "-c", SERVER, *pin(0), *arguments)


def client(*arguments):
    """One run of a client, and the end of what it reports."""
    done = subprocess.run(
        client_command(*arguments), text=True, stdout=subprocess.PIPE, check=False
    )
    report = json.loads(done.stdout)
    if "error" in report:
        raise RuntimeError(f"iperf3 {' '.join(arguments)}: {report['error']}")
    return report["end"]


def warmed_up(amount):
    """Whether a first transfer of that much works: the server may not be there yet.

    A connection that is only a try would have the server start over, and refuse the next one meanwhile.
    """
    try:
        client("-n", amount)
    except RuntimeError:
        return False
    return True


def gigabits(*sums):
    """Goodput of all directions together."""
    return sum(one["bits_per_second"] for one in sums) / 1e9


# How long a stream is measured. Not an amount of data: that it is sent, iperf3 notices only at the
# next full second.
SECONDS = "4"
# What is written and read at a time. With iperf3's own 128 KB, User-mode Linux, whose system calls are
# dear, spends most of the time of a stream without a tunnel in them.
BLOCK = ("-l", "1M")


def tcp(emit):
    """TCP: one stream, four, and one each way at the same time."""
    with Server():
        client("-n", "20M")
        end = client("-t", SECONDS, *BLOCK)
        emit("TCP, 1 stream", gigabits(end["sum_received"]), "Gbit/s")
        emit("TCP, 1 stream, retransmits", end["sum_sent"]["retransmits"], "")
        end = client("-t", SECONDS, *BLOCK, "-P", "4")
        emit("TCP, 4 streams", gigabits(end["sum_received"]), "Gbit/s")
        end = client("-t", SECONDS, *BLOCK, "--bidir")
        both = gigabits(end["sum_received"], end["sum_received_bidir_reverse"])
        emit("TCP, both ways", both, "Gbit/s")


def one_stream(emit, label="TCP, 1 stream"):
    """The first of these alone."""
    with Server():
        client("-n", "20M")
        emit(label, gigabits(client("-t", SECONDS, *BLOCK)["sum_received"]), "Gbit/s")


# How much may be lost, and in how many steps the rate is searched for.
LOSS = 0.001
STEPS = 6


def udp(emit, length):
    """The rate of packets of a length at which less than one in a thousand is lost.

    A user space program sends them, which may be what limits the rate.
    """
    payload = length - 28
    options = ("-u", "-l", str(payload), "-t", "1", "-w", "1M", "--pacing-timer", "1000")

    def trial(rate):
        end = client(*options, "-b", f"{int(rate * payload * 8)}")["sum"]
        sent = end["packets"] / end["seconds"]
        lost = end["lost_packets"] / max(end["packets"], 1)
        return sent, lost

    with Server():
        top, lost = trial(0)
        emit(f"UDP, {length} bytes, sent as fast as may be", top / 1e3, "kpps")
        emit(f"UDP, {length} bytes, lost of these", lost * 100, "%")
        best, low, high = 0.0, 0.0, top
        if lost < LOSS:
            best = low = top
        else:
            # What comes through when much is lost is near what can without.
            guess = top * (1 - lost)
            for _ in range(STEPS):
                sent, lost = trial(guess)
                if lost < LOSS:
                    best, low = max(best, sent), guess
                else:
                    high = guess
                guess = (low + high) / 2
        emit(f"UDP, {length} bytes, loss < 0.1 %", best / 1e3, "kpps")


def back_to_back(address, count=5000):
    """The average round trip in microseconds, the next echo being sent when one was answered."""
    text = at("a", "ping", "-n", "-q", "-f", "-c", str(count), "-W", "5", address)
    if f" {count} received" not in text:
        raise RuntimeError(f"not all of {count} echoes came back: {text}")
    return float(re.search(r"= [0-9.]+/([0-9.]+)/", text)[1]) * 1000


def round_trips(count, interval, address=SERVER):
    """Times of echoes in microseconds, sorted; none may be lost."""
    text = at("a", "ping", "-n", "-c", str(count), "-i", str(interval), "-W", "5", address)
    times = sorted(float(one) * 1000 for one in re.findall(r"time=([0-9.]+) ms", text))
    if len(times) < count * 0.99:
        raise RuntimeError(f"only {len(times)} of {count} echoes came back")
    return times


def percentile(values, percent):
    """A percentile of sorted values."""
    return values[min(len(values) * percent // 100, len(values) - 1)]


def ping(emit):
    """Latency with nothing else to do, and beside a TCP stream that takes all it can get."""
    reach("a", SERVER)
    times = round_trips(300, 0.01)
    emit("ping, idle, median", statistics.median(times), "us")
    emit("ping, idle, 99th percentile", percentile(times, 99), "us")
    emit("ping, back to back, average", back_to_back(SERVER), "us")
    with Server():
        load = subprocess.Popen(client_command("-t", "60"), stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            times = round_trips(100, 0.02)
        finally:
            load.kill()
            load.wait()
    emit("ping, beside TCP, median", statistics.median(times), "us")
    emit("ping, beside TCP, 99th percentile", percentile(times, 99), "us")


class Pktgen:
    """The kernel's packet generator: packets arrive on a device as if from a cable."""

    def __init__(self, name, device):
        run("modprobe", "pktgen")
        self.name, self.device = name, device
        self.write("kpktgend_0", "rem_device_all", f"add_device {device}")

    def write(self, file, *lines):
        """Commands to a file below /proc/net/pktgen."""
        for line in lines:
            at(self.name, "sh", "-c", f"echo '{line}' >/proc/net/pktgen/{file}")

    def aim(self, length, packets):
        """Has it send as many packets of a length to the other gateway's network."""
        text = run("ip", "-n", self.name, "-br", "link", "show", self.device)
        self.write(
            self.device,
            f"count {packets}", "delay 0", f"pkt_size {length + 14}", "flag !SHARED",
            "xmit_mode netif_receive", f"dst_mac {text.split()[2]}",
            "src_min 10.1.0.2", "src_max 10.1.0.2", "dst_min 10.2.0.2", "dst_max 10.2.0.2",
            "udp_src_min 9", "udp_src_max 9", "udp_dst_min 9", "udp_dst_max 9",
        )  # fmt: skip

    def start(self):
        """Sends all, and returns when they are sent."""
        self.write("pgctrl", "start")

    def result(self):
        """Packets that the stack took, and seconds."""
        text = at(self.name, "cat", f"/proc/net/pktgen/{self.device}")
        sent = int(re.search(r"pkts-sofar: (\d+)", text).group(1))
        micros = int(re.search(r"Result: OK: (\d+)\(", text).group(1))
        return sent, micros / 1e6


def gateways():
    """Has a and b forward between networks behind them, in which a dummy takes all packets."""
    for name, inner, other in (("a", "10.1.0", "10.2.0"), ("b", "10.2.0", "10.1.0")):
        run("ip", "-n", name, "link", "add", "lan", "type", "dummy")
        run("ip", "-n", name, "address", "add", f"{inner}.1/24", "dev", "lan")
        run("ip", "-n", name, "link", "set", "lan", "up")
        via = INNER["b" if name == "a" else "a"]
        run("ip", "-n", name, "route", "add", f"{other}.0/24", "via", via)
        run("ip", "-n", name, "neighbor", "add", f"{inner}.2",
            "lladdr", "02:00:00:00:00:01", "dev", "lan")  # fmt: skip
        at(name, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")


def router(emit, length, packets=100000):
    """A gateway's work: packets come in on one device and leave through the tunnel, no user space.

    They come as fast as the gateway takes them, and what counts is what leaves the other gateway.
    """
    gateways()
    generator = Pktgen("a", "lan")
    generator.aim(length, packets)
    before, start = counter("b", "lan", "tx_packets"), time.monotonic()
    generator.start()
    offered, seconds = generator.result()
    # Those on their way.
    previous = -1
    while (now := counter("b", "lan", "tx_packets")) != previous:
        previous, stop = now, time.monotonic()
        time.sleep(0.02)
    delivered = now - before
    emit(f"routed, {length} bytes, delivered", delivered / (stop - start) / 1e3, "kpps")
    emit(f"routed, {length} bytes, offered", offered / seconds / 1e3, "kpps")
