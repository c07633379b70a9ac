// SPDX-License-Identifier: GPL-2.0

//! Tests of MACs and cookies.

use super::*;
use crate::{
    limits::NSEC_PER_SEC,
    suite::RustCrypto,
    vectors::{
        self,
        COOKIE,
        COOKIE_NONCE,
        COOKIE_REPLY,
        INITIATION,
        INITIATION_MAC2,
        SOURCE, //
    }, //
};

const NOW: u64 = 1_000 * NSEC_PER_SEC;

fn identity() -> Identity {
    identity_of(&vectors::RESPONDER)
}

fn identity_of(private: &[u8; 32]) -> Identity {
    let mut identity = Identity::zero();

    identity.initialize::<RustCrypto>(private).unwrap();
    identity
}

fn checker() -> Checker {
    let mut checker = Checker::new();

    checker.refresh(|secret| *secret = vectors::COOKIE_SECRET, NOW);
    checker
}

/// Returns [`SOURCE`].
fn source() -> Source {
    let source = Source::v4(&[192, 0, 2, 1], 12345);

    assert_eq!(source.as_bytes(), &SOURCE);
    source
}

/// Returns a maker that sent [`INITIATION`].
fn maker() -> Maker {
    let mut maker = Maker::new::<RustCrypto>(&vectors::RESPONDER_PUBLIC);

    maker.add_macs::<RustCrypto>(&mut INITIATION.clone(), NOW);
    maker
}

fn reply() -> CookieReply {
    CookieReply::from_bytes(&COOKIE_REPLY).unwrap()
}

fn with_mac2() -> [u8; INITIATION.len()] {
    let mut message = INITIATION;

    message[132..].copy_from_slice(&INITIATION_MAC2);
    message
}

#[test]
fn macs_are_the_known_ones() {
    for (public, expected) in [
        (&vectors::RESPONDER_PUBLIC, &INITIATION[..]),
        (&vectors::INITIATOR_PUBLIC, &vectors::RESPONSE[..]),
    ] {
        let mut maker = Maker::new::<RustCrypto>(public);
        let mut buffer = [0; 148];
        let message = &mut buffer[..expected.len()];

        // What was in their place does not matter.
        message.copy_from_slice(expected);
        message[expected.len() - 32..].fill(0xaa);
        maker.add_macs::<RustCrypto>(message, NOW);
        assert_eq!(message, expected);
    }
}

#[test]
fn what_is_too_short_has_no_macs() {
    let mut maker = maker();
    let mut message = [7; 31];

    maker.add_macs::<RustCrypto>(&mut message, NOW);
    assert_eq!(message, [7; 31]);
    assert!(!checker().check_mac2::<RustCrypto>(&message, &source()));
    assert!(checker()
        .reply::<RustCrypto>(&identity(), &message, Index(1), &source(), &COOKIE_NONCE)
        .is_none());

    // The first MAC of the message that was sent last still counts.
    assert_eq!(maker.consume_reply::<RustCrypto>(&reply(), NOW), Ok(()));
}

#[test]
fn reply_is_the_known_one() {
    let reply = checker()
        .reply::<RustCrypto>(
            &identity(),
            &INITIATION,
            Index(vectors::INITIATOR_INDEX),
            &source(),
            &COOKIE_NONCE,
        )
        .unwrap();

    assert_eq!(checker().cookie::<RustCrypto>(&source()), COOKIE);
    assert_eq!(reply.to_bytes(), COOKIE_REPLY);
}

#[test]
fn cookie_makes_the_second_mac() {
    let mut maker = maker();
    let mut message = INITIATION;

    assert_eq!(maker.consume_reply::<RustCrypto>(&reply(), NOW), Ok(()));
    maker.add_macs::<RustCrypto>(&mut message, NOW);
    assert_eq!(message, with_mac2());
    assert!(checker().check_mac2::<RustCrypto>(&message, &source()));
}

#[test]
fn second_mac_covers_the_first_and_the_message() {
    let checker = checker();

    for position in 0..INITIATION.len() {
        let mut message = with_mac2();

        message[position] ^= 1;
        assert!(!checker.check_mac2::<RustCrypto>(&message, &source()));
    }
}

#[test]
fn cookie_is_for_one_address_and_port() {
    let checker = checker();
    let message = with_mac2();

    for position in 0..SOURCE.len() {
        let mut other = source();

        other.bytes[position] ^= 1;
        assert!(!checker.check_mac2::<RustCrypto>(&message, &other));
    }

    // Nor is it for the same address, mapped to IPv6.
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
    let mapped = Source::v6(&mapped, 12345);
    assert!(!checker.check_mac2::<RustCrypto>(&message, &mapped));
    assert!(checker.check_mac2::<RustCrypto>(&message, &source()));
}

#[test]
fn copy_checks_what_the_original_does() {
    let mut copy = Checker::new();
    let mut drawn = false;

    copy.copy_from(&checker());
    assert!(copy.check_mac2::<RustCrypto>(&with_mac2(), &source()));
    // Its secret is as old.
    copy.refresh(|_| drawn = true, NOW + 120 * NSEC_PER_SEC - 1);
    assert!(!drawn);
    copy.refresh(|_| drawn = true, NOW + 120 * NSEC_PER_SEC);
    assert!(drawn);
}

