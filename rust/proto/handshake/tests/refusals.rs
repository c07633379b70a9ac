// SPDX-License-Identifier: GPL-2.0

//! Tests of what is refused, and that this changes nothing.

use super::*;

#[test]
fn a_time_stamp_must_be_newer_than_the_last() {
    let mut pair = Pair::new();
    let (now, later) = (1_000_000_000, 9_000_000_000);
    let [first, second, third] = [5, 6, 7].map(|seconds| pair.initiate(seconds));

    assert_eq!(pair.consume(&second, now), Ok(()));

    for old in [&first, &second] {
        let before = Snapshot::of(&pair.responder);

        assert_eq!(pair.consume(old, later), Err(Refusal::Replay));
        assert_eq!(Snapshot::of(&pair.responder), before);
    }

    // Neither a session nor giving up makes it forget.
    pair.respond();
    begin_session(&mut pair.responder).unwrap();
    assert_eq!(pair.consume(&second, later), Err(Refusal::Replay));
    let _ = pair.responder.clear();
    assert_eq!(pair.consume(&second, later), Err(Refusal::Replay));
    assert_eq!(pair.consume(&third, later), Ok(()));
}

#[test]
fn initiations_must_be_twenty_milliseconds_apart() {
    let mut pair = Pair::new();
    let now = 123_456_789_012;
    let [first, second, third] = [1, 2, 3].map(|seconds| pair.initiate(seconds));

    assert_eq!(pair.consume(&first, now), Ok(()));
    for too_soon in [now, now + 1, now + 19_999_999, now - 1] {
        let before = Snapshot::of(&pair.responder);

        assert_eq!(pair.consume(&second, too_soon), Err(Refusal::Flood));
        // In particular, the wait does not start over.
        assert_eq!(Snapshot::of(&pair.responder), before);
    }
    assert_eq!(pair.consume(&second, now + 20_000_000), Ok(()));
    assert_eq!(pair.consume(&third, now + 39_999_999), Err(Refusal::Flood));
    assert_eq!(pair.consume(&third, now + 40_000_000), Ok(()));
}

#[test]
fn a_claim_on_another_identity_is_refused() {
    let mut pair = Pair::new();
    let message = pair.initiate(1);
    let before = Snapshot::of(&pair.responder);

    let others = [
        None,
        Some(identity(&INITIATOR)),
        // Of the same key, but not the same.
        Some(identity(&RESPONDER)),
    ];
    for other in others {
        let mut claim = claim(&pair.responder, &message).unwrap();
        let old = pair.responder.identity().cloned();

        pair.responder.set_identity::<RustCrypto>(other);
        assert_eq!(
            pair.responder
                .consume_initiation::<RustCrypto>(&mut claim, 0),
            Err(Refusal::Identity)
        );
        assert_eq!(Snapshot::of(&pair.responder), before);
        pair.responder.set_identity::<RustCrypto>(old);
    }
    assert_eq!(pair.consume(&message, 0), Ok(()));
}

#[test]
fn a_claim_to_be_another_peer_is_refused() {
    let mut pair = Pair::new();
    let message = pair.initiate(1);
    let mut claim = claim(&pair.responder, &message).unwrap();
    let mut stranger = TestHandshake::new::<RustCrypto>(
        identity(&[9; 32]).public(),
        &PRESHARED_KEY,
        pair.responder.identity().cloned(),
    );

    assert_eq!(
        stranger.consume_initiation::<RustCrypto>(&mut claim, 0),
        Err(Refusal::Crypto)
    );
}

#[test]
fn a_claim_can_prove_itself_alone() {
    let mut pair = Pair::new();
    let message = pair.initiate(1);
    let mut first = claim(&pair.responder, &message).unwrap();
    let mut again = claim(&pair.responder, &message).unwrap();

    assert!(first.prove_alone::<RustCrypto>().is_some());
    assert!(again.prove_alone::<RustCrypto>().is_some());

    // That is worth nothing with anybody else.
    let mut stranger = TestHandshake::new::<RustCrypto>(
        identity(&[9; 32]).public(),
        &PRESHARED_KEY,
        pair.responder.identity().cloned(),
    );

    assert_eq!(
        stranger.consume_initiation::<RustCrypto>(&mut again, 0),
        Err(Refusal::Crypto)
    );
    assert_eq!(
        pair.responder
            .consume_initiation::<RustCrypto>(&mut first, 0),
        Ok(())
    );
    // Nor does it make an initiation new.
    assert_eq!(
        pair.responder
            .consume_initiation::<RustCrypto>(&mut again, 1_000_000_000),
        Err(Refusal::Replay)
    );

    let response = pair.respond();

    assert!(pair
        .initiator
        .consume_response::<RustCrypto>(&response)
        .is_some());

    let mut forged = pair.initiate(2);

    forged.encrypted_timestamp[0] ^= 1;
    assert!(claim(&pair.responder, &forged)
        .unwrap()
        .prove_alone::<RustCrypto>()
        .is_none());
}

