#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""WireGuard's protocol once more, from the paper, for tests that need a peer they can misuse.

Nothing here checks more than it must: every field of every message can be chosen by the caller.
Names of variables follow section 5.4 of the WireGuard paper where that helps.
"""

import hashlib
import hmac
import os
import struct
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
LABEL_MAC1 = b"mac1----"
LABEL_COOKIE = b"cookie--"
INITIATION, RESPONSE, COOKIE_REPLY, DATA = 1, 2, 3, 4
INITIATION_LEN, RESPONSE_LEN, COOKIE_REPLY_LEN, DATA_OVERHEAD = 148, 92, 64, 32
NO_PSK = bytes(32)

# Points that give a zero shared secret with every key, the last ones not in canonical form.
LOW_ORDER = [
    bytes.fromhex(point)
    for point in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    )
]


def hash_(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key, *parts):
    return hashlib.blake2s(b"".join(parts), digest_size=16, key=key).digest()


def hmac_(key, data):
    return hmac.new(key, data, hashlib.blake2s).digest()


def kdf(count, key, data):
    """KDF_n of the paper: a list of n keys."""
    secret, out, last = hmac_(key, data), [], b""
    for n in range(count):
        last = hmac_(secret, last + bytes([n + 1]))
        out.append(last)
    return out


def nonce(counter):
    return bytes(4) + struct.pack("<Q", counter)


def seal(key, counter, plain, additional=b""):
    return ChaCha20Poly1305(key).encrypt(nonce(counter), plain, additional)


def open_(key, counter, sealed, additional=b""):
    """The plaintext, or None."""
    try:
        return ChaCha20Poly1305(key).decrypt(nonce(counter), sealed, additional)
    except InvalidTag:
        return None


def rotate(value, by):
    return (value << by | value >> 32 - by) & 0xFFFFFFFF


def hchacha20(key, prefix):
    """The subkey of XChaCha20 for the first 16 bytes of a nonce."""
    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + prefix))

    def quarter(a, b, c, d):
        for first, second, third, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[first] = (state[first] + state[second]) & 0xFFFFFFFF
            state[third] = rotate(state[third] ^ state[first], by)

    for _ in range(10):
        for n in range(4):
            quarter(n, n + 4, n + 8, n + 12)
        for n in range(4):
            quarter(n, (n + 1) % 4 + 4, (n + 2) % 4 + 8, (n + 3) % 4 + 12)
    return struct.pack("<8I", *state[:4], *state[12:])


def xseal(key, nonce24, plain, additional):
    """XChaCha20-Poly1305."""
    sub = hchacha20(key, nonce24[:16])
    return ChaCha20Poly1305(sub).encrypt(bytes(4) + nonce24[16:], plain, additional)


def xopen(key, nonce24, sealed, additional):
    """The plaintext, or None."""
    sub = hchacha20(key, nonce24[:16])
    try:
        return ChaCha20Poly1305(sub).decrypt(bytes(4) + nonce24[16:], sealed, additional)
    except InvalidTag:
        return None


def open_cookie(reply, message, index, responder_public):
    """The cookie in a reply to a message with this sender index, or None."""
    if len(reply) != COOKIE_REPLY_LEN or struct.unpack_from("<II", reply) != (COOKIE_REPLY, index):
        return None
    key = hash_(LABEL_COOKIE, responder_public)
    return xopen(key, reply[8:32], reply[32:], message[-32:-16])


class Key:
    """An X25519 key pair."""

    def __init__(self, private=None):
        self.private = private or os.urandom(32)
        self._key = X25519PrivateKey.from_private_bytes(self.private)
        self.public = self._key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )

    def dh(self, public):
        """The shared secret; zeros, like a careless implementation, for low-order points."""
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            return bytes(32)


class ForgedKey(Key):
    """A public key of no private one. All secrets with it are zeros."""

    def __init__(self, public):
        self.public = public

    def dh(self, public):
        return bytes(32)


_last_stamp = 0


def timestamp():
    """A TAI64N label later than any before. Time is counted in steps of 2^24 ns by the device."""
    global _last_stamp
    now = time.time_ns()
    _last_stamp = max(now, _last_stamp + (1 << 24))
    seconds, nanos = divmod(_last_stamp, 10**9)
    return struct.pack("!QI", (1 << 62) + 10 + seconds, nanos)


class Symmetric:
    """Chaining key and hash."""

    def __init__(self, responder_public):
        self.ck = hash_(CONSTRUCTION)
        self.h = hash_(hash_(self.ck, IDENTIFIER), responder_public)

    def mix_hash(self, data):
        self.h = hash_(self.h, data)

    def mix_key(self, data):
        self.ck = kdf(1, self.ck, data)[0]

    def mix_dh(self, secret):
        self.ck, self.k = kdf(2, self.ck, secret)

    def mix_psk(self, psk):
        self.ck, tau, self.k = kdf(3, self.ck, psk)
        self.mix_hash(tau)

    def encrypt(self, plain):
        sealed = seal(self.k, 0, plain, self.h)
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, sealed):
        plain = open_(self.k, 0, sealed, self.h)
        self.mix_hash(sealed)
        return plain


def add_macs(message, receiver_public, cookie=None):
    """The message with its two last fields."""
    message += mac(hash_(LABEL_MAC1, receiver_public), message)
    return message + (mac(cookie, message) if cookie else bytes(16))


class Initiator:
    """One handshake begun by us."""

    def __init__(self, static, remote_public, psk=NO_PSK, ephemeral=None, index=None):
        self.static, self.remote, self.psk = static, remote_public, psk
        self.ephemeral = ephemeral or Key()
        self.index = struct.unpack("<I", os.urandom(4))[0] if index is None else index

    def initiation(self, stamp=None, cookie=None):
        state = self.state = Symmetric(self.remote)
        state.mix_key(self.ephemeral.public)
        state.mix_hash(self.ephemeral.public)
        state.mix_dh(self.ephemeral.dh(self.remote))
        static = state.encrypt(self.static.public)
        state.mix_dh(self.static.dh(self.remote))
        time_ = state.encrypt(stamp or timestamp())
        message = struct.pack("<II", INITIATION, self.index)
        message += self.ephemeral.public + static + time_
        return add_macs(message, self.remote, cookie)

    def finish(self, response):
        """The session a response opens, or None."""
        kind, sender, receiver = struct.unpack_from("<III", response)
        if len(response) != RESPONSE_LEN or kind != RESPONSE or receiver != self.index:
            return None
        if mac(hash_(LABEL_MAC1, self.static.public), response[:60]) != response[60:76]:
            return None
        state, ephemeral = self.state, response[12:44]
        state.mix_key(ephemeral)
        state.mix_hash(ephemeral)
        state.mix_dh(self.ephemeral.dh(ephemeral))
        state.mix_dh(self.static.dh(ephemeral))
        state.mix_psk(self.psk)
        if state.decrypt(response[44:60]) is None:
            return None
        send, receive = kdf(2, state.ck, b"")
        return Session(send, receive, self.index, sender)


class Responder:
    """One handshake begun by the other side."""

    def __init__(self, static, remote_public, psk=NO_PSK):
        self.static, self.remote, self.psk = static, remote_public, psk
        self.stamp = None

    def read(self, initiation):
        """Is it a good initiation, from the one we expect?"""
        kind, self.sender = struct.unpack_from("<II", initiation)
        if len(initiation) != INITIATION_LEN or kind != INITIATION:
            return False
        if mac(hash_(LABEL_MAC1, self.static.public), initiation[:116]) != initiation[116:132]:
            return False
        self.mac1, self.mac2, self.message = initiation[116:132], initiation[132:], initiation
        state = self.state = Symmetric(self.static.public)
        self.their_ephemeral = initiation[8:40]
        state.mix_key(self.their_ephemeral)
        state.mix_hash(self.their_ephemeral)
        state.mix_dh(self.static.dh(self.their_ephemeral))
        if state.decrypt(initiation[40:88]) != self.remote:
            return False
        state.mix_dh(self.static.dh(self.remote))
        self.stamp = state.decrypt(initiation[88:116])
        return self.stamp is not None

    def response(self, ephemeral=None, psk=None, receiver=None):
        """A response, and the session that follows from it."""
        state = Symmetric.__new__(Symmetric)
        state.ck, state.h = self.state.ck, self.state.h
        ephemeral = ephemeral or Key()
        index = struct.unpack("<I", os.urandom(4))[0]
        state.mix_key(ephemeral.public)
        state.mix_hash(ephemeral.public)
        state.mix_dh(ephemeral.dh(self.their_ephemeral))
        state.mix_dh(ephemeral.dh(self.remote))
        state.mix_psk(self.psk if psk is None else psk)
        message = struct.pack(
            "<III", RESPONSE, index, self.sender if receiver is None else receiver
        )
        message += ephemeral.public + state.encrypt(b"")
        receive, send = kdf(2, state.ck, b"")
        return add_macs(message, self.remote), Session(send, receive, index, self.sender)

    def cookie_reply(self, cookie, receiver=None, mac1=None, nonce24=None):
        """What a responder under load would say to the initiation that was read."""
        nonce24 = nonce24 or os.urandom(24)
        key = hash_(LABEL_COOKIE, self.static.public)
        message = struct.pack("<II", COOKIE_REPLY, self.sender if receiver is None else receiver)
        return message + nonce24 + xseal(key, nonce24, cookie, mac1 or self.mac1)


class Session:
    """Two keys, two indices and a counter."""

    def __init__(self, send, receive, index, remote_index):
        self.send_key, self.receive_key = send, receive
        self.index, self.remote_index, self.counter = index, remote_index, 0

    def data(self, plain=b"", counter=None):
        """A data message. The plaintext is sealed as it is: padding is the caller's."""
        if counter is None:
            counter = self.counter
            self.counter += 1
        header = struct.pack("<IIQ", DATA, self.remote_index, counter)
        return header + seal(self.send_key, counter, plain)

    def open(self, message):
        """(counter, plaintext) of a data message that is for us, else None."""
        if len(message) < DATA_OVERHEAD:
            return None
        kind, index, counter = struct.unpack_from("<IIQ", message)
        if kind != DATA or index != self.index:
            return None
        plain = open_(self.receive_key, counter, message[16:])
        return None if plain is None else (counter, plain)


