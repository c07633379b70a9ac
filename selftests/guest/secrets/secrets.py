#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The end of the test of secrets that is outside of the guest: a peer, and who reads its memory.

What both sides of a handshake know is known here by name. Ephemeral private keys of the guest are
not, but while a handshake of the guest's waits for its answer, one lies next to the chaining key,
where it is recognised by its public key.

A secret counts as found if either half of it is.

Keys that a program has given to the kernel are looked for where those that it leaves in memory can be
told from the kernel's: the driver keeps private keys in another form than they are given, and preshared
keys are given by secrets_request.py, which leaves none. A preshared key stays when the interface goes
down, another private key is set or the machine is suspended; it goes with its peer, or when there is
another.
"""

import base64
import errno
import os
import sys
import time

import wgnl
from noise import NO_PSK, Initiator, Key, Responder
from secrets_peer import WIREGUARD_PORT, Agent, Link, Memory, Recorder
from wgnl import attr, peers

# Lengths of texts that are decrypted where they are, and of longer ones.
REFUSED = (80, 160, 272, 1392)
# How many of each come at once, too, and a counter that is that far beyond theirs.
TOGETHER, BEYOND = 8, 1 << 20
# How often many come at once that are looked for at once.
TRIES = 4
# How long what is to be freed may take: grace periods, a few of them.
PATIENCE = 20
WG0 = wgnl.text(wgnl.Device.IFNAME, "wg0")


def clamped(private):
    return bytes([private[0] & 248]) + private[1:31] + bytes([private[31] & 127 | 64])


class Test:
    def __init__(self, link, memory, signals):
        self.link, self.memory, self.signals = link, memory, signals
        self.recorder = Recorder()
        self.agent = Agent(link)
        self.long = self.agent.form == "long"
        self.ours = Key()
        self.identify()
        self.counts = []
        self.last = None
        self.psk = NO_PSK

    # What the guest is told to do.

    def identify(self):
        """Another identity of the guest's, whose private key is not as the driver keeps it."""
        private = os.urandom(32)
        private = bytes([private[0] | 7]) + private[1:31] + bytes([private[31] | 0x80])
        self.theirs = Key(private)
        self.identity = {
            "static": clamped(private),
            "static-static": self.ours.dh(self.theirs.public),
        }

    def base64(self, key):
        return base64.b64encode(key).decode()

    def set_key(self):
        self.agent.run(f"wg set wg0 private-key <(echo {self.base64(self.theirs.private)})")

    def set_peer(self, psk, more=b""):
        """Gives the peer another preshared key, which may be none."""
        self.psk = psk
        peer = attr(wgnl.Peer.PUBLIC_KEY, self.ours.public) + attr(wgnl.Peer.PRESHARED_KEY, psk)
        error = self.agent.set(WG0 + peers(peer + more), psk)
        if error:
            raise RuntimeError(f"the peer is refused: {errno.errorcode[error]}")

    def add_peer(self):
        endpoint = wgnl.endpoint4("10.9.0.2", WIREGUARD_PORT)
        allowed = wgnl.allowed_ips(wgnl.prefix("192.168.77.2/32"))
        self.set_peer(os.urandom(32), attr(wgnl.Peer.ENDPOINT, endpoint) + allowed)

    def create(self):
        self.agent.run(
            "ip link add wg0 type wireguard && ip addr add 192.168.77.1/24 dev wg0 &&"
            " wg set wg0 listen-port 51821"
        )
        self.set_key()
        self.add_peer()
        self.agent.run("ip link set wg0 up")

    # Handshakes

    def begin(self):
        """Has the guest begin a handshake, with no session left that it could use."""
        self.agent.run("ip link set wg0 down; ip link set wg0 up")
        self.link.wireguard.clear()
        self.recorder.start()
        self.agent.run("echo -n x > /dev/udp/192.168.77.2/9")
        responder = Responder(self.ours, self.theirs.public, self.psk)
        message = self.link.receive(WIREGUARD_PORT)
        if message is None or not responder.read(message):
            raise RuntimeError(f"not an initiation: {message and message.hex()}")
        secrets = self.recorder.take(self.identity["static-static"])
        ephemeral = self.memory.ephemeral(responder.state.ck, message[8:40])
        if ephemeral:
            secrets["ephemeral"] = clamped(ephemeral)
        return responder, secrets

    def as_initiator(self):
        """The secrets of a session that the guest has begun."""
        responder, secrets = self.begin()
        message, session = responder.response()
        secrets |= self.recorder.take(self.identity["static-static"])
        self.link.send(WIREGUARD_PORT, message, 51821)
        message = self.link.receive(WIREGUARD_PORT)
        if message is None or session.open(message) is None:
            raise RuntimeError("the guest does not use the session")
        return self.named(session, secrets)

    def as_responder(self):
        """The secrets of a session that we have begun."""
        self.link.wireguard.clear()
        self.recorder.start()
        initiator = Initiator(self.ours, self.theirs.public, self.psk)
        self.link.send(WIREGUARD_PORT, initiator.initiation(), 51821)
        message = self.link.receive(WIREGUARD_PORT)
        session = message and initiator.finish(message)
        if not session:
            raise RuntimeError("the guest does not answer")
        secrets = self.recorder.take(self.identity["static-static"])
        # The guest uses it only then.
        self.link.send(WIREGUARD_PORT, session.data(), 51821)
        return self.named(session, secrets)

    def named(self, session, secrets):
        self.last = session
        keys = {"sending": session.receive_key, "receiving": session.send_key}
        others = {k: v for k, v in secrets.items() if v not in keys.values()}
        return keys, others

    # What is found

    def note(self, moment, counts):
        found = {name: count for name, count in counts.items() if count}
        self.agent.note(f"{moment}: {found or 'nothing'}")

    def live(self, what, secrets, places=1):
        """All of these are there, each where it is kept and nowhere else: looking works."""
        until = time.monotonic() + PATIENCE
        wanted = {name: places for name in secrets}
        while (counts := self.memory.count(secrets)) != wanted and time.monotonic() < until:
            time.sleep(1)
        self.note(what, counts)
        self.agent.ok(f"HS-10 {what}: found", all(counts.values()), str(counts))
        where = "in one place only" if places == 1 else f"in {places} places only"
        self.agent.ok(f"HS-10 {what}: {where}", max(counts.values()) <= places, str(counts))

    def gone(self, moment, secrets):
        """All of these are gone, by and by."""
        if not secrets:
            raise RuntimeError(f"{moment}: there is nothing to look for")
        until = time.monotonic() + PATIENCE
        while any((counts := self.memory.count(secrets)).values()):
            if time.monotonic() >= until:
                break
            time.sleep(1)
        self.note(moment, counts)
        self.agent.ok(
            f"HS-10 {moment}: {len(secrets)} secrets are gone",
            not any(counts.values()),
            str({name: count for name, count in counts.items() if count}),
        )

    def stays(self, moment):
        """The preshared key is not what that ends."""
        self.live(f"{moment}: the preshared key, which stays", self.preshared(), self.places())

    def preshared(self):
        return {"preshared": self.psk}

    def places(self):
        """Where a preshared key is kept: our driver has a copy for handshakes, from the first on."""
        return 1 if self.agent.driver == "c" else 2

    def session(self, role):
        """A session of ours in one of the roles of the guest, which is seen to be there."""
        keys, others = self.as_initiator() if role == "initiator" else self.as_responder()
        self.live(f"the keys of a session, as {role}", keys)
        return keys | others, others

    # The moments

    def replaced(self, role):
        secrets, others = self.session(role)
        self.gone(f"what led to a session, as {role}", others)
        for _ in range(2):
            newer, _ = self.as_responder()
            # So that it is in use before the next.
            time.sleep(0.5)
        self.gone(f"two newer sessions, as {role}", secrets)
        self.live("the keys of the newest session", newer)

    def down(self, role):
        secrets, _ = self.session(role)
        self.agent.run("ip link set wg0 down")
        self.gone(f"interface down, as {role}", secrets)
        self.stays(f"interface down, as {role}")
        self.agent.run("ip link set wg0 up")

    def half_open(self):
        _, secrets = self.begin()
        self.agent.ok("HS-10 the ephemeral key is next to the chaining key", "ephemeral" in secrets)
        # What a handshake that waits has to have.
        waits = {name: secrets[name] for name in ("ephemeral",) if name in secrets}
        self.live("the ephemeral key of a handshake that waits", waits)
        self.agent.run("ip link set wg0 down")
        self.gone("interface down in a handshake", secrets)
        self.agent.run("ip link set wg0 up")

    def rekeyed(self, role):
        _, others = self.session(role)
        _, waits = self.begin()
        old = self.kept()
        self.live("the static keys", old)
        self.identify()
        self.set_key()
        self.gone(f"private key changed, as {role}", others | waits | old)
        self.stays(f"private key changed, as {role}")

    def shared(self, role):
        """The peer gets another preshared key, while a handshake waits; and then none."""
        self.begin()
        for moment, psk in (("replaced", os.urandom(32)), ("removed", NO_PSK)):
            old = self.preshared()
            self.live("a preshared key", old, self.places())
            self.set_peer(psk)
            self.gone(f"preshared key {moment}, as {role}", old)
        self.set_peer(os.urandom(32))
        # It is the one that is used.
        self.session(role)

    def requests(self):
        """Preshared keys in requests of which nothing comes.

        The in-tree driver wipes the last key of each peer that it gets to.
        """
        public = attr(wgnl.Peer.PUBLIC_KEY, self.ours.public)
        first, second = os.urandom(32), os.urandom(32)
        keys = b"".join(attr(wgnl.Peer.PRESHARED_KEY, key) for key in (first, second))
        absent = wgnl.text(wgnl.Device.IFNAME, "absent") + peers(public + keys)
        other = attr(wgnl.Peer.PUBLIC_KEY, Key().public)
        update = wgnl.u32(wgnl.Peer.FLAGS, wgnl.Peer.F_UPDATE_ONLY)
        unknown = WG0 + peers(other + update + keys)
        malformed = WG0 + peers(public + keys) + wgnl.u32(wgnl.Device.LISTEN_PORT, 1)
        for moment, request, wanted in (
            ("of no such device", absent, errno.ENODEV),
            ("of no such peer", unknown, 0),
            ("that the kernel refuses", malformed, errno.EINVAL),
        ):
            error = self.agent.set(request, first, second)
            self.agent.ok(f"HS-10 a request {moment}", error == wanted, error)
            left = {"first": first, "second": second}
            moment = f"keys in a request {moment}"
            # The driver does not get the last one.
            if self.agent.driver == "c" or request is malformed:
                self.note(moment, self.memory.count(left))
            else:
                self.gone(moment, left)
        self.agent.order(get="wg0")
        # These are in netlink's buffers now, which are not the driver's any more.
        self.note("keys that were asked for", self.memory.count(self.kept() | self.preshared()))
        self.set_peer(os.urandom(32))
        self.identify()
        self.set_key()

    def kept(self):
        """What lives as long as the peer or the device.

        The in-tree driver computes one of the two in the process that adds the peer, and what that
        leaves on its stack is there for some time.
        """
        kept = dict(self.identity)
        if self.agent.driver == "c":
            del kept["static-static"]
        return kept

    def removed(self, role):
        secrets, _ = self.session(role)
        old = {name: secret for name, secret in self.kept().items() if name != "static"}
        self.agent.run(f"wg set wg0 peer {self.base64(self.ours.public)} remove")
        self.gone(f"peer removed, as {role}", secrets | old | self.preshared())
        self.add_peer()

    def deleted(self, role):
        secrets, _ = self.session(role)
        self.agent.run("ip link del wg0")
        self.gone(f"device deleted, as {role}", secrets | self.kept() | self.preshared())
        self.identify()
        self.create()

    def unloaded(self, role):
        secrets, _ = self.session(role)
        self.agent.run("ip link del wg0; rmmod wireguard")
        self.gone(f"module unloaded, as {role}", secrets | self.kept() | self.preshared())
        self.agent.run("modprobe wireguard")
        self.identify()
        self.create()

    def suspended(self, role):
        secrets, _ = self.session(role)
        self.agent.order(open="/dev/snapshot")
        # The in-tree driver keeps what can be computed again.
        again = () if self.agent.driver == "c" else ("static-static",)
        secrets |= {name: self.identity[name] for name in again}
        self.gone(f"about to be suspended, as {role}", secrets)
        self.stays(f"about to be suspended, as {role}")
        self.agent.order(close="/dev/snapshot")

    def send_at_once(self, messages):
        """All have arrived when the guest looks, so that it decrypts them together."""
        os.write(self.signals, b"STOP\n")
        try:
            time.sleep(0.3)
            for message in messages:
                self.link.send(WIREGUARD_PORT, message, 51821)
        finally:
            os.write(self.signals, b"CONT\n")

    def refused(self):
        """What would have had messages accepted that were refused, and what they say."""
        self.session("responder")
        tags, texts = {}, {}
        # What is behind this is authentic, and too old.
        self.link.send(WIREGUARD_PORT, self.last.data(counter=BEYOND), 51821)
        time.sleep(0.5)
        for size in REFUSED:
            for count in (1, TOGETHER):
                for kind in ("forged", "old"):
                    text, ends = self.send_to_refuse(kind, size, count)
                    texts[f"{kind}, {count} of {size}"] = text
                    tags.update({f"tag {n} of {count} of {size}": tag for n, tag in enumerate(ends)})
        time.sleep(0.5)
        self.gone("messages were refused", tags)
        self.text_gone("the text of messages that were refused", texts)
        texts, counts = {}, {}
        for n in range(TRIES):
            for kind in ("forged", "old"):
                name = f"{kind} {n}"
                texts[name], _ = self.send_to_refuse(kind, REFUSED[-1], TOGETHER)
                # What is left in pages does not stay for long, nor does a busy guest look at once.
                counts[name] = max(self.memory.count({name: texts[name]})[name] for _ in range(3))
        self.text_gone("the text of messages that were refused together", texts, counts)

    def send_to_refuse(self, kind, size, count):
        """Messages that are refused; returns their text, and the ends of those that are forged."""
        # A text of its own, which is all that they say but for the end: of that, the kernel's ChaCha
        # leaves up to 31 bytes on its stack, with either driver.
        text = os.urandom(32)
        plain = (text * size)[: size - 32] + os.urandom(32)
        messages = [self.last.data(plain) for _ in range(count)]
        tags = []
        if kind == "forged":
            tags = [message[-16:] for message in messages]
            messages = [m[:-1] + bytes([m[-1] ^ 0x55]) for m in messages]
        self.send_at_once(messages)
        time.sleep(0.2)
        return text, tags

    def text_gone(self, moment, texts, counts=None):
        """The in-tree driver frees it as it is, where it is found: looking works."""
        if self.agent.driver == "c":
            counts = counts or self.memory.count(texts)
            self.note(moment, counts)
            self.agent.ok(f"{moment}: found", any(counts.values()))
        elif counts:
            self.note(moment, counts)
            self.agent.ok(f"HS-10 {moment}: {len(texts)} texts are gone", not any(counts.values()))
        else:
            self.gone(moment, texts)

    def hog(self):
        """Has a task take one of the guest's CPUs, for good; returns what ends it.

        Not the one that has the interrupt of the guest's file system, as nothing can be read then.
        """
        pid = self.agent.run(
            ". $LIB/hog.sh; hog_rules;"
            " for file in /proc/irq/*/virtio*requests*; do"
            " busy=$(< ${file%/*}/effective_affinity_list); done;"
            " hog $((busy == 0)); echo $hogs"
        )
        return lambda: self.agent.run(f"kill {int(pid)}")

    def hogged(self, role):
        """Packets are to be encrypted by a CPU that does not get to it."""
        ours = self.agent.driver == "rust"
        parameters = "parallel=2" if ours else ""
        self.agent.run(f"ip link del wg0; rmmod wireguard; modprobe wireguard {parameters}")
        self.create()
        burst = "for _ in {1..20}; do echo -n x > /dev/udp/192.168.77.2/9; done"
        secrets, _ = self.session(role)
        end = self.hog()
        self.agent.run(burst)
        self.agent.run("ip link set wg0 down")
        moment = f"interface down with one CPU hogged, as {role}"
        if ours:
            self.gone(moment, secrets)
        else:
            # What waits for the CPU keeps the keys of the in-tree driver.
            self.note(moment, self.memory.count(secrets))
        end()
        self.agent.run("ip link set wg0 up")
        # Nor does the in-tree driver remove a peer then.
        if ours:
            secrets, _ = self.session(role)
            old = {name: secret for name, secret in self.kept().items() if name != "static"}
            end = self.hog()
            self.agent.run(burst)
            self.agent.run(f"wg set wg0 peer {self.base64(self.ours.public)} remove")
            old |= self.preshared()
            self.gone(f"peer removed with one CPU hogged, as {role}", secrets | old)
            self.agent.run("ip link del wg0")
            self.gone(f"device deleted with one CPU hogged, as {role}", self.kept())
            # To unload any module of a kind of devices would take that CPU.
            end()
        self.agent.run("ip link del wg0; rmmod wireguard; modprobe wireguard")
        self.identify()
        self.create()

    def silence(self):
        """Both sessions are in use, and then neither."""
        first, _ = self.session("initiator")
        second, _ = self.session("responder")
        self.agent.note("nine minutes of silence")
        for _ in range(56):
            # The other end is to know that this one is there.
            time.sleep(10)
            self.agent.run(":")
        self.gone("nine minutes later, as initiator", first)
        self.gone("nine minutes later, as responder", second)

    def run(self):
        self.create()
        roles = ("initiator", "responder")
        if self.long:
            for _ in range(3):
                for role in roles:
                    self.replaced(role)
                    self.down(role)
                    self.half_open()
                    self.refused()
                    self.suspended(role)
                    self.rekeyed(role)
                    self.shared(role)
                    self.requests()
                    self.removed(role)
                    self.deleted(role)
                    self.unloaded(role)
            for role in roles:
                self.hogged(role)
            self.silence()
        else:
            self.replaced("initiator")
            self.down("responder")
            self.half_open()
            self.refused()
            self.suspended("initiator")
            self.rekeyed("responder")
            self.shared("initiator")
            self.requests()
            self.removed("initiator")
            self.unloaded("initiator")
            # Their first handshake.
            self.unloaded("responder")
            self.hogged("initiator")


def main():
    link, memory, signals = map(int, sys.argv[1:])
    test = Test(Link(link), Memory(memory), signals)
    try:
        test.run()
    except Exception as error:  # pylint: disable=broad-except
        test.agent.ok("the peer can go on", False, repr(error))
        raise
    finally:
        test.agent.order(end=True)


main()
