// SPDX-License-Identifier: GPL-2.0

//! Handshakes: with `snow`, another implementation of Noise, and with messages that were changed on
//! their way.

#![no_main]

use std::sync::Arc;

use snow::{
    Builder,
    HandshakeState, //
};
use wg_fuzz::{
    fuzz_target,
    Bytes, //
};
use wg_proto::{
    cookie::Maker,
    crypto::Suite,
    handshake::{
        Claim,
        Handshake,
        Refusal,
        Role, //
    },
    identity::Identity,
    secret::Secret,
    tai64n::Timestamp,
    wire::{
        Index,
        Initiation,
        Macs,
        Response,
        INITIATION_LEN,
        RESPONSE_LEN, //
    }, //
};
use wg_selftests::{
    begin_session,
    identity,
    pair::random::Random,
    quick::Quick,
    suite::RustCrypto,
    Derived, //
};

const OURS: Index = Index(1);
const THEIRS: Index = Index(0x8765_4321);

/// Keys of a handshake.
struct Keys {
    /// Private keys of both sides.
    private: [[u8; 32]; 2],
    /// Their ephemeral private keys.
    ephemeral: [[u8; 32]; 2],
    /// The preshared key.
    psk: [u8; 32],
    time: Timestamp,
}

impl Keys {
    /// Draws keys: few bytes are enough for any, and more for certain ones.
    fn new(bytes: &mut Bytes<'_>) -> Self {
        let how = bytes.u8();
        let mut random = Random::new(bytes.u16().into());
        let mut key = |bit: u8| match how >> bit & 1 {
            0 => random.bytes(),
            _ => {
                let mut key = bytes.array();
                // Zeros are none.
                key[1] |= 1;
                key
            }
        };

        let private = [key(0), key(1)];
        let ephemeral = [key(2), key(3)];
        let psk = key(4);
        Self {
            private,
            ephemeral,
            psk,
            time: Timestamp::from_unix(bytes.u16().into(), bytes.u32()),
        }
    }

    fn side<S: Suite>(&self, side: usize) -> Handshake<Arc<Identity>> {
        let [own, other] = [side, 1 - side].map(|side| identity::<S>(&self.private[side]).unwrap());

        Handshake::new::<S>(other.public(), &self.psk, Some(own))
    }

    /// Returns the second side, by snow.
    fn snow(&self, role: Role) -> HandshakeState {
        let ours = identity::<RustCrypto>(&self.private[0]).unwrap();
        let builder = Builder::new("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s".parse().unwrap())
            .prologue(b"WireGuard v1 zx2c4 Jason@zx2c4.com")
            .local_private_key(&self.private[1])
            .fixed_ephemeral_key_for_testing_only(&self.ephemeral[1])
            .psk(2, &self.psk);

        match role {
            Role::Initiator => builder
                .remote_public_key(ours.public())
                .build_initiator()
                .unwrap(),
            Role::Responder => builder.build_responder().unwrap(),
        }
    }
}

/// Asserts that our keys are those of snow.
fn assert_keys(ours: &Derived, mut theirs: HandshakeState) {
    let (initiator, responder) = theirs.dangerously_get_raw_split();
    let (sending, receiving) = match ours.outcome.role {
        Role::Initiator => (initiator, responder),
        Role::Responder => (responder, initiator),
    };

    assert_eq!(ours.sending.as_bytes(), &sending);
    assert_eq!(ours.receiving.as_bytes(), &receiving);
    assert_eq!(ours.outcome.local_index, OURS);
    assert_eq!(ours.outcome.remote_index, THEIRS);
}

