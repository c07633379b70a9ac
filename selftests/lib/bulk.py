#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""TCP as fast as it goes, through a tunnel that comes and goes: what stands still is begun anew.

    bulk.py ADDRESS PEER [FILE]

Runs at both ends, each of which sends to the other, until it is ended or FILE is gone. Then it says how
many bytes have arrived at ADDRESS. WG_BULK_PAUSE is how many seconds it waits after each 256 KiB.
"""

import contextlib
import os
import signal
import socket
import struct
import sys
import threading
import time

PORT = 5002
CHUNK = bytes(1 << 18)
# Seconds in which nothing moves.
STANDSTILL = 0.2
IP_FREEBIND = 15
PAUSE = float(os.environ.get("WG_BULK_PAUSE", 0))

received = 0


def end(*_):
    print(received, flush=True)
    os._exit(0)


def forget_at_once(sock):
    """Nothing is said to the other end by and by when it is closed."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drain(sock):
    global received
    buffer = bytearray(1 << 18)
    forget_at_once(sock)
    sock.settimeout(4 * STANDSTILL)
    with sock, contextlib.suppress(OSError):
        while count := sock.recv_into(buffer):
            received += count


def serve(server):
    while True:
        sock, _ = server.accept()
        threading.Thread(target=drain, args=(sock,), daemon=True).start()


def send(peer):
    while True:
        with socket.socket() as out, contextlib.suppress(OSError):
            forget_at_once(out)
            out.settimeout(STANDSTILL)
            out.connect((peer, PORT))
            while True:
                out.send(CHUNK)
                if PAUSE:
                    time.sleep(PAUSE)
        time.sleep(0.02)


def main():
    address, peer, *files = sys.argv[1:]
    signal.signal(signal.SIGTERM, end)
    server = socket.socket()
    # The address may be there later.
    server.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, PORT))
    server.listen()
    for work, argument in (serve, server), (send, peer):
        threading.Thread(target=work, args=(argument,), daemon=True).start()
    while all(map(os.path.exists, files)):
        time.sleep(0.1)
    end()


main()
