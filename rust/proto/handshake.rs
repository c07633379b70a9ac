// SPDX-License-Identifier: GPL-2.0

//! The two messages of a handshake as transitions.
//!
//! The handshake is Noise's IKpsk2, with a time stamp as the payload of the first message:
//!
//! ```text
//! <- s
//! ...
//! -> e, es, s, ss, {t}
//! <- e, ee, se, psk, {}
//! ```
//!
//! [`Handshake`] is what we know of one with a certain peer. A message is created or consumed as a
//! whole or not at all: what is refused leaves the state as it was. Who the peer is, the responder
//! learns from the first message, so consuming that takes two steps: [`Claim::open`], then
//! [`Handshake::consume_initiation`] of the peer that was claimed to be.
//!
//! No function takes or returns a secret by value. What is derived is written to where it is to
//! stay, which is the caller's to provide.

mod claim;
#[cfg(test)]
mod tests;

use core::{
    ops::Deref,
    ptr, //
};

use crate::{
    crypto::Suite,
    identity::{
        clamp,
        Identity, //
    },
    limits::{
        reached,
        INITIATIONS_PER_SECOND,
        NSEC_PER_SEC, //
    },
    noise::SymmetricState,
    secret::Secret,
    tai64n::Timestamp,
    wire::{
        Index,
        Initiation,
        Macs,
        Response, //
    }, //
};

pub use self::claim::Claim;

/// The time that must lie between two initiations by the same peer.
const MIN_INITIATION_INTERVAL_NS: u64 = NSEC_PER_SEC / INITIATIONS_PER_SECOND;

/// Which of the two we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one who sent the first message.
    Initiator,
    /// The one who sent the second message.
    Responder,
}

/// Why an initiation is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was sent to an identity that is no longer ours.
    Identity,
    /// It is not by the peer that it claims to be by.
    Crypto,
    /// It is not newer than another one that was accepted.
    Replay,
    /// It follows too soon after another one that was accepted.
    Flood,
}

/// The outcome of a handshake, but for the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Index at our side.
    pub local_index: Index,
    /// Index at the peer's side.
    pub remote_index: Index,
    /// Which of the two we were.
    pub role: Role,
}

/// How far a handshake is, and what is not secret of it.
enum State {
    /// There is none.
    Zeroed,
    /// We sent the first message.
    CreatedInitiation { local: Index },
    /// We received the first message. The index of our own, should it have superseded one, is kept
    /// because the caller is to release it.
    ConsumedInitiation {
        superseded: Option<Index>,
        remote: Index,
        remote_ephemeral: [u8; 32],
    },
    /// We sent the second message.
    CreatedResponse { local: Index, remote: Index },
    /// We received the second message.
    ConsumedResponse { local: Index, remote: Index },
}

/// The handshake with one peer.
///
/// `I` is the way in which our identity is shared by all peers, such as an `Arc`.
///
/// The value may be moved; but so that no secrets are copied, do so only while there are none:
/// make it without preshared key and identity, and [set](Self::set_identity) them afterwards.
pub struct Handshake<I> {
    /// The peer's public key.
    remote_static: [u8; 32],
    /// The key that the peer and we were told to add, or zero.
    preshared_key: Secret<32>,
    /// Our static identity.
    local: Option<I>,
    /// X25519 of both static keys, or zero if there is none.
    static_static: Secret<32>,
    /// Time stamp of the initiation that was accepted last.
    latest_timestamp: Timestamp,
    /// When it was accepted, if ever.
    last_consumption_ns: Option<u64>,

    /// How far we are.
    state: State,
    /// Private ephemeral key, of use in [`State::CreatedInitiation`].
    ephemeral: Secret<32>,
    /// What both sides have in common: the transcript hash and the chaining key.
    symmetric: SymmetricState,
}

impl<I: Deref<Target = Identity> + Clone> Handshake<I> {
    /// Returns the state for the peer with that static public key.
    pub fn new<S: Suite>(
        remote_static: &[u8; 32],
        preshared_key: &[u8; 32],
        local: Option<I>,
    ) -> Self {
        let mut handshake = Self {
            remote_static: *remote_static,
            preshared_key: Secret::from(preshared_key),
            local: None,
            static_static: Secret::zero(),
            latest_timestamp: Timestamp::default(),
            last_consumption_ns: None,
            state: State::Zeroed,
            ephemeral: Secret::zero(),
            symmetric: SymmetricState::zero(),
        };

        handshake.set_identity::<S>(local);
        handshake
    }