/// We begin, and snow answers.
fn to_snow(keys: &Keys) {
    let (mut us, mut them) = (keys.side::<RustCrypto>(0), keys.snow(Role::Responder));
    let ephemeral = &mut Secret::from(&keys.ephemeral[0]);
    let initiation = us
        .create_initiation::<RustCrypto>(ephemeral, OURS, keys.time)
        .unwrap()
        .to_bytes();
    let (mut payload, mut message) = ([0; 12], [0; 48]);

    assert_eq!(them.read_message(&initiation[8..116], &mut payload), Ok(12));
    assert_eq!(payload, keys.time.0);
    them.write_message(&[], &mut message).unwrap();
    let response = Response {
        sender: THEIRS,
        receiver: OURS,
        ephemeral: message[..32].try_into().unwrap(),
        encrypted_nothing: message[32..].try_into().unwrap(),
        macs: Macs::default(),
    };
    us.consume_response::<RustCrypto>(&response).unwrap();
    assert_keys(&begin_session::<RustCrypto>(&mut us).unwrap(), them);
}

/// Snow begins, and we answer.
fn from_snow(keys: &Keys) {
    let (mut us, mut them) = (keys.side::<RustCrypto>(0), keys.snow(Role::Initiator));
    let mut message = [0; 108];

    them.write_message(&keys.time.0, &mut message).unwrap();
    let initiation = Initiation {
        sender: THEIRS,
        ephemeral: message[..32].try_into().unwrap(),
        encrypted_static: message[32..80].try_into().unwrap(),
        encrypted_timestamp: message[80..].try_into().unwrap(),
        macs: Macs::default(),
    };
    assert_eq!(
        consume::<RustCrypto>(&mut us, &initiation.to_bytes()),
        Some(Ok(()))
    );
    let ephemeral = &mut Secret::from(&keys.ephemeral[0]);
    let response = us.create_response::<RustCrypto>(ephemeral, OURS).unwrap();
    assert_eq!(response.receiver, THEIRS);
    assert_eq!(
        them.read_message(&response.to_bytes()[12..60], &mut []),
        Ok(0)
    );
    assert_keys(&begin_session::<RustCrypto>(&mut us).unwrap(), them);
}

/// Takes an initiation; returns nothing if it is none that was sent to us.
fn consume<S: Suite>(
    handshake: &mut Handshake<Arc<Identity>>,
    bytes: &[u8; INITIATION_LEN],
) -> Option<Result<(), Refusal>> {
    let message = Initiation::from_bytes(bytes)?;
    let mut claim = Claim::new(handshake.identity().unwrap(), &message);

    claim.open::<S>()?;
    Some(handshake.consume_initiation::<S>(&mut claim, 0))
}

/// Changes a message in some places, which may be none.
fn change<const N: usize>(message: &[u8; N], bytes: &mut Bytes<'_>) -> [u8; N] {
    let mut changed = *message;

    for _ in 0..1 + bytes.below(3) {
        let at = bytes.below(N);
        match bytes.u8() {
            bit @ ..=7 => changed[at] ^= 1 << bit,
            byte => changed[at] ^= byte,
        }
    }
    changed
}

/// Asserts that the first MAC covers all that precedes it.
fn check_mac1<S: Suite>(to: &Handshake<Arc<Identity>>, message: &[u8], changed: &[u8]) {
    let covered = message.len() - 16;
    let check = to.identity().unwrap().first_mac();

    assert!(check.is_right::<S>(message));
    let same = message[..covered] == changed[..covered];
    assert_eq!(check.is_right::<S>(changed), same);
}

