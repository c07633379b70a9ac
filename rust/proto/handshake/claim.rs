// SPDX-License-Identifier: GPL-2.0

//! The first half of consuming an initiation.

use core::ops::Deref;

use crate::{
    crypto::Suite,
    identity::Identity,
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
    /// What both sides have in common: the transcript hash and the chaining key.
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
    /// The time stamp, if the claim has proven itself.
    timestamp: Option<Timestamp>,
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
            timestamp: None,
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

    /// Has the claim prove itself before there is a handshake with that peer, which an impostor is
    /// not worth.
    ///
    /// Takes a Diffie-Hellman, whose result a handshake would have. Returns `None` if it is not by
    /// the peer that it claims to be by, and is good for nothing then.
    pub fn prove_alone<S: Suite>(&mut self) -> Option<()> {
        let mut static_static = Secret::zero();

        S::x25519(
            static_static.as_mut_bytes(),
            self.identity.private(),
            &self.remote_static,
        )
        .then_some(())?;
        self.timestamp = Some(self.prove::<S>(&static_static)?);
        Some(())
    }

    /// Returns the time stamp of a claim that has proven itself before, or does so now, to the
    /// handshake with the peer that has this public key, and this secret in common with us.
    pub(super) fn proof<S: Suite>(
        &mut self,
        remote_static: &[u8; 32],
        static_static: &Secret<32>,
    ) -> Option<Timestamp> {
        match self.timestamp {
            Some(timestamp) => (self.remote_static == *remote_static).then_some(timestamp),
            None => self.prove::<S>(static_static),
        }
    }

    /// Returns the time stamp, which proves the claim; `-> ss, {t}`.
    fn prove<S: Suite>(&mut self, static_static: &Secret<32>) -> Option<Timestamp> {
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
