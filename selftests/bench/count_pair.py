#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""One side of a TCP stream between two guests, counted by a plugin in each: a sends, b receives.

Is told a directory, and the driver, with its parameters if it is ours.

Leaves in the directory given what count.py does.
"""

import os
import socket
import sys
import time

import traffic
from control import In
from count import SEGMENT, TRANSFER, Counter, keep_symbols
from mixed import DONE_PORT, set_up
from tunnel import INNER, driver, wait_until


def main():
    directory, name = sys.argv[1:]
    side = os.environ["WG_SIDE"]
    driver(name).load()
    set_up(side, "b" if side == "a" else "a")
    counting = Counter(directory, name, "TCP, TX" if side == "a" else "TCP, RX")
    counting.about["packets"] = TRANSFER / SEGMENT
    other = (INNER["b"], DONE_PORT)
    with In(side), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as signal:
        if side == "b":
            signal.bind(other)
            signal.settimeout(300)
            with traffic.Server():
                signal.recv(1)
                with counting:
                    signal.recv(1)
        else:
            wait_until(lambda: traffic.warmed_up("2M"))
            signal.sendto(b"x", other)
            # Until the other side counts.
            time.sleep(2)
            with counting:
                traffic.client("-n", str(TRANSFER))
            signal.sendto(b"x", other)
    keep_symbols(f"{directory}/symbols-{name}")
    os.sync()


if __name__ == "__main__":
    main()