#[test]
fn secret_lasts_two_minutes() {
    let mut checker = checker();
    let end = NOW + 120 * NSEC_PER_SEC;
    let draws = |checker: &mut Checker, now_ns| {
        let mut drawn = false;

        checker.refresh(
            |secret| {
                *secret = [9; 32];
                drawn = true;
            },
            now_ns,
        );
        drawn
    };

    for (now_ns, drawn) in [
        (NOW, false),
        (end - 1, false),
        (end, true),
        (end + 120 * NSEC_PER_SEC - 1, false),
        (end + 120 * NSEC_PER_SEC, true),
    ] {
        assert_eq!(draws(&mut checker, now_ns), drawn);
    }

    // Cookies do not outlive it.
    assert_ne!(checker.cookie::<RustCrypto>(&source()), COOKIE);
    assert!(!checker.check_mac2::<RustCrypto>(&with_mac2(), &source()));

    checker.forget();
    assert!(checker.secret.is_zero::<RustCrypto>());
    assert!(draws(&mut checker, end));
}

#[test]
fn cookie_is_used_for_115_seconds() {
    let mut maker = maker();
    let end = NOW + 115 * NSEC_PER_SEC;

    maker.consume_reply::<RustCrypto>(&reply(), NOW).unwrap();
    for (now, used) in [(NOW, true), (end - 1, true), (end, false), (end + 1, false)] {
        let mut message = INITIATION;

        maker.add_macs::<RustCrypto>(&mut message, now);
        assert_eq!(message, if used { with_mac2() } else { INITIATION });
    }
}

#[test]
fn forgotten_cookie_is_not_used() {
    let mut maker = maker();
    let mut message = with_mac2();

    assert_eq!(maker.consume_reply::<RustCrypto>(&reply(), NOW), Ok(()));
    maker.forget();
    maker.add_macs::<RustCrypto>(&mut message, NOW);
    assert_eq!(message, INITIATION);
}

#[test]
fn later_cookie_replaces_an_earlier_one() {
    let (identity, mut checker, mut maker) = (identity(), checker(), maker());
    let later = NOW + 100 * NSEC_PER_SEC;
    let mut message = INITIATION;

    maker.consume_reply::<RustCrypto>(&reply(), NOW).unwrap();
    checker.forget();
    checker.refresh(|secret| *secret = [9; 32], later);
    maker.add_macs::<RustCrypto>(&mut message, later);
    assert!(!checker.check_mac2::<RustCrypto>(&message, &source()));

    let reply = checker
        .reply::<RustCrypto>(&identity, &message, Index(1), &source(), &COOKIE_NONCE)
        .unwrap();

    maker.consume_reply::<RustCrypto>(&reply, later).unwrap();
    maker.add_macs::<RustCrypto>(&mut message, later + 114 * NSEC_PER_SEC);
    assert!(checker.check_mac2::<RustCrypto>(&message, &source()));
}

#[test]
fn reply_is_accepted_once_for_each_message() {
    let mut fresh = Maker::new::<RustCrypto>(&vectors::RESPONDER_PUBLIC);
    let mut maker = maker();
    let accept = |maker: &mut Maker| maker.consume_reply::<RustCrypto>(&reply(), NOW);

    assert_eq!(accept(&mut fresh), Err(Refusal::NotAsked));
    assert_eq!(accept(&mut maker), Ok(()));
    assert_eq!(accept(&mut maker), Err(Refusal::NotAsked));

    // The next message, being the same here, asks again.
    maker.add_macs::<RustCrypto>(&mut INITIATION.clone(), NOW);
    assert_eq!(accept(&mut maker), Ok(()));
}

#[test]
fn reply_to_another_message_is_refused() {
    let mut maker = maker();
    let mut other = INITIATION;

    other[8] ^= 1;
    maker.add_macs::<RustCrypto>(&mut other, NOW);
    assert_eq!(
        maker.consume_reply::<RustCrypto>(&reply(), NOW),
        Err(Refusal::Invalid)
    );
}

#[test]
fn forged_reply_is_refused_and_the_real_one_is_not() {
    let mut maker = maker();

    for position in 8..COOKIE_REPLY.len() {
        let mut bytes = COOKIE_REPLY;

        bytes[position] ^= 4;

        let forged = CookieReply::from_bytes(&bytes).unwrap();

        assert_eq!(
            maker.consume_reply::<RustCrypto>(&forged, NOW),
            Err(Refusal::Invalid)
        );
    }

    let mut message = INITIATION;

    assert_eq!(maker.consume_reply::<RustCrypto>(&reply(), NOW), Ok(()));
    // Forgeries changed neither the cookie nor what is waited for.
    maker.add_macs::<RustCrypto>(&mut message, NOW);
    assert_eq!(message, with_mac2());
}

#[test]
fn reply_by_another_is_refused() {
    let other = identity_of(&vectors::INITIATOR);
    let reply = checker()
        .reply::<RustCrypto>(&other, &INITIATION, Index(1), &source(), &COOKIE_NONCE)
        .unwrap();

    assert_eq!(
        maker().consume_reply::<RustCrypto>(&reply, NOW),
        Err(Refusal::Invalid)
    );
}
