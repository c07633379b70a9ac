#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Claims to be peers by somebody who is none of them. Runs inside claims.sh."""

import os
import sys
import time

import noise
import tap
from lab import Hostile, Lab

PEERS = 1000
# Messages a second: few enough that none is asked for a cookie.
RATE = 400
# In kB: half of what handshakes with so many peers take.
LIMIT = 250


def slab():
    """What the kernel has allocated, in kB."""
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Slab:"))


class Claims:
    """Initiations to a device, each in the name of another peer."""

    def __init__(self, lab):
        self.lab, self.wire = lab, lab.wire(4001)

    def send(self, keys):
        """Sends one for each key; returns how much memory has gone since, and what came back."""
        messages = [noise.Initiator(key, self.lab.public).initiation() for key in keys]
        self.wire.drain()
        answers = []
        before, begun = slab(), time.monotonic()
        for n, message in enumerate(messages):
            time.sleep(max(begun + n / RATE - time.monotonic(), 0))
            self.wire.send(message)
            answers += self.wire.drain()
        # Until the last ones were looked at, and what RCU frees is free.
        time.sleep(1)
        answers += self.wire.drain()
        return slab() - before, [answer[0] for answer in answers]


def main():
    noise.self_check()
    lab = Lab(sys.argv[1])
    claims = Claims(lab)
    peers = [Hostile(lab, f"P{n}", []) for n in range(PEERS)]
    # What the kernel needs in any case, as for packets under way, it has after these.
    strangers = [noise.Key() for _ in range(PEERS)]
    grown, answers = claims.send(strangers)
    tap.note(f"in nobody's name: slab {grown} kB more, {len(answers)} answers")

    grown, answers = claims.send([noise.ForgedKey(peer.key.public) for peer in peers])
    tap.note(f"in the name of peers: slab {grown} kB more, {len(answers)} answers")
    tap.ok("the device looks at all of them", noise.COOKIE_REPLY not in answers)
    tap.equal("and answers none", answers.count(noise.RESPONSE), 0)
    tap.ok("they take no memory that stays", grown < LIMIT, f"{grown} kB")

    # So that is known to be seen.
    grown, answers = claims.send([peer.key for peer in peers])
    tap.note(f"by the peers: slab {grown} kB more, {len(answers)} answers")
    tap.ok("those of peers are answered", answers.count(noise.RESPONSE) > PEERS * 0.95)
    if os.environ["WG_DRIVER"] == "rust":
        tap.ok("and take memory", grown > LIMIT, f"{grown} kB")


main()
