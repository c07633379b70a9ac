// SPDX-License-Identifier: GPL-2.0

//! The first half of consuming an initiation.

use core::{
    ops::Deref,
    ptr, //
};

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

/// An initiation that claims to be from a peer, but has not proven it yet.
pub struct Claim<I> {
    /// The static identity that it was sent to.
    pub(super) identity: I,
    /// Noise's symmetric state: the transcript hash and the chaining key.
    pub(super) symmetric: SymmetricState,
    /// Index at the sender's side.
    pub(super) remote_index: Index,
    /// Ephemeral public key of the sender.
    pub(super) remote_ephemeral: [u8; 32],
    /// Static public key of the sender, once decrypted.
    remote_static: [u8; 32],
    /// The same, encrypted.
    encrypted_static: [u8; 48],
    /// The timestamp, encrypted: the proof.
    encrypted_timestamp: [u8; 28],
    /// The timestamp, if the claim has been proven.
    timestamp: Option<Timestamp>,
    /// X25519 of both static keys, if the claim has been proven.
    static_static: Secret<32>,
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
            static_static: Secret::zero(),
        }
    }

    /// Reads the sender's public key; `-> e, es, s`.
    ///
    /// Returns `None` if the initiation was not sent to that identity. The claim must not be used any
    /// further then.
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

    /// Returns the static public key of the peer that this claims to be from.
    pub fn remote_static(&self) -> &[u8; 32] {
        &self.remote_static
    }

    /// Verifies the claim before a handshake with that peer is allocated, so that an impostor cannot
    /// cause that.
    ///
    /// This costs a Diffie-Hellman, whose result [`Handshake::set_identity_for`] takes. Returns `None` if
    /// it is not from the peer that it claims to be from. The claim must not be used any further then.
    ///
    /// [`Handshake::set_identity_for`]: super::Handshake::set_identity_for
    pub fn prove_alone<S: Suite>(&mut self) -> Option<()> {
        let private = self.identity.private();

        S::x25519(
            self.static_static.as_mut_bytes(),
            private,
            &self.remote_static,
        )
        .then_some(())?;
        self.timestamp = Some(prove::<S>(
            &mut self.symmetric,
            &self.static_static,
            &self.encrypted_timestamp,
        )?);
        Some(())
    }

    /// Returns X25519 of both static keys if the claim has [proven](Self::prove_alone) to be from the peer
    /// with that public key, to the one with that identity.
    pub(super) fn static_static(
        &self,
        local: &Identity,
        remote_static: &[u8; 32],
    ) -> Option<&Secret<32>> {
        // Compares pointers: an identity is replaced, and never changed.
        (self.timestamp.is_some()
            && ptr::eq(local, &*self.identity)
            && self.remote_static == *remote_static)
            .then_some(&self.static_static)
    }

    /// Returns the timestamp if the claim was proven before, or is proven now, given the peer's public
    /// key and the precomputed secret that it shares with us.
    pub(super) fn proof<S: Suite>(
        &mut self,
        remote_static: &[u8; 32],
        static_static: &Secret<32>,
    ) -> Option<Timestamp> {
        match self.timestamp {
            Some(timestamp) => (self.remote_static == *remote_static).then_some(timestamp),
            None => prove::<S>(
                &mut self.symmetric,
                static_static,
                &self.encrypted_timestamp,
            ),
        }
    }
}

/// Returns the timestamp, which proves a claim; `-> ss, {t}`.
fn prove<S: Suite>(
    symmetric: &mut SymmetricState,
    static_static: &Secret<32>,
    encrypted_timestamp: &[u8; 28],
) -> Option<Timestamp> {
    let mut key = Secret::zero();
    let mut timestamp = Timestamp::default();

    // ss
    symmetric.mix_precomputed_dh::<S>(static_static, &mut key)?;

    // {t}
    symmetric.decrypt_and_hash::<S>(&key, encrypted_timestamp, &mut timestamp.0)?;
    Some(timestamp)
}
