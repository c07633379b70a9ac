// SPDX-License-Identifier: GPL-2.0

//! Secrets are gone from memory once what held them is dropped.
//!
//! Worth running with optimization too, which is what would take the wiping away.

use std::{
    mem::{
        size_of,
        MaybeUninit, //
    },
    sync::Arc, //
};

use wg_proto::{
    cookie::{
        Checker,
        Maker, //
    },
    crypto::Suite,
    handshake::{
        Claim,
        Handshake, //
    },
    identity::Identity,
    noise::SymmetricState,
    secret::Secret,
    tai64n::Timestamp,
    wire::{
        CookieReply,
        Index, //
    }, //
};
use wg_selftests::{
    begin_session,
    suite::RustCrypto,
    vectors, //
};

/// Returns the memory that a value occupies, while it lives and after it was dropped.
fn before_and_after<T>(value: T) -> (Vec<u8>, Vec<u8>) {
    fn bytes<T>(place: &MaybeUninit<T>) -> Vec<u8> {
        let start = place.as_ptr().cast::<u8>();

        (0..size_of::<T>())
            // SAFETY: The place is that long. What is padding may not be initialized as far as the
            // language is concerned, but the place was, and the read is volatile.
            .map(|offset| unsafe { start.add(offset).read_volatile() })
            .collect()
    }

    let mut place = Box::new(MaybeUninit::<T>::zeroed());

    place.write(value);

    let before = bytes(&place);

    // SAFETY: The value was written above and is not used any more.
    unsafe { place.assume_init_drop() };

    let after = bytes(&place);

    (before, after)
}

/// Asserts that `value` holds each of `secrets`, and that none is left when it was dropped.
fn assert_wiped<T>(value: T, secrets: &[&[u8]]) {
    let (before, after) = before_and_after(value);

    for secret in secrets {
        let is_in = |memory: &[u8]| memory.windows(secret.len()).any(|part| part == *secret);

        assert!(is_in(&before), "the test looks for the wrong thing");
        assert!(!is_in(&after));
        // Not a part of it either.
        for part in secret.chunks_exact(8) {
            assert!(!after.windows(8).any(|other| other == part));
        }
    }
}

fn identity(private: &[u8; 32]) -> Arc<Identity> {
    wg_selftests::identity::<RustCrypto>(private).unwrap()
}

fn initiator() -> Handshake<Arc<Identity>> {
    Handshake::new::<RustCrypto>(
        &vectors::RESPONDER_PUBLIC,
        &vectors::PRESHARED_KEY,
        Some(identity(&vectors::INITIATOR)),
    )
}

fn responder() -> Handshake<Arc<Identity>> {
    Handshake::new::<RustCrypto>(
        &vectors::INITIATOR_PUBLIC,
        &vectors::PRESHARED_KEY,
        Some(identity(&vectors::RESPONDER)),
    )
}

fn clamped(mut private: [u8; 32]) -> [u8; 32] {
    private[0] &= 248;
    private[31] = private[31] & 127 | 64;
    private
}

#[test]
fn a_secret_is_wiped() {
    let (before, after) = before_and_after(Secret::from(&[0x5a; 64]));

    assert_eq!(before, [0x5a; 64]);
    assert_eq!(after, [0; 64]);
}

#[test]
fn a_moved_secret_is_wiped_where_it_was_moved_to() {
    let secrets = [1, 2, 3].map(|number| Secret::from(&[number; 16]));
    let (before, after) = before_and_after(Box::new(secrets));

    // Only the pointer to the heap is left.
    assert_eq!(before, after);

    let (_, after) = before_and_after([1, 2, 3].map(|number| Secret::from(&[number; 16])));

    assert_eq!(after, [0; 48]);
}

#[test]
fn a_symmetric_state_is_wiped() {
    let mut state = SymmetricState::zero();

    state.initialize::<RustCrypto>(&vectors::RESPONDER_PUBLIC);

    let (before, after) = before_and_after(state);

    assert!(before.chunks(8).all(|part| part != [0; 8]));
    assert!(after.iter().all(|&byte| byte == 0));
}

