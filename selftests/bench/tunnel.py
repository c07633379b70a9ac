# SPDX-License-Identifier: GPL-2.0
"""Drivers that take turns, and a tunnel between two namespaces to measure them with."""

import os
import subprocess
import time

NETNS = "/run/netns"
UNDERLAY = {"a": "10.0.0.1", "b": "10.0.0.2"}
INNER = {"a": "192.168.241.1", "b": "192.168.241.2"}
MTU = 1420

# What eth0 is like. veth passes packets of any size whole and computes no checksums, which few
# network cards do; each mode takes something of that away.
MODES = {
    "veth": [],
    "no-uso": ["tx-udp-segmentation off tx-gso-list off"],
    "gro": ["tx-udp-segmentation off tx-gso-list off", "tso off", "gro on"],
    "no-csum": ["tx-udp-segmentation off tx-gso-list off", "tx off"],
    "conntrack": [],
}

CONNTRACK = """
table inet filter {
	chain input { type filter hook input priority 0; ct state established,related accept; accept; }
	chain output { type filter hook output priority 0; ct state new accept; accept; }
}
"""


def run(*command, stdin=None, check=True):
    """Runs a command and returns what it prints."""
    return subprocess.run(
        command, input=stdin, text=True, check=check, stdout=subprocess.PIPE
    ).stdout


def inside(name, *command):
    """The command, in a namespace."""
    return ("nsenter", f"--net={NETNS}/{name}", "--") + command


def at(name, *command, **options):
    """Runs a command in a namespace."""
    return run(*inside(name, *command), **options)


def spawn(name, *command):
    """Starts a command in a namespace."""
    return subprocess.Popen(inside(name, *command), stdout=subprocess.DEVNULL)


