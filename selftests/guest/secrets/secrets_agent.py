#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The end of the test of secrets that is in the guest: does as the other end says, by UDP over eth0.

It knows nothing that could be found in memory but the static keys, as they were before the driver
clamps them; and preshared keys, but masked.
"""

import json
import os
import socket
import subprocess
import sys

import tap
from secrets_request import Request

OURS, THEIRS = ("10.9.0.1", 7000), ("10.9.0.2", 7000)
THEIR_MAC = "02:00:00:00:00:02"
# How long the other end may be busy with looking.
PATIENCE = 240


def run(command):
    done = subprocess.run(
        ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return {"status": done.returncode, "output": done.stdout[-1000:]}


def main(form):
    run(
        f"ip addr add {OURS[0]}/24 dev eth0; ip link set eth0 up;"
        f"ip neigh replace {THEIRS[0]} lladdr {THEIR_MAC} dev eth0"
    )
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.bind(OURS)
    link.connect(THEIRS)
    # It may not be there yet.
    link.settimeout(1)
    hello = json.dumps({"hello": form, "driver": os.environ["WG_DRIVER"]}).encode()
    for _ in range(60):
        try:
            link.send(hello)
            order = json.loads(link.recv(4096))
            break
        except (TimeoutError, ConnectionError):
            continue
    else:
        sys.exit("there is nobody at the other end")
    link.settimeout(PATIENCE)
    kept, request = {}, Request()
    while "end" not in order:
        answer = {}
        if "run" in order:
            answer = run(order["run"])
        elif "set" in order:
            answer = {"error": request.set(bytes.fromhex(order["set"]), order["keys"])}
        elif "get" in order:
            request.get(order["get"])
        elif "open" in order:
            kept[order["open"]] = os.open(order["open"], os.O_RDONLY)
        elif "close" in order:
            os.close(kept.pop(order["close"]))
        elif "note" in order:
            tap.note(order["note"])
        elif "ok" in order:
            tap.ok(order["what"], order["ok"], *order["why"])
        link.send(json.dumps(answer).encode())
        order = json.loads(link.recv(4096))
    link.send(b"{}")


main(sys.argv[1])
