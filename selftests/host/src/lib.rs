// SPDX-License-Identifier: GPL-2.0

//! What the tests in `tests/` share.
//!
//! They test `rust/proto` as its users see it, and against other implementations. Tests of single
//! items are at the foot of the files there.

#![forbid(unsafe_code)]

use std::sync::Arc;

use wg_proto::{
    handshake::{
        Handshake,
        Outcome, //
    },
    identity::Identity,
    secret::Secret, //
};

// So that `suite` and `vectors`, which the unit tests of `rust/proto` share too, find it there.
use wg_proto::crypto;

pub mod pair;
#[cfg(feature = "quick")]
pub mod quick;
pub mod suite;
pub mod vectors;

use crypto::Suite;

/// Returns the identity of a private key, or `None` if that is all zero.
pub fn identity<S: Suite>(private: &[u8; 32]) -> Option<Arc<Identity>> {
    let mut identity = Identity::zero();

    identity.initialize::<S>(private)?;
    Some(Arc::new(identity))
}

/// The outcome of a handshake, and the keys.
pub struct Derived {
    /// Key of what we send.
    pub sending: Secret<32>,
    /// Key of what we receive.
    pub receiving: Secret<32>,
    /// All else.
    pub outcome: Outcome,
}

/// Ends a handshake, and returns what comes of it.
pub fn begin_session<S: Suite>(handshake: &mut Handshake<Arc<Identity>>) -> Option<Derived> {
    let (mut sending, mut receiving) = (Secret::zero(), Secret::zero());
    let outcome = handshake.begin_session::<S>(&mut sending, &mut receiving)?;

    Some(Derived {
        sending,
        receiving,
        outcome,
    })
}
