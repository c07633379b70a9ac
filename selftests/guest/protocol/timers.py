#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Timers of less than half a minute. Runs inside timers.sh."""

import sys
import time

import noise
import tap
from lab import Lab, ip
from schedule import Schedule
from wgnl import Peer, u16

# A tick more or less is no matter, and a machine that is busy may be late.
EARLY, LATE = 0.03, 1.0
JITTER = 1 / 3
INITIATION, KEEPALIVE = noise.INITIATION_LEN, noise.DATA_OVERHEAD


def within(what, times, *wanted):
    """Each time is in its range, and there are no more."""
    good = len(times) == len(wanted) and all(
        low - EARLY <= when <= high + LATE for when, (low, high) in zip(times, wanted)
    )
    shown = [f"{when:.3f}" for when in times]
    tap.ok(what, good, f"wanted: {wanted}", f"got:    {shown}")
    tap.note(f"{what}: {' '.join(shown)}")


def gaps(times):
    return [later - earlier for earlier, later in zip(times, times[1:])]


def main():
    noise.self_check()
    test = Schedule(Lab(sys.argv[1]))
    names = "unanswered once twice unheard keeping changed stopped".split()
    ears = {name: test.ear(name[0].upper()) for name in names}
    for name in names[1:]:
        test.responding(ears[name])
    test.lab.probe()
    for ear in ears.values():
        ear.wire.drain()
    test.begun = time.monotonic()
    unanswered, once, twice, unheard, keeping, changed, stopped = ears.values()

    # An initiation that nobody answers; more to send changes nothing.
    test.push(unanswered)
    test.at(1, test.push, unanswered)
    test.at(7, test.push, unanswered)
    # Data that nothing is sent after, once; and some more while a keepalive is due.
    once.wire.send(once.session.data(test.packet(once)))
    twice.wire.send(twice.session.data(test.packet(twice)))
    test.at(3, lambda: twice.wire.send(twice.session.data(test.packet(twice))))
    test.at(4, lambda: twice.wire.send(twice.session.data(test.packet(twice))))
    # Data that nothing comes back for; a second packet does not put that off.
    test.push(unheard)
    test.at(5, test.push, unheard)
    # Persistent keepalives every three seconds, from 0.5 on, with something received at 5.
    test.at(0.5, test.configure, keeping, u16(Peer.KEEPALIVE, 3))
    test.at(5, lambda: keeping.wire.send(keeping.session.data()))
    # From two seconds to four, and then none.
    test.at(0.5, test.configure, changed, u16(Peer.KEEPALIVE, 2))
    test.at(3, test.configure, changed, u16(Peer.KEEPALIVE, 4))
    test.at(10, test.configure, changed, u16(Peer.KEEPALIVE, 0))
    test.listen(18.5)

    times = unanswered.times(INITIATION)
    within("TM-1 HS-8 the first initiation is sent at once", times[:1], (0, 0))
    between = gaps(times)
    each = [(5, 5 + JITTER)] * len(between)
    within("TM-1 HS-8 the others are 5 s and up to a third apart", between, *each)
    tap.ok("TM-1 two or three of them", len(between) in (2, 3))
    tap.equal("TM-1 and nothing else", len(unanswered.heard), len(times))
    within(
        "TM-4 an initiation when nothing came back", unheard.times(INITIATION), (15, 15 + JITTER)
    )
    tap.equal("TM-4 and the data", len(unheard.heard), 3)
    within("TM-3 a keepalive after ten seconds", once.times(), (10, 10))
    within(
        "TM-9 persistent keepalives: the first at once, then so long after the last message",
        keeping.times(KEEPALIVE),
        *[(0.5, 0.5), (3.5, 3.5), (8, 8), (11, 11), (14, 14), (17, 17)],
    )
    tap.equal("TM-9 and nothing else", len(keeping.heard), 6)
    within(
        "SET-21 another interval counts from the next message on",
        changed.times(),
        *[(0.5, 0.5), (2.5, 2.5), (4.5, 4.5), (8.5, 8.5)],
    )

    # Down while all kinds of timers are pending.
    test.listen(19)
    stopped.wire.send(stopped.session.data(test.packet(stopped)))
    test.configure(stopped, u16(Peer.KEEPALIVE, 5))
    test.push(stopped)
    test.listen(22)
    # Another one is planned when the first is sent, which is a reason not to.
    within("TM-3 one keepalive for all data before it", twice.times(), (10, 10))
    before = len(unanswered.times(INITIATION))
    ip("link", "set", "wg0", "down")
    down = test.now()
    test.listen(34)
    late = {name: ear.after(down + 0.1) for name, ear in ears.items() if ear.after(down + 0.1)}
    tap.equal("TM-10 UP-4 a device that is down sends nothing", late, {})
    tap.ok("TM-10 though it would have", before >= 4, f"{before} initiations")
    ip("link", "set", "wg0", "up")
    up = test.now()
    test.listen(up + 2)
    within("TM-10 HS-8 up: the one with a persistent keepalive begins", stopped.after(up), (up, up))
    tap.equal("TM-10 with an initiation", len(stopped.after(up, INITIATION)), 1)
    others = [name for name, ear in ears.items() if ear.after(up) and ear not in (stopped, keeping)]
    tap.equal("TM-10 and no others", others, [])


main()