    /// Replaces our identity.
    ///
    /// A handshake in progress, which cannot succeed any more, is for the caller to
    /// [clear](Self::clear).
    pub fn set_identity<S: Suite>(&mut self, local: Option<I>) {
        let exists = local.as_ref().is_some_and(|local| {
            S::x25519(
                self.static_static.as_mut_bytes(),
                local.private(),
                &self.remote_static,
            )
        });

        if !exists {
            self.static_static.wipe();
        }
        self.local = local;
    }

    /// Replaces the preshared key; zeros stand for none.
    pub fn set_preshared_key(&mut self, preshared_key: &[u8; 32]) {
        *self.preshared_key.as_mut_bytes() = *preshared_key;
    }

    /// Returns our identity.
    pub fn identity(&self) -> Option<&I> {
        self.local.as_ref()
    }

    /// Returns the index that stands for this handshake at our side.
    ///
    /// Creating a message replaces it, so the caller must ask before, and release it afterwards.
    pub fn local_index(&self) -> Option<Index> {
        match self.state {
            State::Zeroed => None,
            State::ConsumedInitiation { superseded, .. } => superseded,
            State::CreatedInitiation { local }
            | State::CreatedResponse { local, .. }
            | State::ConsumedResponse { local, .. } => Some(local),
        }
    }

    /// Abandons the handshake, wipes its secrets, and returns the index that stood for it, which is for the
    /// caller to release.
    #[must_use]
    pub fn clear(&mut self) -> Option<Index> {
        let index = self.local_index();

        self.state = State::Zeroed;
        self.ephemeral.wipe();
        self.symmetric.wipe();
        index
    }

    /// Does what [`Handshake::clear`] does if an initiation was accepted that is not answered yet, and will
    /// not be. Then the index is that of an initiation of our own that it has superseded.
    #[must_use]
    pub fn abandon_unanswered(&mut self) -> Option<Index> {
        match self.state {
            State::ConsumedInitiation { .. } => self.clear(),
            _ => None,
        }
    }

    /// Begins a handshake; `-> e, es, s, ss, {t}`.
    ///
    /// `ephemeral` is random, and is clamped. `index` shall stand for the handshake. The MACs of
    /// the message are zero yet. Returns `None`, and leaves the state as it was, if we have no
    /// identity, or the peer's public key has a low order.
    pub fn create_initiation<S: Suite>(
        &mut self,
        ephemeral: &mut Secret<32>,
        index: Index,
        now: Timestamp,
    ) -> Option<Initiation> {
        let local = self.local.as_ref()?;
        let mut message = Initiation {
            sender: index,
            ephemeral: [0; 32],
            encrypted_static: [0; 48],
            encrypted_timestamp: [0; 28],
            macs: Macs::default(),
        };
        let mut symmetric = SymmetricState::zero();
        let mut key = Secret::zero();

        symmetric.initialize::<S>(&self.remote_static);

        // e
        clamp(ephemeral.as_mut_bytes());
        if !S::x25519_public(&mut message.ephemeral, ephemeral.as_bytes()) {
            return None;
        }
        symmetric.mix_ephemeral::<S>(&message.ephemeral);

        // es
        symmetric.mix_dh::<S>(ephemeral, &self.remote_static, Some(&mut key))?;

        // s
        symmetric.encrypt_and_hash::<S>(&key, local.public(), &mut message.encrypted_static);

        // ss
        symmetric.mix_precomputed_dh::<S>(&self.static_static, &mut key)?;

        // {t}
        symmetric.encrypt_and_hash::<S>(&key, &now.0, &mut message.encrypted_timestamp);

        self.symmetric.copy_from(&symmetric);
        self.ephemeral.copy_from(ephemeral);
        self.state = State::CreatedInitiation { local: index };
        Some(message)
    }

    /// Accepts an initiation by this peer, which supersedes whatever was going on.
    ///
    /// `now_ns` is the time since boot.
    ///
    /// # Errors
    ///
    /// Says why it is ignored, in which case the state is as it was.
    pub fn consume_initiation<S: Suite>(
        &mut self,
        claim: &mut Claim<I>,
        now_ns: u64,
    ) -> Result<(), Refusal> {
        // Of equal keys but different origin, one may be on its way out.
        if !(self.local.as_deref()).is_some_and(|local| ptr::eq(local, &*claim.identity)) {
            return Err(Refusal::Identity);
        }

        let timestamp = claim
            .proof::<S>(&self.remote_static, &self.static_static)
            .ok_or(Refusal::Crypto)?;

        if timestamp <= self.latest_timestamp {
            return Err(Refusal::Replay);
        }
        if self.last_consumption_ns.is_some_and(|last_ns| {
            !reached(last_ns.wrapping_add(MIN_INITIATION_INTERVAL_NS), now_ns)
        }) {
            return Err(Refusal::Flood);
        }

        self.latest_timestamp = timestamp;
        self.last_consumption_ns = Some(now_ns);
        self.symmetric.copy_from(&claim.symmetric);
        self.ephemeral.wipe();
        self.state = State::ConsumedInitiation {
            superseded: self.local_index(),
            remote: claim.remote_index,
            remote_ephemeral: claim.remote_ephemeral,
        };
        Ok(())
    }

