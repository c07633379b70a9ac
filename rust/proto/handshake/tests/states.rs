// SPDX-License-Identifier: GPL-2.0

//! Tests of which transitions there are from each state.

use super::*;

/// Returns a handshake in each state, in the order of [`State`].
fn in_each_state() -> [TestHandshake; 5] {
    let zeroed = Pair::new().initiator;

    let mut created = Pair::new();
    created.initiate(1);

    let mut consumed = Pair::new();
    let message = consumed.initiate(1);
    consumed.consume(&message, 0).unwrap();

    let (mut ended, response) = Pair::until_response();
    ended
        .initiator
        .consume_response::<RustCrypto>(&response)
        .unwrap();

    [
        zeroed,
        created.initiator,
        consumed.responder,
        ended.responder,
        ended.initiator,
    ]
}

#[test]
fn what_is_not_answered_is_abandoned() {
    let [zeroed, created, consumed, responded, ended] = in_each_state();

    for mut handshake in [zeroed, created, responded, ended] {
        let before = Snapshot::of(&handshake);
        assert_eq!(handshake.abandon_unanswered(), None);
        assert_eq!(Snapshot::of(&handshake), before);
    }
    let mut handshake = consumed;
    assert_eq!(handshake.abandon_unanswered(), None);
    let mut cleared = in_each_state().into_iter().nth(2).unwrap();
    assert_eq!(cleared.clear(), None);
    assert_eq!(Snapshot::of(&handshake).state, ("zeroed", None, None, None));
    assert_eq!(
        Snapshot::of(&handshake).symmetric,
        Snapshot::of(&cleared).symmetric
    );
}

#[test]
fn the_index_that_an_initiation_superseded_is_given_back() {
    let mut pair = Pair::new();
    let theirs = pair.initiate(1);
    // Both begin at the same time.
    let mut ephemeral = Secret::zero();
    ephemeral.as_mut_bytes().fill(7);
    pair.responder
        .create_initiation::<RustCrypto>(&mut ephemeral, RESPONDER_INDEX, Timestamp::default())
        .unwrap();
    pair.consume(&theirs, 0).unwrap();

    assert_eq!(pair.responder.abandon_unanswered(), Some(RESPONDER_INDEX));
    assert_eq!(pair.responder.local_index(), None);
}

#[test]
fn each_state_is_as_it_says() {
    let states = in_each_state().map(|handshake| Snapshot::of(&handshake).state);

    assert_eq!(states[0], ("zeroed", None, None, None));
    assert_eq!(
        states[1],
        ("created initiation", Some(INITIATOR_INDEX), None, None)
    );
    assert!(matches!(
        states[2],
        ("consumed initiation", None, Some(INITIATOR_INDEX), Some(_))
    ));
    assert_eq!(
        states[3],
        (
            "created response",
            Some(RESPONDER_INDEX),
            Some(INITIATOR_INDEX),
            None
        )
    );
    assert_eq!(
        states[4],
        (
            "consumed response",
            Some(INITIATOR_INDEX),
            Some(RESPONDER_INDEX),
            None
        )
    );
}

#[test]
fn an_initiation_can_be_created_in_each_state() {
    for mut handshake in in_each_state() {
        let message = handshake.create_initiation::<RustCrypto>(
            &mut Secret::from(&RESPONDER_EPHEMERAL),
            Index(77),
            time(2),
        );

        assert_eq!(message.unwrap().sender, Index(77));
        assert_eq!(
            Snapshot::of(&handshake).state,
            ("created initiation", Some(Index(77)), None, None)
        );
    }
}