#[test]
fn nothing_is_done_without_an_identity() {
    let (mut pair, response) = Pair::until_response();

    pair.initiator.set_identity::<RustCrypto>(None);

    let before = Snapshot::of(&pair.initiator);

    assert!(pair
        .initiator
        .consume_response::<RustCrypto>(&response)
        .is_none());
    assert!(pair
        .initiator
        .create_initiation::<RustCrypto>(&mut Secret::from(&[1; 32]), STRAY_INDEX, time(2))
        .is_none());
    assert_eq!(Snapshot::of(&pair.initiator), before);
}

#[test]
fn a_response_to_another_identity_is_refused() {
    let (mut pair, response) = Pair::until_response();
    let old = pair.initiator.identity().cloned();

    pair.initiator
        .set_identity::<RustCrypto>(Some(identity(&[9; 32])));

    let before = Snapshot::of(&pair.initiator);

    assert!(pair
        .initiator
        .consume_response::<RustCrypto>(&response)
        .is_none());
    assert_eq!(Snapshot::of(&pair.initiator), before);
    pair.initiator.set_identity::<RustCrypto>(old);
    assert!(pair
        .initiator
        .consume_response::<RustCrypto>(&response)
        .is_some());
}

#[test]
fn a_response_must_have_our_index() {
    let (mut pair, response) = Pair::until_response();
    let before = Snapshot::of(&pair.initiator);

    for receiver in [STRAY_INDEX, RESPONDER_INDEX, Index(0)] {
        let mut response = response.clone();

        response.receiver = receiver;
        assert!(pair
            .initiator
            .consume_response::<RustCrypto>(&response)
            .is_none());
        assert_eq!(Snapshot::of(&pair.initiator), before);
    }
}

#[test]
fn a_response_to_a_superseded_initiation_is_refused() {
    let (mut pair, mut late) = Pair::until_response();
    let again = pair
        .initiator
        .create_initiation::<RustCrypto>(&mut Secret::from(&[5; 32]), Index(79), time(2))
        .unwrap();

    assert!(pair
        .initiator
        .consume_response::<RustCrypto>(&late)
        .is_none());
    // Nor is it if the index matches, by chance or by intent.
    late.receiver = Index(79);
    assert!(pair
        .initiator
        .consume_response::<RustCrypto>(&late)
        .is_none());

    assert_eq!(pair.consume(&again, 1_000_000_000), Ok(()));

    let response = pair.respond();

    assert!(pair
        .initiator
        .consume_response::<RustCrypto>(&response)
        .is_some());
}

#[test]
fn what_is_tampered_with_is_refused() {
    let mut pair = Pair::new();
    let message = pair.initiate(1);
    let before = Snapshot::of(&pair.responder);

    // From the ephemeral key to the time stamp.
    for position in 8..116 {
        for bit in [1, 0x80] {
            let mut bytes = message.to_bytes();

            // This bit is ignored in the multiplication, but not in the hash.
            bytes[position] ^= bit;

            let message = Initiation::from_bytes(&bytes).unwrap();

            assert_eq!(pair.consume(&message, 0), Err(Refusal::Crypto));
        }
    }
    assert_eq!(Snapshot::of(&pair.responder), before);
    assert_eq!(pair.consume(&message, 0), Ok(()));

    let response = pair.respond();
    let before = Snapshot::of(&pair.initiator);

    // From the ephemeral key to the tag.
    for position in 12..60 {
        for bit in [1, 0x80] {
            let mut bytes = response.to_bytes();

            bytes[position] ^= bit;

            let response = Response::from_bytes(&bytes).unwrap();

            assert!(pair
                .initiator
                .consume_response::<RustCrypto>(&response)
                .is_none());
        }
    }
    assert_eq!(Snapshot::of(&pair.initiator), before);
    assert!(pair
        .initiator
        .consume_response::<RustCrypto>(&response)
        .is_some());
}

#[test]
fn a_response_with_another_preshared_key_is_refused() {
    let (mut pair, response) = Pair::until_response();

    for wrong in [[0; 32], [1; 32]] {
        pair.initiator.set_preshared_key(&wrong);

        let before = Snapshot::of(&pair.initiator);

        assert!(pair
            .initiator
            .consume_response::<RustCrypto>(&response)
            .is_none());
        assert_eq!(Snapshot::of(&pair.initiator), before);
    }

    pair.initiator.set_preshared_key(&PRESHARED_KEY);
    assert!(pair
        .initiator
        .consume_response::<RustCrypto>(&response)
        .is_some());
}