    /// Answers an initiation; `<- e, ee, se, psk, {}`.
    ///
    /// `ephemeral` is random, and is clamped. `index` shall stand for the handshake. The MACs of
    /// the message are zero yet. Returns `None`, and leaves the state as it was, if no initiation
    /// was consumed before.
    pub fn create_response<S: Suite>(
        &mut self,
        ephemeral: &mut Secret<32>,
        index: Index,
    ) -> Option<Response> {
        let State::ConsumedInitiation {
            remote,
            ref remote_ephemeral,
            ..
        } = self.state
        else {
            return None;
        };
        let mut message = Response {
            sender: index,
            receiver: remote,
            ephemeral: [0; 32],
            encrypted_nothing: [0; 16],
            macs: Macs::default(),
        };
        let mut symmetric = SymmetricState::zero();
        let mut key = Secret::zero();

        symmetric.copy_from(&self.symmetric);

        // e
        clamp(ephemeral.as_mut_bytes());
        if !S::x25519_public(&mut message.ephemeral, ephemeral.as_bytes()) {
            return None;
        }
        symmetric.mix_ephemeral::<S>(&message.ephemeral);

        // ee
        symmetric.mix_dh::<S>(ephemeral, remote_ephemeral, None)?;

        // se
        symmetric.mix_dh::<S>(ephemeral, &self.remote_static, None)?;

        // psk
        symmetric.mix_key_and_hash::<S>(&self.preshared_key, &mut key);

        // {}
        symmetric.encrypt_and_hash::<S>(&key, &[], &mut message.encrypted_nothing);

        self.symmetric.copy_from(&symmetric);
        self.state = State::CreatedResponse {
            local: index,
            remote,
        };
        Some(message)
    }

    /// Accepts the answer to our initiation.
    ///
    /// Returns `None`, and leaves the state as it was, if it is not that.
    pub fn consume_response<S: Suite>(&mut self, response: &Response) -> Option<()> {
        let State::CreatedInitiation { local: index } = self.state else {
            return None;
        };
        let local = self.local.as_ref()?;
        let mut symmetric = SymmetricState::zero();
        let mut key = Secret::zero();

        if response.receiver != index {
            return None;
        }
        symmetric.copy_from(&self.symmetric);

        // e
        symmetric.mix_ephemeral::<S>(&response.ephemeral);

        // ee
        symmetric.mix_dh::<S>(&self.ephemeral, &response.ephemeral, None)?;

        // se
        symmetric.mix_dh::<S>(local.private_key(), &response.ephemeral, None)?;

        // psk
        symmetric.mix_key_and_hash::<S>(&self.preshared_key, &mut key);

        // {}
        symmetric.decrypt_and_hash::<S>(&key, &response.encrypted_nothing, &mut [])?;

        self.symmetric.copy_from(&symmetric);
        self.ephemeral.wipe();
        self.state = State::ConsumedResponse {
            local: index,
            remote: response.sender,
        };
        Some(())
    }

    /// Returns what comes of the handshake.
    ///
    /// Returns `None` if its second message was neither created nor consumed.
    pub fn outcome(&self) -> Option<Outcome> {
        let (local_index, remote_index, role) = match self.state {
            State::CreatedResponse { local, remote } => (local, remote, Role::Responder),
            State::ConsumedResponse { local, remote } => (local, remote, Role::Initiator),
            _ => return None,
        };
        Some(Outcome {
            local_index,
            remote_index,
            role,
        })
    }

    /// Ends the handshake, whose index then stands for the session, and derives its keys: that of
    /// what we send, and that of what we receive.
    ///
    /// Returns `None`, and leaves the state and the keys as they were, if there is no
    /// [outcome](Self::outcome).
    pub fn begin_session<S: Suite>(
        &mut self,
        sending: &mut Secret<32>,
        receiving: &mut Secret<32>,
    ) -> Option<Outcome> {
        let outcome = self.outcome()?;
        let (initiator, responder) = match outcome.role {
            Role::Initiator => (sending, receiving),
            Role::Responder => (receiving, sending),
        };

        self.symmetric.split::<S>(initiator, responder);
        // The index stands for the session from now on.
        let _ = self.clear();
        Some(outcome)
    }
}
