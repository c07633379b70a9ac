#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""One side of a tunnel between two guests, for combinations that one kernel cannot load.

Side a sends, and writes the figures.
"""

import base64
import hashlib
import json
import os
import socket
import sys

import traffic
from control import In
from tunnel import INNER, MTU, UNDERLAY, reach, run, wait_until

DONE_PORT = 5202


def secret(side):
    """A private key that the other side knows without being told."""
    return base64.b64encode(hashlib.sha256(f"bench {side}".encode()).digest()).decode()


def set_up(side, other):
    """The tunnel. The guest's own namespace gets the name that one has in a single guest.

    (eth0 of User-mode Linux does not survive to be moved to another.)
    """
    run("ip", "netns", "attach", side, str(os.getpid()))
    public = run("wg", "pubkey", stdin=secret(other)).strip()
    run("ip", "-n", side, "link", "set", "eth0", "up")
    run("ip", "-n", side, "address", "add", f"{UNDERLAY[side]}/24", "dev", "eth0")
    run("ip", "-n", side, "link", "add", "wg0", "mtu", str(MTU), "type", "wireguard")
    run("ip", "netns", "exec", side, "wg", "set", "wg0", "private-key", "/dev/stdin",
        "listen-port", "51820", "peer", public, "allowed-ips", "0.0.0.0/0",
        "endpoint", f"{UNDERLAY[other]}:51820", stdin=secret(side))  # fmt: skip
    run("ip", "-n", side, "address", "add", f"{INNER[side]}/24", "dev", "wg0")
    run("ip", "-n", side, "link", "set", "wg0", "up")
    reach(side, INNER[other])


def main():
    label, number = sys.argv[1], int(sys.argv[2])
    side = os.environ["WG_SIDE"]
    set_up(side, "b" if side == "a" else "a")
    with In(side), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as signal:
        if side == "b":
            signal.bind((INNER["b"], DONE_PORT))
            signal.settimeout(120)
            with traffic.Server():
                signal.recv(1)
            return
        try:
            wait_until(lambda: traffic.warmed_up("20M"))
            value = traffic.gigabits(traffic.client("-t", traffic.SECONDS, *traffic.BLOCK)["sum_received"])
            line = {"section": "mixed", "what": "TCP, 1 stream, two guests", "driver": label,
                    "round": number, "cpus": os.cpu_count(), "value": value, "unit": "Gbit/s"}  # fmt: skip
            print(json.dumps(line), flush=True)
        finally:
            signal.sendto(b"x", (INNER["b"], DONE_PORT))


if __name__ == "__main__":
    main()
