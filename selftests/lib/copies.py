#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes copies of a guest that runs, which go on beside it, for selftests/lib/outside.

    copies.py FD...

Runs where QEMU does, as a process beside it, which is the first one there. The guest has to be run with
QMP at /run/qmp.sock and with VMGENID; each copy has another generation ID, and its eth0 is at one of the file
descriptors. What a copy prints goes nowhere. Copies end with the guest.
"""

import json
import os
import socket
import subprocess
import sys
import time

STATE = "/tmp/state"


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.1)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.do("qmp_capabilities")

    def do(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def until(self, command, status):
        while (now := self.do(command).get("status")) != status:
            if now == "failed":
                raise RuntimeError(f"{command}: {now}")
            time.sleep(0.1)


def save():
    """The state of the guest, which goes on as if nothing had been."""
    monitor = Monitor("/run/qmp.sock")
    monitor.do("stop")
    monitor.do("migrate", uri=f"file:{STATE}")
    monitor.until("query-migrate", "completed")
    monitor.do("cont")


def arguments(number, link):
    """Those of the guest, changed for a copy."""
    with open("/proc/1/cmdline", "rb") as file:
        words = file.read().decode().split("\0")[:-1]
    for word in words:
        if word.startswith("vmgenid"):
            word = "vmgenid,guid=auto"
        elif word.startswith("file,id="):
            word = f"{word[: word.index(',path=')]},path=/dev/null"
        elif word.startswith("dgram,id=link"):
            word = f"dgram,id=link,local.type=fd,local.str={link}"
        for name in "fs", "qmp":
            word = word.replace(f"/run/{name}.sock", f"/run/{name}{number}.sock")
        yield word
    yield from ("-incoming", f"file:{STATE}")


def virtiofsd(number):
    """The file system of a copy, as that of the guest."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{name}/cmdline") as file:
            words = file.read().split("\0")[:-1]
        if words and words[0].endswith("virtiofsd"):
            break
    path = f"/run/fs{number}.sock"
    subprocess.Popen([word.replace("/run/fs.sock", path) for word in words])
    while not os.path.exists(path):
        time.sleep(0.1)


def main():
    save()
    monitors = []
    for number, link in enumerate(map(int, sys.argv[1:]), 1):
        virtiofsd(number)
        subprocess.Popen(list(arguments(number, link)), pass_fds=[link])
        monitors.append(Monitor(f"/run/qmp{number}.sock"))
    # One that was stopped is when it was read.
    for monitor in monitors:
        monitor.until("query-status", "paused")
    os.unlink(STATE)
    for monitor in monitors:
        monitor.do("cont")


if __name__ == "__main__":
    main()
