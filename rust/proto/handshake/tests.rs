// SPDX-License-Identifier: GPL-2.0

//! Tests of the handshake as it should be; those of how else it could be are in the modules.

/// Implements the methods of [`Suite`] that a suite has in common with [`RustCrypto`].
macro_rules! as_rust_crypto {
    () => {
        fn hash(parts: &[&[u8]], out: &mut [u8; 32]) {
            RustCrypto::hash(parts, out);
        }

        fn mac(key: &[u8], parts: &[&[u8]], out: &mut [u8; 16]) {
            RustCrypto::mac(key, parts, out);
        }

        fn seal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; 32]) {
            RustCrypto::seal(dst, src, ad, nonce, key);
        }

        fn open(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; 32]) -> bool {
            RustCrypto::open(dst, src, ad, nonce, key)
        }

        fn xseal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8; 24], key: &[u8; 32]) {
            RustCrypto::xseal(dst, src, ad, nonce, key);
        }

        fn xopen(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8; 24], key: &[u8; 32]) -> bool {
            RustCrypto::xopen(dst, src, ad, nonce, key)
        }
    };
}

mod claims;
mod hostile;
mod refusals;
mod states;

use std::{
    sync::Arc,
    vec::Vec, //
};

use super::*;
use crate::{
    suite::RustCrypto,
    vectors::{
        self,
        INITIATOR,
        INITIATOR_EPHEMERAL,
        PRESHARED_KEY,
        RESPONDER,
        RESPONDER_EPHEMERAL, //
    }, //
};

type TestHandshake = Handshake<Arc<Identity>>;

const INITIATOR_INDEX: Index = Index(vectors::INITIATOR_INDEX);
const RESPONDER_INDEX: Index = Index(vectors::RESPONDER_INDEX);

/// An index that stands for nothing.
const STRAY_INDEX: Index = Index(0xdead_beef);

fn identity(private: &[u8; 32]) -> Arc<Identity> {
    let mut identity = Identity::zero();

    identity.initialize::<RustCrypto>(private).unwrap();
    Arc::new(identity)
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds, 0)
}

/// Both ends of a handshake.
struct Pair {
    initiator: TestHandshake,
    responder: TestHandshake,
}

impl Pair {
    fn new() -> Self {
        let (initiator, responder) = (identity(&INITIATOR), identity(&RESPONDER));

        Self {
            initiator: Handshake::new::<RustCrypto>(
                responder.public(),
                &PRESHARED_KEY,
                Some(initiator.clone()),
            ),
            responder: Handshake::new::<RustCrypto>(
                initiator.public(),
                &PRESHARED_KEY,
                Some(responder),
            ),
        }
    }

    /// Creates the first message, at `seconds` on the initiator's clock.
    fn initiate(&mut self, seconds: i64) -> Initiation {
        self.initiator
            .create_initiation::<RustCrypto>(
                &mut Secret::from(&INITIATOR_EPHEMERAL),
                INITIATOR_INDEX,
                time(seconds),
            )
            .unwrap()
    }

    /// Consumes the first message, at `now_ns` on the responder's clock.
    fn consume(&mut self, message: &Initiation, now_ns: u64) -> Result<(), Refusal> {
        let mut claim = claim(&self.responder, message).ok_or(Refusal::Crypto)?;

        self.responder
            .consume_initiation::<RustCrypto>(&mut claim, now_ns)
    }

    /// Creates the second message.
    fn respond(&mut self) -> Response {
        respond(&mut self.responder).unwrap()
    }

    /// Does all up to the creation of the second message.
    fn until_response() -> (Self, Response) {
        let mut pair = Self::new();
        let initiation = pair.initiate(1);

        pair.consume(&initiation, 0).unwrap();

        let response = pair.respond();

        (pair, response)
    }
}

fn claim(handshake: &TestHandshake, message: &Initiation) -> Option<Claim<Arc<Identity>>> {
    open::<RustCrypto>(handshake.identity()?, message)
}

fn open<S: Suite>(identity: &Arc<Identity>, message: &Initiation) -> Option<Claim<Arc<Identity>>> {
    let mut claim = Claim::new(identity, message);

    claim.open::<S>()?;
    Some(claim)
}

