// SPDX-License-Identifier: GPL-2.0

//! Tests of what a claim that was proven alone hands on to a handshake.

use std::{
    cell::Cell,
    thread_local, //
};

use super::*;

thread_local! {
    static DIFFIE_HELLMANS: Cell<u32> = const { Cell::new(0) };
}

/// Counts Diffie-Hellmans.
struct Counting;

impl Suite for Counting {
    as_rust_crypto!();

    fn x25519(out: &mut [u8; 32], secret: &[u8; 32], public: &[u8; 32]) -> bool {
        DIFFIE_HELLMANS.set(DIFFIE_HELLMANS.get() + 1);
        RustCrypto::x25519(out, secret, public)
    }

    fn x25519_public(out: &mut [u8; 32], secret: &[u8; 32]) -> bool {
        RustCrypto::x25519_public(out, secret)
    }

    fn eq(a: &[u8], b: &[u8]) -> bool {
        RustCrypto::eq(a, b)
    }
}

/// Has a new handshake state with the peer of that public key take `claim`, with an identity of its own, and returns
/// how many Diffie-Hellmans that took.
fn take(
    claim: &mut Claim<Arc<Identity>>,
    remote_static: &[u8; 32],
    local: &Arc<Identity>,
) -> (TestHandshake, Result<(), Refusal>, u32) {
    let mut handshake = TestHandshake::new::<Counting>(remote_static, &PRESHARED_KEY, None);

    DIFFIE_HELLMANS.set(0);
    handshake.set_identity_for::<Counting>(local.clone(), claim);

    let result = handshake.consume_initiation::<Counting>(claim, 0);

    (handshake, result, DIFFIE_HELLMANS.get())
}

#[test]
fn what_proves_a_claim_is_computed_once() {
    let mut pair = Pair::new();
    let message = pair.initiate(1);
    let local = pair.responder.identity().unwrap().clone();
    let remote = vectors::INITIATOR_PUBLIC;
    let open = || {
        let mut claim = open::<Counting>(&local, &message).unwrap();
        assert!(claim.prove_alone::<Counting>().is_some());
        claim
    };

    let (mut handshake, result, count) = take(&mut open(), &remote, &local);

    assert_eq!((result, count), (Ok(()), 0));
    assert_eq!(Snapshot::of(&handshake), {
        assert_eq!(pair.consume(&message, 0), Ok(()));
        Snapshot::of(&pair.responder)
    });

    let response = respond(&mut handshake).unwrap();

    assert!(pair
        .initiator
        .consume_response::<RustCrypto>(&response)
        .is_some());

    // What the state keeps is right for what follows, too.
    let message = pair.initiate(2);
    let mut claim = claim(&handshake, &message).unwrap();

    assert_eq!(
        handshake.consume_initiation::<RustCrypto>(&mut claim, 1_000_000_000),
        Ok(())
    );
}

#[test]
fn what_a_claim_has_computed_is_not_for_others() {
    let mut pair = Pair::new();
    let message = pair.initiate(1);
    let local = pair.responder.identity().unwrap().clone();
    let remote = vectors::INITIATOR_PUBLIC;

    // Not proven yet.
    let mut unproven = open::<RustCrypto>(&local, &message).unwrap();
    let (_, result, count) = take(&mut unproven, &remote, &local);

    assert_eq!((result, count), (Ok(()), 1));

    // To another peer.
    let mut proven = open::<RustCrypto>(&local, &message).unwrap();
    assert!(proven.prove_alone::<RustCrypto>().is_some());
    let (_, result, count) = take(&mut proven, identity(&[9; 32]).public(), &local);

    assert_eq!((result, count), (Err(Refusal::Crypto), 1));

    // With another identity, equal or not.
    for private in [RESPONDER, [9; 32]] {
        let (_, result, count) = take(&mut proven, &remote, &identity(&private));

        assert_eq!((result, count), (Err(Refusal::Identity), 1));
    }
}
