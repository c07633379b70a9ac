// SPDX-License-Identifier: GPL-2.0

//! Tests against a peer, or a library, that does what it should not.
//!
//! The peer's messages are made with suites that lack a check. So that a refusal means something,
//! each test also lets a victim lack the check, which must then accept.

use std::{
    cell::Cell,
    thread_local, //
};

use super::*;
use crate::vectors::LOW_ORDER;

/// Takes any point for good.
struct Careless;

impl Suite for Careless {
    as_rust_crypto!();

    fn x25519(out: &mut [u8; 32], secret: &[u8; 32], public: &[u8; 32]) -> bool {
        RustCrypto::x25519(out, secret, public);
        true
    }

    fn x25519_public(out: &mut [u8; 32], secret: &[u8; 32]) -> bool {
        RustCrypto::x25519_public(out, secret)
    }

    // Zeros equal nothing, and so are no sign of a bad point.
    fn eq(a: &[u8], b: &[u8]) -> bool {
        a == b && a.iter().any(|&byte| byte != 0)
    }
}

thread_local! {
    /// What [`LowOrder`] sends.
    static POINT: Cell<[u8; 32]> = const { Cell::new([0; 32]) };

    /// How many calls of [`Failing`] there are until the one that fails.
    static SUCCESSES: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Claims that all public keys are [`POINT`], and knows what others will make of that.
struct LowOrder;

impl Suite for LowOrder {
    as_rust_crypto!();

    fn x25519(out: &mut [u8; 32], _: &[u8; 32], _: &[u8; 32]) -> bool {
        *out = [0; 32];
        true
    }

    fn x25519_public(out: &mut [u8; 32], _: &[u8; 32]) -> bool {
        *out = POINT.get();
        true
    }

    fn eq(a: &[u8], b: &[u8]) -> bool {
        Careless::eq(a, b)
    }
}

/// Fails once, after [`SUCCESSES`] calls.
struct Failing;

impl Failing {
    fn next() -> bool {
        let left = SUCCESSES.get();

        SUCCESSES.set(left.and_then(|left| left.checked_sub(1)));
        left != Some(0)
    }
}

impl Suite for Failing {
    as_rust_crypto!();

    fn x25519(out: &mut [u8; 32], secret: &[u8; 32], public: &[u8; 32]) -> bool {
        RustCrypto::x25519(out, secret, public) && Self::next()
    }

    fn x25519_public(out: &mut [u8; 32], secret: &[u8; 32]) -> bool {
        RustCrypto::x25519_public(out, secret) && Self::next()
    }

    fn eq(a: &[u8], b: &[u8]) -> bool {
        RustCrypto::eq(a, b)
    }
}

#[test]
fn an_ephemeral_key_of_low_order_is_refused_at_es() {
    for point in LOW_ORDER {
        let mut pair = Pair::new();

        POINT.set(point);

        let message = pair
            .initiator
            .create_initiation::<LowOrder>(&mut Secret::from(&[1; 32]), INITIATOR_INDEX, time(1))
            .unwrap();
        let victim = pair.responder.identity().unwrap();

        assert_eq!(message.ephemeral, point);
        assert!(open::<RustCrypto>(victim, &message).is_none());

        let mut claim = open::<Careless>(victim, &message).unwrap();

        assert_eq!(claim.remote_static(), &vectors::INITIATOR_PUBLIC);
        assert_eq!(
            pair.responder.consume_initiation::<Careless>(&mut claim, 0),
            Ok(())
        );
    }
}

#[test]
fn a_static_key_of_low_order_is_refused_at_ss() {
    for point in LOW_ORDER {
        let victim = identity(&RESPONDER);

        POINT.set(point);

        let mut attacker = Identity::zero();

        attacker.initialize::<LowOrder>(&[1; 32]).unwrap();

        let attacker = Arc::new(attacker);

        assert_eq!(attacker.public(), &point);

        // The attacker cannot compute `ss` but knows that it is zero to a careless responder.
        let mut attack =
            TestHandshake::new::<LowOrder>(victim.public(), &PRESHARED_KEY, Some(attacker.clone()));
        let message = attack
            .create_initiation::<Careless>(&mut Secret::from(&[1; 32]), INITIATOR_INDEX, time(1))
            .unwrap();

        // Even someone who has such a peer, as netns.sh does, is not fooled.
        let mut handshake =
            TestHandshake::new::<RustCrypto>(&point, &PRESHARED_KEY, Some(victim.clone()));
        let claim = || open::<RustCrypto>(&victim, &message).unwrap();

        assert_eq!(claim().remote_static(), &point);
        assert_eq!(
            handshake.consume_initiation::<RustCrypto>(&mut claim(), 0),
            Err(Refusal::Crypto)
        );
        assert_eq!(
            handshake.consume_initiation::<Careless>(&mut claim(), 0),
            Ok(())
        );

        // Were it accepted, then `se` would be the next to refuse.
        assert!(respond(&mut handshake).is_none());
        assert!(handshake
            .create_response::<Careless>(&mut Secret::from(&[1; 32]), RESPONDER_INDEX)
            .is_some());
    }
}

#[test]
fn nothing_is_sent_to_a_static_key_of_low_order() {
    for point in LOW_ORDER {
        let mut handshake =
            TestHandshake::new::<RustCrypto>(&point, &PRESHARED_KEY, Some(identity(&INITIATOR)));
        let before = Snapshot::of(&handshake);

        assert!(handshake
            .create_initiation::<RustCrypto>(&mut Secret::from(&[1; 32]), INITIATOR_INDEX, time(1))
            .is_none());
        assert_eq!(Snapshot::of(&handshake), before);
        assert!(handshake
            .create_initiation::<Careless>(&mut Secret::from(&[1; 32]), INITIATOR_INDEX, time(1))
            .is_some());
    }
}

#[test]
fn an_ephemeral_key_of_low_order_is_refused_at_ee_and_se() {
    for point in LOW_ORDER {
        let mut pair = Pair::new();
        let message = pair.initiate(1);

        POINT.set(point);
        pair.consume(&message, 0).unwrap();

        let response = pair
            .responder
            .create_response::<LowOrder>(&mut Secret::from(&[1; 32]), RESPONDER_INDEX)
            .unwrap();
        let before = Snapshot::of(&pair.initiator);

        assert_eq!(response.ephemeral, point);
        assert!(pair
            .initiator
            .consume_response::<RustCrypto>(&response)
            .is_none());
        assert_eq!(Snapshot::of(&pair.initiator), before);
        assert!(pair
            .initiator
            .consume_response::<Careless>(&response)
            .is_some());
    }
}

#[test]
fn what_cannot_be_computed_is_not_skipped() {
    for point in LOW_ORDER {
        let mut pair = Pair::new();
        let message = pair.initiate(1);

        // Without es.
        let mut bad = message.clone();
        let mut symmetric = SymmetricState::zero();

        symmetric.initialize::<RustCrypto>(&vectors::RESPONDER_PUBLIC);
        symmetric.mix_ephemeral::<RustCrypto>(&point);
        symmetric.encrypt_and_hash::<RustCrypto>(
            &Secret::zero(),
            &vectors::INITIATOR_PUBLIC,
            &mut bad.encrypted_static,
        );
        bad.ephemeral = point;
        assert!(claim(&pair.responder, &bad).is_none());

        // Without ee and se.
        pair.consume(&message, 0).unwrap();

        let mut key = Secret::zero();
        let mut bad = Response {
            sender: RESPONDER_INDEX,
            receiver: INITIATOR_INDEX,
            ephemeral: point,
            encrypted_nothing: [0; 16],
            macs: Macs::default(),
        };

        symmetric.copy_from(&pair.responder.symmetric);
        symmetric.mix_ephemeral::<RustCrypto>(&point);
        symmetric.mix_key_and_hash::<RustCrypto>(&Secret::from(&PRESHARED_KEY), &mut key);
        symmetric.encrypt_and_hash::<RustCrypto>(&key, &[], &mut bad.encrypted_nothing);
        assert!(pair
            .initiator
            .consume_response::<RustCrypto>(&bad)
            .is_none());
    }
}

/// Calls `step`, which uses [`Failing`], `calls` times to let each call in it fail, and asserts
/// that this neither succeeds nor changes a thing, and then once more to let it succeed.
fn fails_without_effect(
    handshake: &mut TestHandshake,
    calls: u32,
    step: impl Fn(&mut TestHandshake) -> bool,
) {
    let before = Snapshot::of(handshake);

    for successes in 0..calls {
        SUCCESSES.set(Some(successes));
        assert!(!step(handshake), "failed at {successes}");
        assert_eq!(Snapshot::of(handshake), before);
    }
    SUCCESSES.set(Some(calls));
    assert!(step(handshake));
    assert_eq!(SUCCESSES.get(), Some(0));
    assert_ne!(Snapshot::of(handshake), before);
}

#[test]
fn a_failure_at_any_point_changes_nothing() {
    let mut pair = Pair::new();

    // e, es
    fails_without_effect(&mut pair.initiator, 2, |handshake| {
        handshake
            .create_initiation::<Failing>(
                &mut Secret::from(&INITIATOR_EPHEMERAL),
                INITIATOR_INDEX,
                time(1),
            )
            .is_some()
    });

    let message = pair.initiate(1);

    // es
    fails_without_effect(&mut pair.responder, 1, |handshake| {
        let identity = handshake.identity().unwrap();

        open::<Failing>(identity, &message).is_some_and(|mut claim| {
            handshake
                .consume_initiation::<Failing>(&mut claim, 0)
                .is_ok()
        })
    });

    // e, ee, se
    fails_without_effect(&mut pair.responder, 3, |handshake| {
        handshake
            .create_response::<Failing>(&mut Secret::from(&RESPONDER_EPHEMERAL), RESPONDER_INDEX)
            .is_some()
    });

    let (mut pair, response) = Pair::until_response();

    // ee, se
    fails_without_effect(&mut pair.initiator, 2, |handshake| {
        handshake.consume_response::<Failing>(&response).is_some()
    });
}

#[test]
fn an_ephemeral_key_of_zeros_is_clamped() {
    // A random number generator that fails is to be noticed elsewhere; here it is just a bad key.
    assert!(Pair::new()
        .initiator
        .create_initiation::<RustCrypto>(&mut Secret::zero(), INITIATOR_INDEX, time(1))
        .is_some());
}