/// A handshake in which each message is preceded by changed ones.
fn attacked<S: Suite>(keys: &Keys, bytes: &mut Bytes<'_>) {
    let (mut initiator, mut responder) = (keys.side::<S>(0), keys.side::<S>(1));
    let mut makers = [1, 0].map(|side| {
        let identity = identity::<S>(&keys.private[side]).unwrap();
        Maker::new::<S>(identity.public())
    });
    let ephemeral = &mut Secret::from(&keys.ephemeral[0]);
    let initiation = initiator.create_initiation::<S>(ephemeral, OURS, keys.time);
    let mut initiation = initiation.unwrap().to_bytes();
    makers[0].add_macs::<S>(&mut initiation, 0);
    // The index at its sender is not authenticated but by the first MAC.
    let mut remote = OURS;
    let mut taken = false;

    for _ in 0..bytes.below(4) {
        let changed = change(&initiation, bytes);
        check_mac1::<S>(&responder, &initiation, &changed);
        let same = changed[..4] == initiation[..4] && changed[8..116] == initiation[8..116];
        let got = consume::<S>(&mut responder, &changed);
        match (same, taken) {
            (false, _) => assert!(!matches!(got, Some(Ok(())))),
            (true, false) => assert_eq!(got, Some(Ok(()))),
            (true, true) => assert_eq!(got, Some(Err(Refusal::Replay))),
        }
        if same && !taken {
            taken = true;
            remote = Initiation::from_bytes(&changed).unwrap().sender;
        }
    }
    // The unchanged one is as good as ever, once.
    let got = consume::<S>(&mut responder, &initiation).unwrap();
    assert_eq!(got, if taken { Err(Refusal::Replay) } else { Ok(()) });
    let got = consume::<S>(&mut responder, &initiation);
    assert_eq!(got, Some(Err(Refusal::Replay)));

    let ephemeral = &mut Secret::from(&keys.ephemeral[1]);
    let response = responder.create_response::<S>(ephemeral, THEIRS).unwrap();
    assert_eq!(response.receiver, remote);
    let mut response = Response {
        receiver: OURS,
        ..response
    }
    .to_bytes();
    makers[1].add_macs::<S>(&mut response, 0);
    let responder = begin_session::<S>(&mut responder).unwrap();
    answer::<S>(initiator, &response, bytes, &responder);
}

/// The second half of [`attacked`].
fn answer<S: Suite>(
    mut initiator: Handshake<Arc<Identity>>,
    response: &[u8; RESPONSE_LEN],
    bytes: &mut Bytes<'_>,
    responder: &Derived,
) {
    let mut taken = None;

    for _ in 0..bytes.below(4) {
        let changed = change(response, bytes);
        check_mac1::<S>(&initiator, response, &changed);
        let same = changed[..4] == response[..4] && changed[8..60] == response[8..60];
        let parsed = Response::from_bytes(&changed);
        let got = parsed
            .as_ref()
            .and_then(|parsed| initiator.consume_response::<S>(parsed));
        assert_eq!(got.is_some(), same && taken.is_none());
        if got.is_some() {
            taken = parsed.map(|parsed| parsed.sender);
        }
    }
    let parsed = Response::from_bytes(response).unwrap();
    let got = initiator.consume_response::<S>(&parsed);
    assert_eq!(got.is_some(), taken.is_none());
    assert!(initiator.consume_response::<S>(&parsed).is_none());

    let initiator = begin_session::<S>(&mut initiator).unwrap();
    assert_eq!(initiator.sending.as_bytes(), responder.receiving.as_bytes());
    assert_eq!(initiator.receiving.as_bytes(), responder.sending.as_bytes());
    assert_ne!(initiator.sending.as_bytes(), initiator.receiving.as_bytes());
    let outcome = initiator.outcome;
    assert_eq!(outcome.role, Role::Initiator);
    assert_eq!(responder.outcome.role, Role::Responder);
    assert_eq!(outcome.local_index, OURS);
    assert_eq!(outcome.remote_index, taken.unwrap_or(THEIRS));
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes::new(data);
    let how = bytes.u8();
    let keys = Keys::new(&mut bytes);

    // What is not about curves is tried without, which takes a fiftieth of the time.
    match how {
        0..=0xef => attacked::<Quick>(&keys, &mut bytes),
        0xf0..=0xf7 => attacked::<RustCrypto>(&keys, &mut bytes),
        0xf8..=0xfb => to_snow(&keys),
        _ => from_snow(&keys),
    }
});