#[test]
fn an_identity_is_wiped() {
    let private = [0x77; 32];

    let mut identity = Identity::zero();

    identity.initialize::<RustCrypto>(&private).unwrap();
    assert_wiped(identity, &[&clamped(private)]);
}

#[test]
fn a_handshake_is_wiped() {
    let mut static_static = [0; 32];

    assert!(RustCrypto::x25519(
        &mut static_static,
        &vectors::INITIATOR,
        &vectors::RESPONDER_PUBLIC
    ));

    let mut handshake = initiator();

    handshake
        .create_initiation::<RustCrypto>(
            &mut Secret::from(&vectors::INITIATOR_EPHEMERAL),
            Index(1),
            Timestamp::default(),
        )
        .unwrap();
    assert_wiped(
        handshake,
        &[
            &static_static,
            &vectors::PRESHARED_KEY,
            &clamped(vectors::INITIATOR_EPHEMERAL),
        ],
    );
}

#[test]
fn an_ended_handshake_has_no_ephemeral_key() {
    let ephemeral = clamped(vectors::INITIATOR_EPHEMERAL);
    let assert_gone = |handshake: Handshake<_>| {
        let (memory, _) = before_and_after(handshake);

        assert!(!memory.windows(8).any(|part| part == &ephemeral[8..16]));
    };
    let start = || {
        let (mut initiator, mut responder) = (initiator(), responder());
        let initiation = initiator
            .create_initiation::<RustCrypto>(
                &mut Secret::from(&vectors::INITIATOR_EPHEMERAL),
                Index(1),
                Timestamp::from_unix(1, 0),
            )
            .unwrap();
        let mut claim = Claim::new(responder.identity().unwrap(), &initiation);

        claim.open::<RustCrypto>().unwrap();

        responder
            .consume_initiation::<RustCrypto>(&mut claim, 0)
            .unwrap();

        let response = responder
            .create_response::<RustCrypto>(
                &mut Secret::from(&vectors::INITIATOR_EPHEMERAL),
                Index(2),
            )
            .unwrap();

        (initiator, responder, response)
    };

    // As soon as it is given up, or the response was consumed.
    let (mut initiator, _, _) = start();
    let _ = initiator.clear();
    assert_gone(initiator);

    let (mut initiator, _, response) = start();
    initiator.consume_response::<RustCrypto>(&response).unwrap();
    assert_gone(initiator);

    // The responder has no use for its own beyond the response.
    let (_, responder, _) = start();
    assert_gone(responder);
}

#[test]
fn session_keys_are_wiped() {
    let (mut initiator, mut responder) = (initiator(), responder());
    let (seconds, nanos) = vectors::TIME;
    let initiation = initiator
        .create_initiation::<RustCrypto>(
            &mut Secret::from(&vectors::INITIATOR_EPHEMERAL),
            Index(vectors::INITIATOR_INDEX),
            Timestamp::from_unix(seconds, nanos),
        )
        .unwrap();
    let mut claim = Claim::new(responder.identity().unwrap(), &initiation);

    claim.open::<RustCrypto>().unwrap();

    responder
        .consume_initiation::<RustCrypto>(&mut claim, 0)
        .unwrap();
    responder
        .create_response::<RustCrypto>(
            &mut Secret::from(&vectors::RESPONDER_EPHEMERAL),
            Index(vectors::RESPONDER_INDEX),
        )
        .unwrap();
    assert_wiped(
        begin_session::<RustCrypto>(&mut responder).unwrap(),
        &[&vectors::INITIATOR_KEY, &vectors::RESPONDER_KEY],
    );
}

#[test]
fn cookies_are_wiped() {
    let mut maker = Maker::new::<RustCrypto>(&vectors::RESPONDER_PUBLIC);
    let reply = CookieReply::from_bytes(&vectors::COOKIE_REPLY).unwrap();

    let mut checker = Checker::new();

    checker.refresh(|secret| *secret = vectors::COOKIE_SECRET, 0);
    assert_wiped(checker, &[&vectors::COOKIE_SECRET]);

    maker.add_macs::<RustCrypto>(&mut vectors::INITIATION.clone(), 0);
    maker.consume_reply::<RustCrypto>(&reply, 0).unwrap();
    assert_wiped(maker, &[&vectors::COOKIE]);
}