def checksum(data):
    """The internet checksum."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1]))
    if len(data) & 1:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source, destination, payload, protocol=17, tos=0, ttl=64, options=b"", **lies):
    """An IPv4 packet; `total`, `ihl`, `version`, `check`, `fragment` may lie."""
    ihl = lies.get("ihl", 5 + len(options) // 4)
    total = lies.get("total", 20 + len(options) + len(payload))
    header = (
        struct.pack(
            "!BBHHHBBH4s4s",
            lies.get("version", 4) << 4 | ihl,
            tos,
            total,
            lies.get("ident", 1),
            lies.get("fragment", 0),
            ttl,
            protocol,
            0,
            source,
            destination,
        )
        + options
    )
    check = lies.get("check", checksum(header))
    return header[:10] + struct.pack("!H", check) + header[12:] + payload


def ipv6(source, destination, payload, protocol=17, tclass=0, **lies):
    """An IPv6 packet; `length` and `version` may lie."""
    first = lies.get("version", 6) << 28 | tclass << 20
    length = lies.get("length", len(payload))
    return struct.pack("!IHBB16s16s", first, length, protocol, 64, source, destination) + payload


def udp(source, destination, sport, dport, payload, **lies):
    """A UDP datagram between two addresses of either family; `length`, `check` may lie."""
    length = lies.get("length", 8 + len(payload))
    header = struct.pack("!HHHH", sport, dport, length, 0)
    pseudo = source + destination
    pseudo += (
        struct.pack("!BBH", 0, 17, length)
        if len(source) == 4
        else struct.pack("!IHBB", length, 0, 0, 17)
    )
    check = lies.get("check", checksum(pseudo + header + payload) or 0xFFFF)
    return header[:6] + struct.pack("!H", check) + payload


def self_check():
    """Two of ours understand each other; HChaCha20 gives its published answer."""
    wanted = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    key = bytes(range(32))
    assert hchacha20(key, bytes.fromhex("000000090000004a0000000031415927")).hex() == wanted
    ours, theirs, psk = Key(), Key(), os.urandom(32)
    initiator, responder = Initiator(ours, theirs.public, psk), Responder(theirs, ours.public, psk)
    assert responder.read(initiator.initiation())
    message, there = responder.response()
    here = initiator.finish(message)
    assert there.open(here.data(b"x")) == (0, b"x") and here.open(there.data(b"y")) == (0, b"y")


if __name__ == "__main__":
    self_check()
    print("ok - the protocol understands itself")
