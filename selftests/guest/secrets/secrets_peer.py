# SPDX-License-Identifier: GPL-2.0
"""What the peer outside of the guest has: the guest's memory, a link to it, and the secrets."""

import json
import os
import socket
import struct
import sys
import time

import noise
from noise import Key, ipv4, udp
from secrets_request import MASK

GUEST, US = bytes([10, 9, 0, 1]), bytes([10, 9, 0, 2])
OUR_MAC = bytes.fromhex("020000000002")
AGENT_PORT, WIREGUARD_PORT = 7000, 51820
CHUNK = 1 << 24
# Seconds that the guest may take to do as it is told, or that a copy of it takes to be made.
SILENCE = 120


class Memory:
    """The guest's memory."""

    def __init__(self, fd):
        self.fd = fd
        self.size = os.fstat(fd).st_size

    def chunks(self):
        """(offset, bytes) of what was ever written."""
        end = 0
        while True:
            try:
                start = max(os.lseek(self.fd, end, os.SEEK_DATA), end)
            except OSError:
                return
            end = os.lseek(self.fd, start, os.SEEK_HOLE)
            while start < end:
                yield start, os.pread(self.fd, min(CHUNK, end - start) + 64, start)
                start += CHUNK

    def count(self, secrets):
        """How often each secret is there, by name."""
        halves = {
            name: [value[at : at + 16] for at in range(0, len(value), 16)]
            for name, value in secrets.items()
        }
        counts = {name: [0] * len(parts) for name, parts in halves.items()}
        for _, chunk in self.chunks():
            for name, parts in halves.items():
                for number, part in enumerate(parts):
                    counts[name][number] += chunk.count(part)
        return {name: max(both) for name, both in counts.items()}

    def ephemeral(self, chaining_key, public):
        """The private key of `public`, near that chaining key."""
        for offset, chunk in self.chunks():
            at = chunk.find(chaining_key)
            while at >= 0:
                near = os.pread(self.fd, 2048, max(offset + at - 1024, 0))
                for start in range(0, len(near) - 31, 4):
                    candidate = near[start : start + 32]
                    if any(candidate) and Key(candidate).public == public:
                        return candidate
                at = chunk.find(chaining_key, at + 1)
        return None


class Link:
    """The other end of the guest's eth0."""

    def __init__(self, fd):
        self.socket = socket.socket(fileno=fd)
        self.mac = None
        self.wireguard = []

    def send(self, port, payload, guest_port):
        packet = ipv4(US, GUEST, udp(US, GUEST, port, guest_port, payload))
        self.socket.send(self.mac + OUR_MAC + b"\x08\x00" + packet)

    def receive(self, port, limit=60):
        """The next datagram to one of our ports, or None."""
        until = time.monotonic() + limit
        while True:
            if port == WIREGUARD_PORT and self.wireguard:
                return self.wireguard.pop(0)
            left = until - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                frame = self.socket.recv(65536)
            except TimeoutError:
                return None
            if frame[12:14] != b"\x08\x00" or frame[23] != 17 or frame[30:34] != US:
                continue
            self.mac = frame[6:12]
            to, length = struct.unpack_from("!HH", frame, 36)
            payload = frame[42 : 34 + length]
            if to == WIREGUARD_PORT:
                self.wireguard.append(payload)
            elif to == port:
                return payload


class Agent:
    """The other end of the test."""

    def __init__(self, link):
        self.link = link
        hello = json.loads(link.receive(AGENT_PORT, 600))
        self.form, self.driver = hello["hello"], hello["driver"]

    @classmethod
    def of_copy(cls, link, other):
        """That of a copy of the guest, which waits for an order, as the other one did."""
        agent = cls.__new__(cls)
        agent.link, agent.form, agent.driver = link, other.form, other.driver
        return agent

    def order(self, **order):
        self.link.send(AGENT_PORT, json.dumps(order).encode(), AGENT_PORT)
        while True:
            answer = self.link.receive(AGENT_PORT, SILENCE)
            if answer is None:
                raise RuntimeError("the guest is silent")
            # It may have said more than once that it is there.
            answer = json.loads(answer)
            if "hello" not in answer:
                return answer

    def run(self, command):
        answer = self.order(run=command)
        if answer["status"]:
            raise RuntimeError(f"{command}: {answer['output']}")
        return answer["output"]

    def set(self, attributes, *keys):
        """Returns the error of a request that these keys are in, in the clear only there."""
        places = []
        for key in keys:
            places.append(attributes.index(key))
            masked = bytes(byte ^ MASK for byte in key)
            attributes = attributes.replace(key, masked, 1)
        return self.order(set=attributes.hex(), keys=places)["error"]

    def note(self, text):
        self.order(note=text)

    def ok(self, what, good, *why):
        self.order(ok=bool(good), what=what, why=why)
        return good


class Recorder:
    """Notes what handshakes compute that is secret."""

    def __init__(self):
        self.secrets = {}
        self.recording = False
        kdf, dh = noise.kdf, Key.dh

        def recorded_kdf(count, key, data):
            out = kdf(count, key, data)
            # The first mixes in what is public.
            if self.recording and data:
                self.secrets.update(
                    {f"kdf{len(self.secrets)}.{n}": value for n, value in enumerate(out)}
                )
            return out

        def recorded_dh(key, public):
            out = dh(key, public)
            self.recording = True
            self.secrets[f"dh{len(self.secrets)}"] = out
            return out

        noise.kdf, Key.dh = recorded_kdf, recorded_dh

    def start(self):
        self.secrets, self.recording = {}, False

    def take(self, static_static):
        """What was noted, but for the secret that lives as long as the peer."""
        secrets = {k: v for k, v in self.secrets.items() if v != static_static}
        self.start()
        return secrets
