// SPDX-License-Identifier: GPL-2.0

//! Both MACs of handshake messages, cookies, and who is let in, against a model of section 5.4.4 and
//! 5.4.7 of the paper.

#![no_main]

use std::sync::{
    Arc,
    OnceLock, //
};

use blake2::{
    digest::{
        consts::U16,
        Digest,
        FixedOutput,
        KeyInit,
        Update, //
    },
    Blake2s256,
    Blake2sMac, //
};
use chacha20poly1305::{
    aead::{
        Aead,
        Payload, //
    },
    XChaCha20Poly1305, //
};
use wg_fuzz::{
    fuzz_target,
    Bytes, //
};
use wg_proto::{
    admission::{
        admit,
        may_wait,
        Admission,
        Host, //
    },
    cookie::{
        Checker,
        Maker,
        Refusal,
        Source, //
    },
    identity::Identity,
    wire::{
        CookieReply,
        Index,
        Kind, //
    }, //
};
use wg_selftests::{
    identity,
    suite::RustCrypto,
    vectors, //
};

const SECOND: u64 = 1_000_000_000;

/// MAC(key, input) of the paper.
fn mac(key: &[u8], input: &[u8]) -> [u8; 16] {
    let mut state = <Blake2sMac<U16> as KeyInit>::new_from_slice(key).unwrap();

    state.update(input);
    state.finalize_fixed().into()
}

/// HASH(label || public) of the paper.
fn key(label: &[u8; 8], public: &[u8; 32]) -> [u8; 32] {
    Blake2s256::digest([&label[..], public].concat()).into()
}

/// Splits a handshake message before its MACs.
fn split(message: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let end = message.len().checked_sub(32)?;

    Some((
        &message[..end],
        &message[end..end + 16],
        &message[end + 16..],
    ))
}

/// The receiver, and where messages come from.
struct Receiver {
    identity: Arc<Identity>,
    checker: Checker,
    /// The secret of cookies, and when it was drawn.
    secret: Option<([u8; 32], u64)>,
}

impl Receiver {
    fn refresh(&mut self, secret: [u8; 32], now: u64) {
        let is_due = |(_, born): &([u8; 32], u64)| now.wrapping_sub(*born) >= 120 * SECOND;
        let mut filled = false;
        let fill = |to: &mut [u8; 32]| {
            *to = secret;
            filled = true;
        };

        self.checker.refresh(fill, now);
        assert_eq!(filled, self.secret.as_ref().is_none_or(is_due));
        if filled {
            self.secret = Some((secret, now));
        }
    }
}

/// What [`admit`] is told, and what it has asked.
struct Door<'a> {
    receiver: &'a Receiver,
    loaded: bool,
    allowed: bool,
    nonce: [u8; 24],
    asked: bool,
}

impl Host for Door<'_> {
    fn is_under_load(&mut self) -> bool {
        self.loaded
    }

    fn copy_checker(&mut self, copy: &mut Checker) {
        copy.copy_from(&self.receiver.checker);
    }

    fn allows(&mut self) -> bool {
        self.asked = true;
        self.allowed
    }

    fn fill(&mut self, nonce: &mut [u8; 24]) {
        *nonce = self.nonce;
    }
}

/// The sender of handshake messages.
struct Sender {
    maker: Maker,
    /// The first MAC that is not answered yet.
    unanswered: Option<Vec<u8>>,
    /// The cookie, and when it came.
    cookie: Option<(Vec<u8>, u64)>,
}

impl Sender {
    fn add_macs(&mut self, message: &mut [u8], public: &[u8; 32], now: u64) {
        let before = message.to_vec();

        self.maker.add_macs::<RustCrypto>(message, now);
        let Some((body, _, _)) = split(&before) else {
            assert_eq!(message, before);
            return;
        };
        let mac1 = mac(&key(b"mac1----", public), body);
        let covered = [body, &mac1].concat();
        let mac2 = match &self.cookie {
            // A cookie that its maker may have forgotten when it arrives is of no use.
            Some((cookie, born)) if now.wrapping_sub(*born) < 115 * SECOND => mac(cookie, &covered),
            _ => [0; 16],
        };
        assert_eq!(message, [&covered[..], &mac2].concat());
        self.unanswered = Some(mac1.to_vec());
    }

    fn consume(&mut self, reply: &CookieReply, public: &[u8; 32], now: u64) {
        let cipher = XChaCha20Poly1305::new(&key(b"cookie--", public).into());
        let got = self.maker.consume_reply::<RustCrypto>(reply, now);

        let Some(mac1) = &self.unanswered else {
            assert_eq!(got, Err(Refusal::NotAsked));
            return;
        };
        let payload = Payload {
            msg: &reply.encrypted_cookie,
            aad: mac1,
        };
        match cipher.decrypt(&reply.nonce.into(), payload) {
            Err(_) => assert_eq!(got, Err(Refusal::Invalid)),
            Ok(cookie) => {
                assert_eq!(got, Ok(()));
                self.cookie = Some((cookie, now));
                self.unanswered = None;
            }
        }
    }
}

/// Returns an address and port, as the receiver sees them and as the model does.
fn source(how: u8) -> (Source, Vec<u8>) {
    let port = 0x1200 + u16::from(how >> 6);
    let last = how >> 4 & 3;

    if how & 1 == 0 {
        let addr = [192, 0, 2, last];
        let plain = [&addr[..], &port.to_be_bytes()].concat();
        (Source::v4(&addr, port), plain)
    } else {
        let mut addr = [0; 16];
        addr[..4].copy_from_slice(&[192, 0, 2, last]);
        let plain = [&addr[..], &port.to_be_bytes()].concat();
        (Source::v6(&addr, port), plain)
    }
}

