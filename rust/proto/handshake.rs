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
//! [`Handshake`] is the state of a handshake with one peer. A message is created or consumed as a
//! whole or not at all: a rejected message leaves the state unchanged. The responder learns the
//! peer's identity from the first message, so consuming that takes two steps: [`Claim::open`], then
//! [`Handshake::consume_initiation`] of the claimed peer.
//!
//! No function takes or returns a secret by value. Secrets are derived in place, into memory that the
//! caller provides.

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

/// The minimum time between two initiations by the same peer.
const MIN_INITIATION_INTERVAL_NS: u64 = NSEC_PER_SEC / INITIATIONS_PER_SECOND;

/// Our role in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The sender of the first message.
    Initiator,
    /// The sender of the second message.
    Responder,
}

/// Why an initiation is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was sent to a static identity that is no longer ours.
    Identity,
    /// It is not from the peer that it claims to be from.
    Crypto,
    /// It is not newer than the last one accepted: a replay.
    Replay,
    /// It follows too soon after the last one accepted.
    Flood,
}

/// The outcome of a handshake, except for the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Index at our side.
    pub local_index: Index,
    /// Index at the peer's side.
    pub remote_index: Index,
    /// Our role.
    pub role: Role,
}

/// The progress of a handshake, and its values that are not secret.
enum State {
    /// There is no handshake.
    Zeroed,
    /// We sent the first message.
    CreatedInitiation { local: Index },
    /// We received the first message. If that superseded an initiation of ours, the index of the latter
    /// is kept for the caller to release.
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
/// `I` is a shared pointer to our static identity, such as an `Arc`.
///
/// Moving the value copies it, so it should only be moved while it holds no secrets: create it
/// without preshared key and identity, and [set](Self::set_identity) them afterwards.
pub struct Handshake<I> {
    /// The peer's public key.
    remote_static: [u8; 32],
    /// The preshared key, or zero.
    preshared_key: Secret<32>,
    /// Our static identity.
    local: Option<I>,
    /// X25519 of both static keys, or zero if there is none.
    static_static: Secret<32>,
    /// Timestamp of the last initiation accepted.
    latest_timestamp: Timestamp,
    /// When that was accepted, if ever.
    last_consumption_ns: Option<u64>,

    /// The progress of the current handshake.
    state: State,
    /// Private ephemeral key, used in [`State::CreatedInitiation`].
    ephemeral: Secret<32>,
    /// Noise's symmetric state: the transcript hash and the chaining key.
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

    /// Replaces our static identity.
    ///
    /// The caller must [clear](Self::clear) a handshake in progress, which cannot succeed any more.
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

    /// Sets our static identity, for a claim that was [proven](Claim::prove_alone) before there was this
    /// state, perhaps with that identity: what that has computed is not computed again.
    ///
    /// Otherwise, this is [`Handshake::set_identity`].
    pub fn set_identity_for<S: Suite>(&mut self, local: I, claim: &Claim<I>) {
        match claim.static_static(&local, &self.remote_static) {
            Some(static_static) => {
                self.static_static.copy_from(static_static);
                self.local = Some(local);
            }
            None => self.set_identity::<S>(Some(local)),
        }
    }

    /// Replaces the preshared key; zeros stand for none.
    pub fn set_preshared_key(&mut self, preshared_key: &[u8; 32]) {
        *self.preshared_key.as_mut_bytes() = *preshared_key;
    }

    /// Returns our static identity.
    pub fn identity(&self) -> Option<&I> {
        self.local.as_ref()
    }

    /// Returns our index for this handshake.
    ///
    /// Creating a message replaces it, so the caller must read it before, and release it afterwards.
    pub fn local_index(&self) -> Option<Index> {
        match self.state {
            State::Zeroed => None,
            State::ConsumedInitiation { superseded, .. } => superseded,
            State::CreatedInitiation { local }
            | State::CreatedResponse { local, .. }
            | State::ConsumedResponse { local, .. } => Some(local),
        }
    }

    /// Abandons the handshake, wipes its secrets, and returns our index for it, which the caller must
    /// release.
    #[must_use]
    pub fn clear(&mut self) -> Option<Index> {
        let index = self.local_index();

        self.state = State::Zeroed;
        self.ephemeral.wipe();
        self.symmetric.wipe();
        index
    }

    /// Does what [`Handshake::clear`] does if an initiation was accepted but will not be answered. Then the
    /// index is that of an initiation of our own that it has superseded.
    #[must_use]
    pub fn abandon_unanswered(&mut self) -> Option<Index> {
        match self.state {
            State::ConsumedInitiation { .. } => self.clear(),
            _ => None,
        }
    }

    /// Begins a handshake; `-> e, es, s, ss, {t}`.
    ///
    /// `ephemeral` is random, and is clamped. `index` is our index for the handshake. The MACs of
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

    /// Accepts an initiation by this peer, which supersedes any handshake in progress.
    ///
    /// `now_ns` is the time since boot.
    ///
    /// # Errors
    ///
    /// Why it is rejected. The state is unchanged then.
    pub fn consume_initiation<S: Suite>(
        &mut self,
        claim: &mut Claim<I>,
        now_ns: u64,
    ) -> Result<(), Refusal> {
        // Compares pointers: one of two identities with equal keys may be about to be replaced.
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
    /// `ephemeral` is random, and is clamped. `index` is our index for the handshake. The MACs of
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

    /// Accepts the response to our initiation.
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

    /// Returns the outcome of the handshake.
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

    /// Ends the handshake, whose index becomes that of the session, and derives the session's keys for
    /// sending and for receiving.
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
