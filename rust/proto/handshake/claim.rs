// SPDX-License-Identifier: GPL-2.0

//! The first half of consuming an initiation.

use core::ops::Deref;

use super::Identity;
use crate::{
    crypto::Suite,
    noise::SymmetricState,
    secret::Secret,
    tai64n::Timestamp,
    wire::{
        Index,
        Initiation, //
    }, //
};

/// An initiation that says by which peer it is, but does not prove it yet.
pub struct Claim<I> {
    /// Whom it was sent to.
    pub(super) identity: I,
    /// What both sides have in common.
    pub(super) symmetric: SymmetricState,
    /// Index at the sender's side.
    pub(super) remote_index: Index,
    /// Ephemeral public key of the sender.
    pub(super) remote_ephemeral: [u8; 32],
    /// Static public key of the sender, once it was read.
    remote_static: [u8; 32],
    /// The same, as it was sent.
    encrypted_static: [u8; 48],
    /// The proof.
    encrypted_timestamp: [u8; 28],
}

impl<I: Deref<Target = Identity> + Clone> Claim<I> {
    /// Returns the claim in an initiation that was sent to `identity`, to be [opened](Self::open).
    pub fn new(identity: &I, message: &Initiation) -> Self {
        Self {
            identity: identity.clone(),
            symmetric: SymmetricState::zero(),
            remote_index: message.sender,
            remote_ephemeral: message.ephemeral,
            remote_static: [0; 32],
            encrypted_static: message.encrypted_static,
            encrypted_timestamp: message.encrypted_timestamp,
        }
    }

    /// Reads the sender's public key; `-> e, es, s`.
    ///
    /// Returns `None` if the initiation was not sent to that identity. The claim is good for nothing
    /// then.
    pub fn open<S: Suite>(&mut self) -> Option<()> {
        let symmetric = &mut self.symmetric;
        let private = self.identity.private_key();
        let mut key = Secret::zero();

        symmetric.initialize::<S>(self.identity.public());

        // e
        symmetric.mix_ephemeral::<S>(&self.remote_ephemeral);

        // es
        symmetric.mix_dh::<S>(private, &self.remote_ephemeral, Some(&mut key))?;

        // s
        symmetric.decrypt_and_hash::<S>(&key, &self.encrypted_static, &mut self.remote_static)
    }

    /// Returns the static public key of the peer that this claims to be by.
    pub fn remote_static(&self) -> &[u8; 32] {
        &self.remote_static
    }

    /// Returns the time stamp, which proves the claim; `-> ss, {t}`.
    pub(super) fn prove<S: Suite>(&mut self, static_static: &Secret<32>) -> Option<Timestamp> {
        let mut key = Secret::zero();
        let mut timestamp = Timestamp::default();

        // ss
        self.symmetric
            .mix_precomputed_dh::<S>(static_static, &mut key)?;

        // {t}
        self.symmetric
            .decrypt_and_hash::<S>(&key, &self.encrypted_timestamp, &mut timestamp.0)?;
        Some(timestamp)
    }
}