/// Asserts who is let in, and returns the reply to somebody who is not.
fn check_admission(
    receiver: &Receiver,
    message: &[u8],
    place: u8,
    bytes: &mut Bytes<'_>,
) -> Option<CookieReply> {
    let public = receiver.identity.public();
    let right =
        split(message).is_some_and(|(body, mac1, _)| mac(&key(b"mac1----", public), body) == mac1);
    let own = Some(receiver.identity.first_mac());
    for kind in [Kind::Initiation, Kind::Response] {
        let got = may_wait::<RustCrypto>(kind, message, own, |_| unreachable!());
        assert_eq!(got, right);
        assert!(!may_wait::<RustCrypto>(kind, message, None, |_| true));
    }

    let (source, plain) = source(place);
    let how = bytes.u8();
    let sender = Index(bytes.u8().into());
    let mut door = Door {
        receiver,
        loaded: how & 3 != 3,
        allowed: how & 4 == 0,
        nonce: [bytes.u8(); 24],
        asked: false,
    };
    let got = admit::<RustCrypto>(&receiver.identity, message, sender, &source, &mut door);

    if !door.loaded {
        assert_eq!(got, Admission::Process);
        return None;
    }
    let (Some((secret, _)), Some((body, mac1, mac2))) = (receiver.secret, split(message)) else {
        assert_eq!(got, Admission::Refuse);
        return None;
    };
    let cookie = mac(&secret, &plain);
    if mac(&cookie, &[body, mac1].concat()) == mac2 {
        let expected = match door.allowed {
            true => Admission::Process,
            false => Admission::Refuse,
        };
        assert_eq!(got, expected);
        return None;
    }

    // Only who has shown a cookie counts against the limit of its address.
    assert!(!door.asked);
    let Admission::Challenge(reply) = got else {
        panic!("{got:?}");
    };
    let cipher = XChaCha20Poly1305::new(&key(b"cookie--", public).into());
    let payload = Payload {
        msg: &cookie,
        aad: mac1,
    };
    let sealed = cipher.encrypt(&door.nonce.into(), payload).unwrap();
    assert_eq!((reply.receiver, reply.nonce), (sender, door.nonce));
    assert_eq!(reply.encrypted_cookie[..], sealed);
    // It is only for who is waiting for one.
    for known in [false, true] {
        let bytes = reply.to_bytes();
        let is_known = |index| known && index == sender;
        let got = may_wait::<RustCrypto>(Kind::CookieReply, &bytes, None, is_known);
        assert_eq!(got, known);
    }
    Some(reply)
}

fn receiver() -> Arc<Identity> {
    static IDENTITY: OnceLock<Arc<Identity>> = OnceLock::new();

    IDENTITY
        .get_or_init(|| identity::<RustCrypto>(&vectors::RESPONDER).unwrap())
        .clone()
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes::new(data);
    let identity = receiver();
    let public = *identity.public();
    let mut receiver = Receiver {
        identity,
        checker: Checker::new(),
        secret: None,
    };
    let mut sender = Sender {
        maker: Maker::new::<RustCrypto>(&public),
        unanswered: None,
        cookie: None,
    };
    let mut now = bytes.number();
    let mut message = vec![0; 148];
    let mut reply = None;
    let mut place = 0;

    for _ in 0..48 {
        if bytes.is_empty() {
            break;
        }
        match bytes.u8() % 13 {
            0 => now = now.wrapping_add(u64::from(bytes.u8()) * SECOND),
            1 => now = now.wrapping_add(bytes.u32().into()),
            2..=3 => {
                message = vec![bytes.u8(); bytes.choose(&[148, 92, 148, 92, 31, 32, 33, 0])];
                sender.add_macs(&mut message, &public, now);
            }
            4 if !message.is_empty() => {
                // Half of the time in one of the MACs.
                let within = if bytes.flag() {
                    message.len()
                } else {
                    message.len().min(32)
                };
                let at = message.len() - 1 - bytes.below(within);
                message[at] ^= 1 << (bytes.u8() & 7);
            }
            5..=6 => {
                let got = check_admission(&receiver, &message, place, &mut bytes);
                reply = got.or(reply);
            }
            7 => {
                if let Some(mut reply) = reply.clone() {
                    let damage = bytes.u8();
                    match damage >> 6 {
                        3 => reply.nonce[usize::from(damage % 24)] ^= 1,
                        2 => reply.encrypted_cookie[usize::from(damage % 32)] ^= 1,
                        _ => {}
                    }
                    sender.consume(&reply, &public, now);
                }
            }
            8 => receiver.refresh([bytes.u8(); 32], now),
            9 => place = bytes.u8(),
            // All of it, after which messages have a good second MAC.
            11 => {
                receiver.refresh([7; 32], now);
                for _ in 0..2 {
                    message = vec![bytes.u8(); 148];
                    sender.add_macs(&mut message, &public, now);
                    let got = check_admission(&receiver, &message, place, &mut Bytes::new(&[]));
                    if let Some(reply) = got {
                        sender.consume(&reply, &public, now);
                    }
                }
            }
            10 if bytes.flag() => {
                receiver.checker.forget();
                receiver.secret = None;
            }
            _ => {
                sender.maker.forget();
                sender.cookie = None;
            }
        }
    }
});
