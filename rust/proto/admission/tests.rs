// SPDX-License-Identifier: GPL-2.0

//! Tests of the two doors.

use super::*;
use crate::{
    suite::RustCrypto,
    vectors::{
        self,
        COOKIE_NONCE,
        COOKIE_REPLY,
        COOKIE_SECRET,
        INITIATION,
        INITIATION_MAC2,
        RESPONSE, //
    }, //
};

const SENDER: Index = Index(vectors::INITIATOR_INDEX);

fn identity() -> Identity {
    let mut identity = Identity::zero();

    identity
        .initialize::<RustCrypto>(&vectors::RESPONDER)
        .unwrap();
    identity
}

fn with_mac2() -> [u8; INITIATION.len()] {
    let mut message = INITIATION;

    message[132..].copy_from_slice(&INITIATION_MAC2);
    message
}

/// Answers as it was told, and counts how often it is asked: for the load, for cookies, for the
/// rate and for a nonce.
#[derive(Default)]
struct Fake {
    under_load: bool,
    has_checker: bool,
    allows: bool,
    asked: [u32; 4],
}

impl Host for Fake {
    fn is_under_load(&mut self) -> bool {
        self.asked[0] += 1;
        self.under_load
    }

    fn copy_checker(&mut self, copy: &mut Checker) {
        self.asked[1] += 1;
        if self.has_checker {
            copy.refresh(|secret| *secret = COOKIE_SECRET, 0);
        }
    }

    fn allows(&mut self) -> bool {
        self.asked[2] += 1;
        self.allows
    }

    fn fill(&mut self, nonce: &mut [u8; 24]) {
        self.asked[3] += 1;
        *nonce = COOKIE_NONCE;
    }
}

/// Returns the decision on a message, and how often the host was asked.
fn decide(message: &[u8], port: u16, mut host: Fake) -> (Admission, [u32; 4]) {
    let source = Source::v4(&[192, 0, 2, 1], port);
    let decision = admit::<RustCrypto>(&identity(), message, SENDER, &source, &mut host);

    (decision, host.asked)
}

fn challenge() -> Admission {
    Admission::Challenge(CookieReply::from_bytes(&COOKIE_REPLY).unwrap())
}

#[test]
fn first_mac_opens_the_first_door() {
    let identity = identity();
    let first_mac = Some(identity.first_mac());
    let may_wait = |kind, message: &[u8], first_mac| {
        may_wait::<RustCrypto>(kind, message, first_mac, |_| panic!("not a reply"))
    };

    for kind in [Kind::Initiation, Kind::Response] {
        assert!(may_wait(kind, &INITIATION, first_mac));
        assert!(!may_wait(kind, &RESPONSE, first_mac));
        assert!(!may_wait(kind, &INITIATION, None));
        assert!(!may_wait(kind, &[], first_mac));
    }
    assert!(!may_wait(Kind::Data, &INITIATION, first_mac));
}

#[test]
fn cookie_reply_is_for_an_index() {
    let kind = Kind::CookieReply;

    for known in [false, true] {
        for message in [&COOKIE_REPLY[..], &COOKIE_REPLY[..63], &INITIATION] {
            let is_reply = message == COOKIE_REPLY;
            let is_known = |index| {
                assert_eq!(index, SENDER);
                known
            };

            // Whether or not we have an identity.
            assert_eq!(
                may_wait::<RustCrypto>(kind, message, None, is_known),
                known && is_reply
            );
        }
    }
}

#[test]
fn nothing_is_asked_for_without_load() {
    for message in [INITIATION, with_mac2()] {
        assert_eq!(
            decide(&message, 12345, Fake::default()),
            (Admission::Process, [1, 0, 0, 0])
        );
    }
}

#[test]
fn cookie_is_wanted_under_load() {
    let host = || Fake {
        under_load: true,
        has_checker: true,
        allows: true,
        ..Fake::default()
    };

    assert_eq!(
        decide(&with_mac2(), 12345, host()),
        (Admission::Process, [1, 1, 1, 0])
    );
    // None, or one for another source: the rate is not asked for.
    assert_eq!(
        decide(&INITIATION, 12345, host()),
        (challenge(), [1, 1, 0, 1])
    );
    let (decision, asked) = decide(&with_mac2(), 12346, host());
    assert!(matches!(decision, Admission::Challenge(_)));
    assert_eq!(asked, [1, 1, 0, 1]);
    // What is too short has no MACs.
    assert_eq!(decide(&[0; 31], 12345, host()).0, Admission::Refuse);
}

#[test]
fn rate_counts_with_a_cookie() {
    let host = || Fake {
        under_load: true,
        has_checker: true,
        ..Fake::default()
    };

    assert_eq!(
        decide(&with_mac2(), 12345, host()),
        (Admission::Refuse, [1, 1, 1, 0])
    );
    assert_eq!(decide(&INITIATION, 12345, host()).0, challenge());
}

#[test]
fn nobody_is_let_in_under_load_without_a_secret() {
    for message in [INITIATION, with_mac2()] {
        let host = Fake {
            under_load: true,
            allows: true,
            ..Fake::default()
        };

        assert_eq!(
            decide(&message, 12345, host),
            (Admission::Refuse, [1, 1, 0, 0])
        );
    }
}