#[test]
fn an_initiation_can_be_consumed_in_each_state() {
    for mut handshake in in_each_state() {
        let index = handshake.local_index();
        // The same keys, so as to be the other end of either.
        let mut other: TestHandshake = Handshake::new::<RustCrypto>(
            handshake.identity().unwrap().public(),
            &PRESHARED_KEY,
            Some(if handshake.remote_static == vectors::INITIATOR_PUBLIC {
                identity(&INITIATOR)
            } else {
                identity(&RESPONDER)
            }),
        );
        let message = other
            .create_initiation::<RustCrypto>(&mut Secret::from(&[5; 32]), Index(78), time(2))
            .unwrap();
        let mut claim = claim(&handshake, &message).unwrap();

        assert_eq!(
            handshake.consume_initiation::<RustCrypto>(&mut claim, 1_000_000_000),
            Ok(())
        );

        // What is superseded must still be released.
        assert_eq!(
            Snapshot::of(&handshake).state,
            (
                "consumed initiation",
                index,
                Some(Index(78)),
                Some(message.ephemeral)
            )
        );
        assert!(handshake.ephemeral.is_zero::<RustCrypto>());

        let response = respond(&mut handshake).unwrap();

        assert_eq!(handshake.local_index(), Some(RESPONDER_INDEX));
        assert_eq!(other.consume_response::<RustCrypto>(&response), Some(()));
    }
}

#[test]
fn a_response_is_created_after_an_initiation_only() {
    for (number, mut handshake) in in_each_state().into_iter().enumerate() {
        let before = Snapshot::of(&handshake);
        let response = respond(&mut handshake);

        if number == 2 {
            assert_eq!(response.unwrap().receiver, INITIATOR_INDEX);
            assert_eq!(Snapshot::of(&handshake).state.0, "created response");
        } else {
            assert_eq!(response, None);
            assert_eq!(Snapshot::of(&handshake), before);
        }
    }
}

#[test]
fn a_response_is_consumed_after_our_initiation_only() {
    let (_, response) = Pair::until_response();

    for (number, mut handshake) in in_each_state().into_iter().enumerate() {
        let before = Snapshot::of(&handshake);
        let mut response = response.clone();

        // Whatever the state, the index is not what it is refused for.
        response.receiver = handshake.local_index().unwrap_or(STRAY_INDEX);

        if number == 1 {
            assert!(handshake
                .consume_response::<RustCrypto>(&response)
                .is_some());
            assert_eq!(Snapshot::of(&handshake).state.0, "consumed response");
            assert!(handshake.ephemeral.is_zero::<RustCrypto>());
        } else {
            assert!(handshake
                .consume_response::<RustCrypto>(&response)
                .is_none());
            assert_eq!(Snapshot::of(&handshake), before);
        }
    }
}

#[test]
fn a_session_begins_after_a_response_only() {
    for (number, mut handshake) in in_each_state().into_iter().enumerate() {
        let before = Snapshot::of(&handshake);
        let derived = begin_session(&mut handshake);

        if number < 3 {
            assert!(derived.is_none());
            assert_eq!(Snapshot::of(&handshake), before);
        } else {
            assert_eq!(
                derived.map(|derived| derived.outcome.local_index),
                before.state.1
            );
            assert_wiped(&handshake);
            assert!(begin_session(&mut handshake).is_none());
        }
    }
}

#[test]
fn clearing_wipes_and_returns_the_index() {
    for mut handshake in in_each_state() {
        let before = Snapshot::of(&handshake);

        assert_eq!(handshake.clear(), before.state.1);
        assert_wiped(&handshake);
        assert_eq!(handshake.clear(), None);
        // What protects against replay must stay.
        assert_eq!(Snapshot::of(&handshake).accepted, before.accepted);
        assert_eq!(handshake.preshared_key.as_bytes(), &PRESHARED_KEY);
    }
}

fn assert_wiped(handshake: &TestHandshake) {
    let fresh = Snapshot::of(&Pair::new().initiator);
    let wiped = Snapshot::of(handshake);

    assert_eq!(wiped.state, fresh.state);
    assert_eq!(wiped.ephemeral, [0; 32]);
    assert_eq!(wiped.symmetric, fresh.symmetric);
}
