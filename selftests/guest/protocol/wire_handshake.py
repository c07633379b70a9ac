# SPDX-License-Identifier: GPL-2.0
"""Handshakes with the device in either role, good ones and bad ones."""

import os
import socket
import struct
import threading
import time

import noise
import tap
from lab import INNER4, Hostile
from wgnl import Peer, attr, u16, u32
from wire_base import PLAIN4, RECORDED, Base


class Handshake(Base):
    """Table B: from somebody who knows a public key."""

    def responder(self):
        self.responds()
        self.refuses()
        self.refuses_others()
        tap.note("initiations in a hurry")
        self.hurry()
        self.twins()
        self.peer.handshake(self.first)
        self.lab.settle()

    def responds(self):
        tap.note("the device as responder")
        lab, peer = self.lab, self.peer
        lab.settle()
        initiator = peer.initiator()
        got = {}

        def begin():
            self.first.send(initiator.initiation())
            got["response"], got["tos"] = self.first.receive(), self.first.tos

        self.expect(
            "HSK-7 HS-1 RX-21 CNT-1 a good initiation is answered with 92 bytes",
            begin,
            rx_packets=1,
            rx_bytes=148,
            P__rx=148,
            tx_packets=1,
            tx_bytes=92,
            P__tx=92,
            P__endpoint=self.first.endpoint,
        )
        tap.equal("HSK-7 TX-14 with DSCP AF41", got["tos"], 0x88)
        response = got["response"]
        session = initiator.finish(response)
        tap.ok("HS-1 the response opens a session", session)
        tap.equal("HSK-7 without a cookie", response[76:], bytes(16))
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind((INNER4, 0))
        self.expect(
            "HS-6 the responder does not send before it has heard",
            lambda: sender.sendto(b"staged", (PLAIN4, 7001)),
        )
        peer.session = session

        def confirm():
            self.first.send(session.data())
            got["data"], got["tos"] = self.first.receive(), self.first.tos

        self.expect(
            "HS-6 RX-10 TM-11 but then it does",
            confirm,
            rx_packets=1,
            rx_bytes=32,
            P__rx=32,
            P__handshake=True,
            tx_packets=1,
            tx_bytes=80,
            P__tx=80,
        )
        counter, plain = session.open(got["data"])
        tap.equal("TX-11 the first counter is 0", counter, 0)
        tap.equal("TX-14 data has TOS 0", got["tos"], 0)
        tap.equal("HS-1 the inner packet came through", plain[20 + 8 : 34], b"staged")
        tap.equal("TX-12 it is padded with zeros", plain[34:], bytes(14))
        self.receive_ok("HS-1 an IPv4 packet arrives", self.packet4())
        self.receive_ok("HS-1 an IPv6 packet arrives", self.packet6(), inner=self.inner6)
        self.expect(
            "HSK-14 CK-3 a random mac2 is ignored while there is no load",
            lambda: self.answered(peer.initiator().initiation(cookie=b"x" * 16)),
            rx_packets=1,
            rx_bytes=148,
            P__rx=148,
            tx_packets=1,
            tx_bytes=92,
            P__tx=92,
        )
        self.receive_ok("HS-6 the session goes on while a new one is not confirmed", self.packet4())

    def refuses(self):
        tap.note("initiations that are refused")
        lab, peer = self.lab, self.peer
        old = noise.timestamp()
        initiation = peer.initiator().initiation(stamp=old)
        self.expect(
            "HSK-7 one that is accepted",
            lambda: self.answered(initiation),
            rx_packets=1,
            rx_bytes=148,
            P__rx=148,
            tx_packets=1,
            tx_bytes=92,
            P__tx=92,
        )
        time.sleep(0.05)
        self.silent("HSK-5 HS-3 the same from elsewhere: silence", initiation, wire=self.second)
        self.silent(
            "HSK-5 HS-3 another with the same timestamp: silence",
            peer.initiator().initiation(stamp=old),
            wire=self.second,
        )
        earlier = old[:8] + struct.pack("!I", max(struct.unpack("!I", old[8:])[0] - 1, 0))
        self.silent(
            "HSK-5 HS-3 one a nanosecond earlier: silence",
            peer.initiator().initiation(stamp=earlier),
            wire=self.second,
        )
        self.silent(
            "HSK-5 HS-3 one of 1970: silence",
            peer.initiator().initiation(stamp=bytes(12)),
            wire=self.second,
        )
        good = peer.initiator().initiation()
        body = bytearray(noise.INITIATION_LEN - 32)
        self.silent("HSK-2 CK-1 a mac1 of zeros: silence", good[:116] + bytes(32))
        wrong = good[:131] + bytes([good[131] ^ 1]) + good[132:]
        self.silent("HSK-2 CK-1 a wrong mac1: silence", wrong)
        self.silent(
            "HSK-2 CK-1 the mac1 of another device: silence",
            noise.add_macs(good[:116], noise.Key().public),
        )
        self.silent(
            "HSK-1 a random body with a good mac1: silence",
            *(
                noise.add_macs(struct.pack("<I", 1) + RECORDED.randbytes(112), lab.public)
                for _ in range(10)
            ),
        )
        for name, place in (
            ("ephemeral", 8),
            ("static", 40),
            ("timestamp", 88),
            ("timestamp's tag", 115),
        ):
            body[:] = good[:116]
            body[place] ^= 1
            self.silent(
                f"HSK-1 a changed {name} with a good mac1: silence",
                noise.add_macs(bytes(body), lab.public),
            )

    def refuses_others(self):
        tap.note("initiations with keys that are not good, and answers to none")
        lab, peer, session = self.lab, self.peer, self.peer.session
        stranger = Hostile(lab, "S", [], configure=False)
        self.silent("HSK-4 an unknown static key: silence", stranger.initiator().initiation())
        for number, point in enumerate(noise.LOW_ORDER):
            self.silent(
                f"HSK-3 HS-5 low-order ephemeral {number}: silence",
                peer.initiator(ephemeral=noise.ForgedKey(point)).initiation(),
            )
        weak = noise.Initiator(noise.ForgedKey(noise.LOW_ORDER[3]), lab.public)
        lab.configure(attr(Peer.PUBLIC_KEY, noise.LOW_ORDER[3]))
        self.silent("HS-5 low-order static key, known as a peer: silence", weak.initiation())
        lab.configure(attr(Peer.PUBLIC_KEY, noise.LOW_ORDER[3]) + u32(Peer.FLAGS, Peer.F_REMOVE_ME))
        wrong = noise.Initiator(peer.key, noise.Key().public)
        message = wrong.initiation()[:116]
        self.silent(
            "HSK-1 for another device, with our mac1: silence", noise.add_macs(message, lab.public)
        )
        self.silent(
            "HSK-9 HS-4 responses that nobody waits for: silence",
            *(
                noise.add_macs(
                    struct.pack("<III", 2, 1, index) + RECORDED.randbytes(48), lab.public
                )
                for index in (0, 1, session.index, session.remote_index)
            ),
        )
        self.silent(
            "HSK-11 RX-21 cookie replies that nobody waits for: silence",
            *(
                struct.pack("<II", 3, index) + RECORDED.randbytes(56)
                for index in (0, session.index, session.remote_index)
            ),
        )
        self.receive_ok("BAD-1 and the session is as good as ever", self.packet4())

    def hurry(self):
        """Two initiations of one peer within 20 ms: the second one is ignored."""
        counts = []
        for _ in range(10):
            time.sleep(0.1)
            pair = [self.peer.initiator().initiation() for _ in range(2)]
            for message in pair:
                self.first.send(message)
            self.first.receive()
            self.lab.probe()
            counts.append(1 + len([m for m in self.first.drain() if len(m) == 92]))
            if counts[-1] == 1:
                break
        tap.ok("HSK-6 HS-3 two within 20 ms: one response", counts[-1] == 1, f"{counts} responses")
        self.lab.settle()

    def twins(self):
        """The same initiation many times at once, from two sockets: one response to each."""
        rounds, responses, indices = 20, 0, set()
        for _ in range(rounds):
            time.sleep(0.05)
            message = self.peer.initiator().initiation()
            barrier = threading.Barrier(2)

            def send(wire):
                barrier.wait()
                for _ in range(5):
                    wire.send(message)

            threads = [threading.Thread(target=send, args=(w,)) for w in (self.first, self.second)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.lab.probe()
            answers = [m for w in (self.first, self.second) for m in w.drain() if len(m) == 92]
            indices.update(struct.unpack_from("<I", m, 4)[0] for m in answers)
            responses += len(answers)
        what = f"HSK-8 {rounds} initiations, ten copies each: as many responses"
        tap.equal(what, responses, rounds)
        spread = len(indices) == rounds and max(indices) - min(indices) > 1 << 28
        tap.ok("HS-9 with as many indices, from all of their range", spread, str(sorted(indices)))
        self.lab.settle()

    STAGED = 32 + 48

    # What an initiation to a peer that is fresh counts.
    BEGUN = {"tx_packets": 1, "tx_bytes": 148, "I__tx": 148}

    def initiator(self):
        self.initiates()
        self.confirms()
        self.takes_cookies()

    def initiates(self):
        tap.note("the device as initiator")
        lab = self.lab
        fresh, wire = self.fresh(psk=os.urandom(32))
        lab.settle()
        responder = self.provoke(fresh, wire)
        tap.equal("TX-14 the initiation has DSCP AF41", wire.tos, 0x88)
        tap.equal("CK-6 it has no cookie", responder.mac2, bytes(16))
        tap.ok(
            "HS-2 its timestamp is of now",
            abs(struct.unpack("!Q", responder.stamp[:8])[0] - (1 << 62) - 10 - time.time()) < 60,
            responder.stamp.hex(),
        )
        tap.equal(
            "HS-2 and rounded to 2^24 ns",
            struct.unpack("!I", responder.stamp[8:])[0] & (1 << 24) - 1,
            0,
        )
        good, session = responder.response()
        wrong_psk, _ = responder.response(psk=os.urandom(32))
        what = "HSK-9 a response with a wrong preshared key: silence"
        self.silent(what, wrong_psk, wire=wire, **self.BEGUN)
        other = struct.unpack("<I", good[8:12])[0] ^ 1
        self.silent(
            "HSK-9 one with an unknown index: silence",
            responder.response(receiver=other)[0],
            wire=wire,
        )
        self.silent("HSK-9 CK-1 one with a wrong mac1: silence", good[:60] + bytes(32), wire=wire)
        tampered = bytearray(good[:60])
        tampered[50] ^= 1
        self.silent(
            "HSK-9 one with a wrong tag: silence",
            noise.add_macs(bytes(tampered), lab.public),
            wire=wire,
        )
        for number in (0, 3, 5):
            self.silent(
                f"HSK-9 HS-5 one with low-order ephemeral {number}: silence",
                responder.response(ephemeral=noise.ForgedKey(noise.LOW_ORDER[number]))[0],
                wire=wire,
            )
        self.silent("HSK-1 its own initiation, back again: silence", responder.message, wire=wire)
        fresh.session = session
        self.finishes(fresh, wire, responder, good)
        fresh.remove()

    def finishes(self, fresh, wire, responder, good):
        got, session = {}, fresh.session

        def finish():
            wire.send(good)
            got["data"] = wire.receive()

        self.expect(
            "HSK-9 HS-4 RX-21 TM-11 a good response still works, and what waited is sent",
            finish,
            rx_packets=1,
            rx_bytes=92,
            I__rx=92,
            tx_packets=1,
            tx_bytes=self.STAGED,
            I__tx=self.STAGED,
            I__handshake=True,
        )
        counter, plain = session.open(got["data"])
        tap.equal("TX-11 its first counter is 0", counter, 0)
        tap.equal("HS-1 it is what was sent", plain[28:34], b"staged")
        self.silent("HSK-10 HS-4 the same response again: silence", good, wire=wire)
        another = responder.response()[0]
        self.silent("HSK-10 HS-4 another response to the same: silence", another, wire=wire)
        self.silent("HSK-10 HS-4 the same from elsewhere: silence", good, wire=self.second)
        self.expect(
            "HSK-10 the session works",
            lambda: wire.send(session.data()),
            rx_packets=1,
            rx_bytes=32,
            I__rx=32,
        )

    def confirms(self):
        tap.note("the device's key confirmation")
        lab = self.lab
        fresh, wire = self.fresh()
        lab.settle()
        lab.configure(attr(Peer.PUBLIC_KEY, fresh.key.public) + u16(Peer.KEEPALIVE, 600))
        responder = self.initiation(fresh, wire)
        good, session = responder.response()
        fresh.session = session
        wire.send(good)
        tap.equal(
            "HS-7 with nothing to send it is a keepalive",
            session.open(wire.receive() or b""),
            (0, b""),
        )
        tap.equal("TX-14 that has TOS 0", wire.tos, 0)
        fresh.remove()

    def takes_cookies(self):
        tap.note("cookies for the device")
        fresh, wire = self.fresh()
        self.lab.settle()
        responder = self.provoke(fresh, wire)
        begun = time.monotonic()
        cookie = os.urandom(16)
        self.silent(
            "HSK-11 a cookie reply with an unknown index: silence",
            responder.cookie_reply(os.urandom(16), receiver=responder.sender ^ 1),
            wire=wire,
            **self.BEGUN,
        )
        reply = responder.cookie_reply(os.urandom(16), mac1=os.urandom(16))
        self.silent("HSK-11 one for another mac1: silence", reply, wire=wire)
        reply = responder.cookie_reply(os.urandom(16))
        changed = reply[:-1] + bytes([reply[-1] ^ 1])
        self.silent("HSK-11 one that was changed: silence", changed, wire=wire)
        self.silent("CK-6 RX-21 a good one: silence", responder.cookie_reply(cookie), wire=wire)
        second = responder.cookie_reply(os.urandom(16))
        self.silent("HSK-11 CK-5 a second one: silence", second, wire=wire)
        self.tries_again(fresh, wire, responder, cookie, begun)
        fresh.remove()
        self.lab.settle()

    def tries_again(self, fresh, wire, responder, cookie, begun):
        """The initiation after the one that was answered with a cookie, and the end of both."""
        again = self.initiation(fresh, wire)
        waited = time.monotonic() - begun
        tap.ok("TM-1 the next initiation comes after 5 s", 4.9 < waited, f"after {waited:.3f} s")
        tap.note(f"after {waited:.3f} s")
        message = again.message
        tap.equal(
            "CK-5 it has the first good cookie's mac2", again.mac2, noise.mac(cookie, message[:132])
        )
        tap.ok("HS-1 its ephemeral is another", responder.their_ephemeral != again.their_ephemeral)
        tap.ok("HS-9 its index is another", responder.sender != again.sender)
        tap.ok("HS-3 its timestamp is later", again.stamp > responder.stamp)
        self.lab.settle()
        self.silent(
            "HS-4 a response to the first initiation: silence",
            responder.response()[0],
            wire=wire,
        )
        good, fresh.session = again.response()
        wire.send(good)
        data = fresh.session.open(wire.receive() or b"")
        tap.ok(
            "HS-4 a response to the second one opens a session",
            data and data[1][28:34] == b"staged",
            str(data),
        )