/// The outcome of a handshake.
struct Derived {
    sending: Secret<32>,
    receiving: Secret<32>,
    outcome: Outcome,
}

fn begin_session(handshake: &mut TestHandshake) -> Option<Derived> {
    let (mut sending, mut receiving) = (Secret::zero(), Secret::zero());
    let outcome = handshake.begin_session::<RustCrypto>(&mut sending, &mut receiving)?;

    Some(Derived {
        sending,
        receiving,
        outcome,
    })
}

fn respond(handshake: &mut TestHandshake) -> Option<Response> {
    handshake
        .create_response::<RustCrypto>(&mut Secret::from(&RESPONDER_EPHEMERAL), RESPONDER_INDEX)
}

/// Everything that a handshake in progress consists of.
#[derive(Debug, PartialEq)]
struct Snapshot {
    state: (&'static str, Option<Index>, Option<Index>, Option<[u8; 32]>),
    ephemeral: [u8; 32],
    symmetric: [u8; 48],
    accepted: (Timestamp, Option<u64>),
}

impl Snapshot {
    fn of(handshake: &TestHandshake) -> Self {
        let local = handshake.local_index();
        let state = match handshake.state {
            State::Zeroed => ("zeroed", local, None, None),
            State::CreatedInitiation { .. } => ("created initiation", local, None, None),
            State::ConsumedInitiation {
                remote,
                remote_ephemeral,
                ..
            } => (
                "consumed initiation",
                local,
                Some(remote),
                Some(remote_ephemeral),
            ),
            State::CreatedResponse { remote, .. } => {
                ("created response", local, Some(remote), None)
            }
            State::ConsumedResponse { remote, .. } => {
                ("consumed response", local, Some(remote), None)
            }
        };
        // Something encrypted depends on both the chaining key and the hash.
        let mut copy = SymmetricState::zero();
        let mut key = Secret::zero();
        let mut symmetric = [0; 48];

        copy.copy_from(&handshake.symmetric);
        copy.mix_key::<RustCrypto>(&[], &mut key);
        copy.encrypt_and_hash::<RustCrypto>(&key, &[0; 32], &mut symmetric);

        Self {
            state,
            ephemeral: *handshake.ephemeral.as_bytes(),
            symmetric,
            accepted: (handshake.latest_timestamp, handshake.last_consumption_ns),
        }
    }
}

#[test]
fn messages_and_keys_are_the_known_ones() {
    let mut pair = Pair::new();
    let (seconds, nanos) = vectors::TIME;
    let initiation = pair
        .initiator
        .create_initiation::<RustCrypto>(
            &mut Secret::from(&INITIATOR_EPHEMERAL),
            INITIATOR_INDEX,
            Timestamp::from_unix(seconds, nanos),
        )
        .unwrap();

    assert_eq!(initiation.to_bytes()[..116], vectors::INITIATION[..116]);
    assert_eq!(initiation.macs, Macs::default());
    assert_eq!(pair.consume(&initiation, 0), Ok(()));

    let response = pair.respond();

    assert_eq!(response.to_bytes()[..60], vectors::RESPONSE[..60]);
    assert_eq!(response.macs, Macs::default());
    assert_eq!(
        pair.initiator.consume_response::<RustCrypto>(&response),
        Some(())
    );

    let ours = begin_session(&mut pair.initiator).unwrap();
    let theirs = begin_session(&mut pair.responder).unwrap();

    assert_eq!(ours.outcome.role, Role::Initiator);
    assert_eq!(ours.outcome.local_index, INITIATOR_INDEX);
    assert_eq!(ours.outcome.remote_index, RESPONDER_INDEX);
    assert_eq!(ours.sending.as_bytes(), &vectors::INITIATOR_KEY);
    assert_eq!(ours.receiving.as_bytes(), &vectors::RESPONDER_KEY);

    assert_eq!(theirs.outcome.role, Role::Responder);
    assert_eq!(theirs.outcome.local_index, RESPONDER_INDEX);
    assert_eq!(theirs.outcome.remote_index, INITIATOR_INDEX);
    assert_eq!(theirs.sending.as_bytes(), &vectors::RESPONDER_KEY);
    assert_eq!(theirs.receiving.as_bytes(), &vectors::INITIATOR_KEY);

    let mut data = [0; 48];
    let (header, sealed) = data.split_at_mut(16);

    header.copy_from_slice(
        &crate::wire::DataHeader {
            receiver: ours.outcome.remote_index,
            counter: 1,
        }
        .to_bytes(),
    );
    RustCrypto::seal(sealed, &vectors::DATA_TEXT, &[], 1, ours.sending.as_bytes());
    assert_eq!(data[..], vectors::DATA[..]);
}

#[test]
fn an_ephemeral_key_need_not_be_clamped() {
    let mut pair = Pair::new();
    let mut ephemeral = Secret::from(&INITIATOR_EPHEMERAL);

    ephemeral.as_mut_bytes()[0] |= 7;
    ephemeral.as_mut_bytes()[31] |= 0x80;

    let initiation = pair
        .initiator
        .create_initiation::<RustCrypto>(&mut ephemeral, INITIATOR_INDEX, time(1))
        .unwrap();

    assert_eq!(initiation.ephemeral, vectors::INITIATION[8..40]);
    assert_eq!(initiation, Pair::new().initiate(1));
}

#[test]
fn a_claim_names_the_sender() {
    let mut pair = Pair::new();
    let message = pair.initiate(1);

    assert_eq!(
        claim(&pair.responder, &message).unwrap().remote_static(),
        &vectors::INITIATOR_PUBLIC
    );
    // Nobody else can read it.
    assert!(claim(&pair.initiator, &message).is_none());
}

#[test]
fn knows_who_is_who() {
    let mut handshake = Pair::new().initiator;

    assert_eq!(&handshake.remote_static, &vectors::RESPONDER_PUBLIC);
    assert_eq!(
        handshake.identity().unwrap().public(),
        &vectors::INITIATOR_PUBLIC
    );
    assert_eq!(handshake.preshared_key.as_bytes(), &PRESHARED_KEY);
    handshake.set_preshared_key(&[7; 32]);
    assert_eq!(handshake.preshared_key.as_bytes(), &[7; 32]);
    handshake.set_identity::<RustCrypto>(None);
    assert!(handshake.identity().is_none());
    assert!(handshake.static_static.is_zero::<RustCrypto>());
}

#[test]
fn the_first_initiation_has_not_to_wait() {
    let mut pair = Pair::new();
    let message = pair.initiate(0);

    assert_eq!(pair.consume(&message, 0), Ok(()));
}

#[test]
fn both_may_initiate_at_once() {
    let mut pair = Pair::new();
    let ours = pair.initiate(1);
    let theirs = pair
        .responder
        .create_initiation::<RustCrypto>(&mut Secret::from(&[5; 32]), Index(80), time(1))
        .unwrap();

    // Each supersedes its own by that of the other, and answers.
    pair.consume(&ours, 0).unwrap();
    let mut claim = claim(&pair.initiator, &theirs).unwrap();
    pair.initiator
        .consume_initiation::<RustCrypto>(&mut claim, 0)
        .unwrap();
    assert_eq!(pair.initiator.local_index(), Some(INITIATOR_INDEX));
    assert_eq!(pair.responder.local_index(), Some(Index(80)));

    let to_ours = respond(&mut pair.responder).unwrap();
    let to_theirs = respond(&mut pair.initiator).unwrap();

    assert!(pair
        .initiator
        .consume_response::<RustCrypto>(&to_ours)
        .is_none());
    assert!(pair
        .responder
        .consume_response::<RustCrypto>(&to_theirs)
        .is_none());
    for handshake in [&mut pair.initiator, &mut pair.responder] {
        let derived = begin_session(handshake).unwrap();

        assert_eq!(derived.outcome.role, Role::Responder);
    }
}

#[test]
fn sessions_do_not_share_keys() {
    let mut keys = Vec::new();

    for number in 1..10u8 {
        let mut pair = Pair::new();
        let message = pair
            .initiator
            .create_initiation::<RustCrypto>(
                &mut Secret::from(&[number; 32]),
                INITIATOR_INDEX,
                time(1),
            )
            .unwrap();

        pair.consume(&message, 0).unwrap();
        pair.respond();

        let derived = begin_session(&mut pair.responder).unwrap();

        keys.push(*derived.sending.as_bytes());
        keys.push(*derived.receiving.as_bytes());
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 18);
}
