// SPDX-License-Identifier: GPL-2.0

//! Our handshake against `snow`, another implementation of Noise.
//!
//! It knows the pattern but not WireGuard, so the messages lack what is not Noise's: type, indices
//! and MACs.

use std::sync::Arc;

use proptest::prelude::*;
use snow::{
    Builder,
    HandshakeState, //
};
use wg_proto::{
    crypto::Suite,
    handshake::{
        Claim,
        Handshake,
        Role, //
    },
    identity::Identity,
    secret::Secret,
    tai64n::Timestamp,
    wire::{
        Index,
        Initiation,
        Macs,
        Response, //
    }, //
};
use wg_selftests::{
    begin_session,
    identity,
    suite::RustCrypto,
    vectors,
    Derived, //
};

const OUR_INDEX: Index = Index(1);
const THEIR_INDEX: Index = Index(2);

/// Keys of a handshake: ours, snow's, ours that is ephemeral, snow's, and the preshared one.
#[derive(Clone, Debug)]
struct Keys {
    ours: [u8; 32],
    theirs: [u8; 32],
    our_ephemeral: [u8; 32],
    their_ephemeral: [u8; 32],
    preshared: [u8; 32],
}

impl Keys {
    fn their_public(&self) -> [u8; 32] {
        *identity::<RustCrypto>(&self.theirs).unwrap().public()
    }

    fn us(&self) -> Handshake<Arc<Identity>> {
        let public = self.their_public();

        Handshake::new::<RustCrypto>(&public, &self.preshared, identity::<RustCrypto>(&self.ours))
    }

    fn them(&self, role: Role) -> HandshakeState {
        let public = *identity::<RustCrypto>(&self.ours).unwrap().public();
        let builder = Builder::new("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s".parse().unwrap())
            .prologue(b"WireGuard v1 zx2c4 Jason@zx2c4.com")
            .local_private_key(&self.theirs)
            .fixed_ephemeral_key_for_testing_only(&self.their_ephemeral)
            .psk(2, &self.preshared);

        match role {
            Role::Initiator => builder.remote_public_key(&public).build_initiator(),
            Role::Responder => builder.build_responder(),
        }
        .unwrap()
    }
}

/// Asserts that both sides have the same keys, and can talk.
fn assert_session(ours: &Derived, mut theirs: HandshakeState) {
    let (initiator, responder) = theirs.dangerously_get_raw_split();
    let (sending, receiving) = match ours.outcome.role {
        Role::Initiator => (initiator, responder),
        Role::Responder => (responder, initiator),
    };

    assert_eq!(ours.sending.as_bytes(), &sending);
    assert_eq!(ours.receiving.as_bytes(), &receiving);
    assert_eq!(
        (ours.outcome.local_index, ours.outcome.remote_index),
        (OUR_INDEX, THEIR_INDEX)
    );

    let theirs = theirs.into_stateless_transport_mode().unwrap();

    for nonce in [0, 1, 0x0102_0304_0506_0708] {
        let text = b"Not even Eve could read it.";
        let mut sealed = [0; 43];
        let mut opened = [0; 27];

        RustCrypto::seal(&mut sealed, text, &[], nonce, ours.sending.as_bytes());
        assert_eq!(theirs.read_message(nonce, &sealed, &mut opened), Ok(27));
        assert_eq!(&opened, text);

        assert_eq!(theirs.write_message(nonce, text, &mut sealed), Ok(43));
        assert!(RustCrypto::open(
            &mut opened,
            &sealed,
            &[],
            nonce,
            ours.receiving.as_bytes()
        ));
        assert_eq!(&opened, text);
    }
}

/// Sends our initiation to snow, and expects what it answers.
fn we_initiate(keys: &Keys, time: Timestamp) {
    let (mut us, mut them) = (keys.us(), keys.them(Role::Responder));
    let initiation = us
        .create_initiation::<RustCrypto>(&mut Secret::from(&keys.our_ephemeral), OUR_INDEX, time)
        .unwrap();
    let mut payload = [0; 12];

    assert_eq!(
        them.read_message(&initiation.to_bytes()[8..116], &mut payload),
        Ok(12)
    );
    assert_eq!(payload, time.0);
    assert_eq!(
        them.get_remote_static().unwrap(),
        us.identity().unwrap().public()
    );

    let mut message = [0; 48];

    assert_eq!(them.write_message(&[], &mut message), Ok(48));

    let (ephemeral, tag) = message.split_at(32);
    let mut response = Response {
        sender: THEIR_INDEX,
        receiver: OUR_INDEX,
        ephemeral: ephemeral.try_into().unwrap(),
        encrypted_nothing: tag.try_into().unwrap(),
        macs: Macs::default(),
    };

    response.encrypted_nothing[3] ^= 1;
    assert_eq!(us.consume_response::<RustCrypto>(&response), None);
    response.encrypted_nothing[3] ^= 1;
    assert_eq!(us.consume_response::<RustCrypto>(&response), Some(()));

    let derived = begin_session::<RustCrypto>(&mut us).unwrap();

    assert_eq!(derived.outcome.role, Role::Initiator);
    assert_session(&derived, them);
}

