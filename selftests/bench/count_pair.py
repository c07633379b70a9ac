#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""One side of a TCP stream between two guests, counted by a plugin in each: a sends, b receives.

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
from tunnel import INNER, wait_until


def main():
    directory = sys.argv[1]
    side, driver = os.environ["WG_SIDE"], os.environ["WG_DRIVER"]
    set_up(side, "b" if side == "a" else "a")
    counting = Counter(directory, driver, "TCP, TX" if side == "a" else "TCP, RX")
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
    keep_symbols(f"{directory}/symbols-{driver}")
    os.sync()


if __name__ == "__main__":
    main()