def wait_until(condition, limit=30):
    """Waits for a condition; it is an error if it does not come true."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {limit} s: {condition}")
        time.sleep(0.01)


class Driver:
    """One of the variants that are compared."""

    def __init__(self, name, ours, threaded=None, parameters=()):
        self.name, self.ours, self.threaded = name, ours, threaded
        self.parameters = parameters

    def load(self):
        """Has this driver take the place of another."""
        unload()
        run("modprobe", *([] if self.ours else ["--ignore-install"]), "wireguard", *self.parameters)
        version = "/sys/module/wireguard/version"
        with open(version, encoding="ascii") as file:
            if ("rust" in file.read()) != self.ours:
                raise RuntimeError(f"modprobe loaded another driver than {self.name}")

    def set_up(self, name):
        """Applies what is particular about this variant to the device in a namespace."""
        if self.threaded is not None:
            # /sys shows the devices of the namespace in which it is mounted.
            path = "/sys/class/net/wg0/threaded"
            run("ip", "netns", "exec", name, "sh", "-c", f"echo {self.threaded} >{path}")


DRIVERS = {
    one.name: one
    for one in (
        Driver("rust", True),
        # The driver turns threaded NAPI on itself; with it off, softirqs do the same work.
        Driver("c", False),
        Driver("c-softirq", False, threaded=0),
    )
}


def driver(name):
    """The variant of that name; `rust+outer_gso=0` is ours with a module parameter."""
    if name in DRIVERS:
        return DRIVERS[name]
    base, *parameters = name.split("+")
    if base != "rust" or not parameters:
        raise ValueError(f"no such driver: {name}")
    return Driver(name, True, parameters=parameters)


def unload():
    """Removes whichever driver is loaded."""
    if os.path.isdir("/sys/module/wireguard"):
        run("rmmod", "wireguard")


class Namespaces:
    """Namespaces with cables between them; gone when a `with` ends."""

    names = ()

    def build(self):
        """What there is to make; more in those that inherit this."""
        for name in self.names:
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.names:
            if not os.path.exists(f"{NETNS}/{name}"):
                continue
            # Namespaces end some time after their last process; devices must be gone now.
            pids = run("ip", "netns", "pids", name).split()
            if pids:
                run("kill", "-KILL", *pids, check=False)
                wait_until(lambda name=name: not run("ip", "netns", "pids", name).split())
            for device in ("wg0", "eth0", "eth1"):
                subprocess.run(
                    ("ip", "-n", name, "link", "del", device), stderr=subprocess.DEVNULL, check=False
                )
            run("ip", "netns", "del", name)

    @staticmethod
    def cable(left, left_device, right, right_device):
        """A veth pair, both ends up."""
        run("ip", "link", "add", left_device, "netns", left, "type", "veth",
            "peer", "name", right_device, "netns", right)  # fmt: skip
        for name, device in ((left, left_device), (right, right_device)):
            run("ip", "-n", name, "link", "set", device, "up")


class Tunnel(Namespaces):
    """Two namespaces, a and b, with eth0 between them, and wg0 if there is a driver.

    Without one, the inner addresses are those of eth0.
    """

    names = ("a", "b")

    def __init__(self, driver, mode="veth"):
        self.driver, self.mode = driver, mode

    def build(self):
        super().build()
        self.cable("a", "eth0", "b", "eth0")
        for name in "ab":
            run("ip", "-n", name, "address", "add", f"{UNDERLAY[name]}/24", "dev", "eth0")
            for features in MODES[self.mode]:
                at(name, "ethtool", "-K", "eth0", *features.split())
            if self.mode == "conntrack":
                at(name, "nft", "-f", "-", stdin=CONNTRACK)
        self.add_tunnel()
        reach("a", INNER["b"])

    def add_tunnel(self):
        """Makes wg0, if there is to be one."""
        if self.driver:
            self.add_devices(self.driver)
        else:
            for name in "ab":
                run("ip", "-n", name, "address", "add", f"{INNER[name]}/24", "dev", "eth0")

    @staticmethod
    def add_devices(driver):
        """Makes wg0 on both sides."""
        keys = {name: run("wg", "genkey") for name in "ab"}
        publics = {name: run("wg", "pubkey", stdin=key).strip() for name, key in keys.items()}
        for name, other in ("ab", "ba"):
            run("ip", "-n", name, "link", "add", "wg0", "mtu", str(MTU), "type", "wireguard")
            at(name, "wg", "set", "wg0", "private-key", "/dev/stdin", "listen-port", "51820",
               "peer", publics[other], "allowed-ips", "0.0.0.0/0",
               "endpoint", f"{UNDERLAY[other]}:51820", stdin=keys[name])  # fmt: skip
            driver.set_up(name)
            run("ip", "-n", name, "address", "add", f"{INNER[name]}/24", "dev", "wg0")
            run("ip", "-n", name, "link", "set", "wg0", "up")


class Vxlan(Tunnel):
    """The same with a VXLAN instead: what a tunnel over UDP costs that does not encrypt."""

    def __init__(self):
        super().__init__(None)

    def add_tunnel(self):
        for name, other in ("ab", "ba"):
            run("ip", "-n", name, "link", "add", "vx0", "mtu", str(MTU), "type", "vxlan",
                "id", "1", "dstport", "4789", "remote", UNDERLAY[other])  # fmt: skip
            run("ip", "-n", name, "address", "add", f"{INNER[name]}/24", "dev", "vx0")
            run("ip", "-n", name, "link", "set", "vx0", "up")


def reach(name, address):
    """Waits until an address answers, and a session is there with that."""
    command = inside(name, "ping", "-n", "-q", "-c", "1", "-W", "2", address)
    wait_until(
        lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0
    )


def counters(name, device):
    """What a device has received and sent, all at the same moment."""
    for line in at(name, "cat", "/proc/net/dev").splitlines():
        head, _, rest = line.partition(":")
        if head.strip() == device:
            fields = [int(field) for field in rest.split()]
            return {"rx_bytes": fields[0], "rx_packets": fields[1],
                    "tx_bytes": fields[8], "tx_packets": fields[9]}  # fmt: skip
    raise KeyError(device)


def counter(name, device, which):
    """One of these."""
    return counters(name, device)[which]