/// Answers an initiation by snow.
fn they_initiate(keys: &Keys, time: Timestamp) {
    let (mut us, mut them) = (keys.us(), keys.them(Role::Initiator));
    let mut message = [0; 108];

    assert_eq!(them.write_message(&time.0, &mut message), Ok(108));

    let initiation = Initiation {
        sender: THEIR_INDEX,
        ephemeral: message[..32].try_into().unwrap(),
        encrypted_static: message[32..80].try_into().unwrap(),
        encrypted_timestamp: message[80..].try_into().unwrap(),
        macs: Macs::default(),
    };
    let mut claim = Claim::new(us.identity().unwrap(), &initiation);

    claim.open::<RustCrypto>().unwrap();

    assert_eq!(claim.remote_static(), &keys.their_public());
    assert_eq!(us.consume_initiation::<RustCrypto>(&mut claim, 0), Ok(()));

    let response = us
        .create_response::<RustCrypto>(&mut Secret::from(&keys.our_ephemeral), OUR_INDEX)
        .unwrap();

    assert_eq!(response.receiver, THEIR_INDEX);
    assert_eq!(
        them.read_message(&response.to_bytes()[12..60], &mut []),
        Ok(0)
    );

    let derived = begin_session::<RustCrypto>(&mut us).unwrap();

    assert_eq!(derived.outcome.role, Role::Responder);
    assert_session(&derived, them);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_keys_will_do(
        ours: [u8; 32],
        theirs: [u8; 32],
        our_ephemeral: [u8; 32],
        their_ephemeral: [u8; 32],
        preshared: [u8; 32],
        seconds in 0i64..1 << 40,
        nanos in 0u32..1_000_000_000,
    ) {
        let keys = Keys {
            ours,
            theirs,
            our_ephemeral,
            their_ephemeral,
            preshared,
        };
        let time = Timestamp::from_unix(seconds, nanos);

        we_initiate(&keys, time);
        they_initiate(&keys, time);
    }
}

#[test]
fn no_preshared_key_is_one_of_zeros() {
    let keys = Keys {
        ours: vectors::INITIATOR,
        theirs: vectors::RESPONDER,
        our_ephemeral: vectors::INITIATOR_EPHEMERAL,
        their_ephemeral: vectors::RESPONDER_EPHEMERAL,
        preshared: [0; 32],
    };

    we_initiate(&keys, Timestamp::from_unix(1, 0));
    they_initiate(&keys, Timestamp::from_unix(1, 0));
}

#[test]
fn snow_gives_the_known_messages_and_keys() {
    let keys = Keys {
        ours: vectors::RESPONDER,
        theirs: vectors::INITIATOR,
        our_ephemeral: vectors::RESPONDER_EPHEMERAL,
        their_ephemeral: vectors::INITIATOR_EPHEMERAL,
        preshared: vectors::PRESHARED_KEY,
    };
    let (seconds, nanos) = vectors::TIME;
    let mut snow = keys.them(Role::Initiator);
    let mut message = [0; 108];

    snow.write_message(&Timestamp::from_unix(seconds, nanos).0, &mut message)
        .unwrap();
    assert_eq!(message, vectors::INITIATION[8..116]);
    snow.read_message(&vectors::RESPONSE[12..60], &mut [])
        .unwrap();
    assert_eq!(
        snow.dangerously_get_raw_split(),
        (vectors::INITIATOR_KEY, vectors::RESPONDER_KEY)
    );
}

#[test]
fn another_preshared_key_is_noticed_by_both() {
    let keys = Keys {
        ours: vectors::INITIATOR,
        theirs: vectors::RESPONDER,
        our_ephemeral: vectors::INITIATOR_EPHEMERAL,
        their_ephemeral: vectors::RESPONDER_EPHEMERAL,
        preshared: vectors::PRESHARED_KEY,
    };
    let mut us = keys.us();
    let mut them = keys.them(Role::Initiator);
    let mut message = [0; 148];

    // The first message does not depend on it, so it is accepted.
    us.set_preshared_key(&[1; 32]);
    them.write_message(&[9; 12], &mut message[8..116]).unwrap();
    message[0] = 1;

    let initiation = Initiation::from_bytes(&message).unwrap();
    let mut claim = Claim::new(us.identity().unwrap(), &initiation);

    claim.open::<RustCrypto>().unwrap();

    assert_eq!(us.consume_initiation::<RustCrypto>(&mut claim, 0), Ok(()));

    let response = us
        .create_response::<RustCrypto>(&mut Secret::from(&[1; 32]), OUR_INDEX)
        .unwrap();

    assert!(them
        .read_message(&response.to_bytes()[12..60], &mut [])
        .is_err());
}
