// SPDX-License-Identifier: GPL-2.0

//! Whatever comes from the network is refused, and never panics.
//!
//! The same on each run: the numbers are not random but look so.

use std::sync::Arc;

use wg_proto::{
    admission::{
        admit,
        may_wait,
        Host, //
    },
    cookie::{
        Checker,
        Maker,
        Source, //
    },
    handshake::{
        Claim,
        Handshake, //
    },
    identity::Identity,
    secret::Secret,
    tai64n::Timestamp,
    wire::{
        classify,
        padding,
        CookieReply,
        DataHeader,
        Index,
        Initiation,
        Kind,
        Response, //
    }, //
};
use wg_selftests::{
    identity,
    suite::RustCrypto,
    vectors, //
};

/// xorshift64*.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 32).unwrap() % end
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    /// Returns a real message that was damaged, or none at all.
    fn datagram(&mut self) -> Vec<u8> {
        let real: [&[u8]; 4] = [
            &vectors::INITIATION,
            &vectors::RESPONSE,
            &vectors::COOKIE_REPLY,
            &vectors::DATA,
        ];
        let mut bytes = match self.below(8) {
            0 => (0..self.below(200)).map(|_| self.byte()).collect(),
            1 => {
                let mut bytes: Vec<_> = (0..self.below(200)).map(|_| self.byte()).collect();
                let kind = u8::try_from(self.below(6)).unwrap();

                for (to, from) in bytes.iter_mut().zip([kind, 0, 0, 0]) {
                    *to = from;
                }
                bytes
            }
            _ => real[self.below(real.len())].to_vec(),
        };

        match self.below(8) {
            0 => bytes.truncate(self.below(bytes.len() + 1)),
            1 => bytes.extend((0..self.below(40)).map(|_| 0)),
            _ => (),
        }
        for _ in 0..self.below(4) {
            if !bytes.is_empty() {
                let position = self.below(bytes.len());

                bytes[position] ^= 1 << self.below(8);
            }
        }
        bytes
    }
}

/// How often something was accepted.
#[derive(Debug, Default)]
struct Accepted {
    macs: u32,
    claims: u32,
    initiations: u32,
    responses: u32,
    replies: u32,
}

/// One at which a cookie is always wanted.
struct Door(Checker);

impl Host for Door {
    fn is_under_load(&mut self) -> bool {
        true
    }

    fn copy_checker(&mut self, copy: &mut Checker) {
        copy.copy_from(&self.0);
    }

    fn allows(&mut self) -> bool {
        true
    }

    fn fill(&mut self, nonce: &mut [u8; 24]) {
        *nonce = vectors::COOKIE_NONCE;
    }
}

/// The state of someone who just sent, or could receive, the known messages.
struct Victim {
    initiator: Handshake<Arc<Identity>>,
    responder: Handshake<Arc<Identity>>,
    door: Door,
    maker: Maker,
}

impl Victim {
    fn new() -> Self {
        let [initiator, responder] = [&vectors::INITIATOR, &vectors::RESPONDER]
            .map(|private| identity::<RustCrypto>(private).unwrap());
        let mut victim = Self {
            initiator: Handshake::new::<RustCrypto>(
                responder.public(),
                &vectors::PRESHARED_KEY,
                Some(initiator.clone()),
            ),
            responder: Handshake::new::<RustCrypto>(
                initiator.public(),
                &vectors::PRESHARED_KEY,
                Some(responder.clone()),
            ),
            door: Door(Checker::new()),
            maker: Maker::new::<RustCrypto>(responder.public()),
        };
        let (seconds, nanos) = vectors::TIME;

        victim
            .door
            .0
            .refresh(|secret| *secret = vectors::COOKIE_SECRET, 0);
        victim.initiator.create_initiation::<RustCrypto>(
            &mut Secret::from(&vectors::INITIATOR_EPHEMERAL),
            Index(vectors::INITIATOR_INDEX),
            Timestamp::from_unix(seconds, nanos),
        );
        victim
            .maker
            .add_macs::<RustCrypto>(&mut vectors::INITIATION.clone(), 0);
        victim
    }

    fn receive(&mut self, bytes: &[u8], accepted: &mut Accepted) {
        let identity = self.responder.identity().unwrap().clone();
        let kind = bytes
            .first_chunk()
            .and_then(|head| classify(head, bytes.len()));

        // Not even what is no message may do harm.
        let first_mac = Some(identity.first_mac());
        if may_wait::<RustCrypto>(Kind::Initiation, bytes, first_mac, |_| false) {
            assert_eq!(bytes[..132], vectors::INITIATION[..132]);
            accepted.macs += 1;
        }
        let source = Source::v4(&[192, 0, 2, 1], 12345);
        admit::<RustCrypto>(&identity, bytes, Index(1), &source, &mut self.door);

        match kind {
            None => (),
            Some(Kind::Initiation) => {
                let bytes = bytes.try_into().unwrap();
                let message = Initiation::from_bytes(bytes).unwrap();

                assert_eq!(message.to_bytes(), *bytes);

                let mut claim = Claim::new(&identity, &message);

                if claim.open::<RustCrypto>().is_none() {
                    return;
                }

                accepted.claims += 1;
                assert_eq!(claim.remote_static(), &vectors::INITIATOR_PUBLIC);
                if self
                    .responder
                    .consume_initiation::<RustCrypto>(&mut claim, 0)
                    .is_ok()
                {
                    accepted.initiations += 1;
                    assert_eq!(bytes[8..116], vectors::INITIATION[8..116]);
                }
            }
            Some(Kind::Response) => {
                let bytes = bytes.try_into().unwrap();
                let message = Response::from_bytes(bytes).unwrap();

                assert_eq!(message.to_bytes(), *bytes);
                if self
                    .initiator
                    .consume_response::<RustCrypto>(&message)
                    .is_some()
                {
                    accepted.responses += 1;
                    assert_eq!(bytes[8..60], vectors::RESPONSE[8..60]);
                }
            }
            Some(Kind::CookieReply) => {
                let bytes = bytes.try_into().unwrap();
                let message = CookieReply::from_bytes(bytes).unwrap();

                assert_eq!(message.to_bytes(), *bytes);
                if self.maker.consume_reply::<RustCrypto>(&message, 0).is_ok() {
                    accepted.replies += 1;
                    assert_eq!(bytes[8..], vectors::COOKIE_REPLY[8..]);
                }
            }
            Some(Kind::Data) => {
                let header = bytes.first_chunk().unwrap();

                assert_eq!(DataHeader::from_bytes(header).unwrap().to_bytes(), *header);
            }
        }
    }
}

#[test]
fn garbage_does_no_harm() {
    let mut numbers = Numbers(0x0123_4567_89ab_cdef);
    let mut accepted = Accepted::default();
    let mut victim = Victim::new();

    for round in 0..100_000 {
        let mut bytes = numbers.datagram();

        // Once accepted, nothing is a second time.
        if round % 1_000 == 0 {
            victim = Victim::new();
        }
        victim.receive(&bytes, &mut accepted);
        Maker::new::<RustCrypto>(&vectors::RESPONDER_PUBLIC).add_macs::<RustCrypto>(&mut bytes, 0);
        assert!(
            padding(
                numbers.next() as u32,
                numbers.next() as u32 >> numbers.below(32)
            ) < 16
        );
    }

    // So the damage was neither too much nor too little.
    println!("{accepted:?}");
    assert!(accepted.macs > 100);
    assert!(accepted.claims > 100);
    assert!((50..=100).contains(&accepted.initiations));
    assert!((50..=100).contains(&accepted.responses));
    assert!((50..=100).contains(&accepted.replies));
}
