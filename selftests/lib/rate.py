# SPDX-License-Identifier: GPL-2.0
"""Handshakes at a steady rate, and how many of them are answered, and when; and what is in their way."""

import errno
import os
import socket
import struct
import time

import noise
from background import Background
from lab import HOSTILE4, Hostile

RATE = 100
# A handshake that has got no answer after this gets none.
LATE = 2.0


class Figures:
    """What became of some attempts: how long each took, or None."""

    def __init__(self, waits):
        self.waits = waits
        self.answered = sorted(wait for wait in waits if wait is not None)

    @property
    def share(self):
        return len(self.answered) / len(self.waits)

    def quantile(self, part):
        """The time within which this part of those that were answered was."""
        if not self.answered:
            return float("inf")
        return self.answered[min(int(len(self.answered) * part), len(self.answered) - 1)]

    def __str__(self):
        return (
            f"{len(self.answered)} of {len(self.waits)} answered, "
            f"p50 {self.quantile(0.5) * 1000:.1f} ms, p99 {self.quantile(0.99) * 1000:.1f} ms"
        )


class Handshakes:
    """Peers of the device, who begin handshakes one after the other."""

    # So many that none begins twice within a moment, which is not allowed, if some are late.
    def __init__(self, lab, port, count=100):
        self.lab, self.wire = lab, lab.wire(port)
        self.peers = [Hostile(lab, f"R{n}", []) for n in range(count)]

    def prepare(self, seconds):
        """What is to be sent, as that takes time: messages by their index."""
        initiators = [
            self.peers[n % len(self.peers)].initiator() for n in range(int(RATE * seconds))
        ]
        return [(initiator.index, initiator.initiation()) for initiator in initiators]

    def at_rate(self, prepared):
        """Sends what was prepared, at the rate, and returns the figures."""
        self.wire.drain()
        sent, waits, last = {}, {}, time.monotonic()

        def take(until):
            while True:
                message = self.wire.receive(max(until - time.monotonic(), 0))
                now = time.monotonic()
                if message is None:
                    return
                if len(message) == noise.RESPONSE_LEN:
                    index = int.from_bytes(message[8:12], "little")
                    if index in sent:
                        waits.setdefault(index, now - sent[index])
                if len(waits) == len(prepared):
                    return

        for index, message in prepared:
            # What is late is not made up for.
            take(last + 1 / RATE)
            last = sent[index] = time.monotonic()
            self.wire.send(message)
        take(time.monotonic() + LATE)
        return Figures([waits.get(index) for index, _ in prepared])

    def flood(self, rate):
        """Initiations that are not by anybody, but have a good first MAC: so many a second, for ever."""
        body = struct.pack("<I", noise.INITIATION) + os.urandom(noise.INITIATION_LEN - 36)
        return Background("the flood", self._flood, rate, noise.add_macs(body, self.lab.public))

    def junk(self):
        """Initiations with a bad first MAC: as many as go, for ever."""
        body = struct.pack("<I", noise.INITIATION) + os.urandom(noise.INITIATION_LEN - 4)
        return Background("the junk", self._flood, float("inf"), body)

    def _flood(self, rate, worthless):
        out = self.lab.make(socket.AF_INET, socket.SOCK_DGRAM)
        out.bind((HOSTILE4, 4002))
        begun, count = time.monotonic(), 0
        while True:
            for _ in range(20):
                try:
                    out.sendto(worthless, self.wire.target)
                except OSError as error:
                    # What does not fit into a queue is lost, as on the way.
                    if error.errno != errno.ENOBUFS:
                        raise
            count += 20
            time.sleep(max(begun + count / rate - time.monotonic(), 0))


def hog(cpu):
    """Takes a CPU from everybody else."""

    def run():
        os.sched_setaffinity(0, {cpu})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
        while True:
            pass

    return Background(f"the hog of CPU {cpu}", run)
