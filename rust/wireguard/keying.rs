// SPDX-License-Identifier: GPL-2.0

//! The state of handshakes with a peer.
//!
//! Most peers of a large device are silent. To make them cheap, everything except the preshared key is
//! created when the first handshake begins, in process context, like all handshakes; and every Diffie-Hellman
//! computation waits until then.

use crate::crypto::{
    Claim,
    Handshake,
    Identity,
    Kernel, //
};
use wg_kernel::prelude::*;
use wg_proto::{
    cookie::Maker,
    secret::Secret,
    wire, //
};

/// The state of handshakes with a peer.
pub(crate) struct Keying {
    preshared_key: Secret<32>,
    active: Option<KBox<Active>>,
}

/// The state of a peer once there was a handshake with it, or an attempt at one.
pub(crate) struct Active {
    /// The handshake.
    pub(crate) handshake: Handshake,
    /// The peer's latest cookie, and the maker of the MACs that it is used for.
    pub(crate) cookies: Maker,
}

impl Keying {
    /// Creates the state of a peer that has no preshared key, and no handshake yet.
    pub(crate) const fn new() -> Self {
        Self {
            preshared_key: Secret::zero(),
            active: None,
        }
    }

    /// Sets the preshared key; zeros stand for none.
    pub(crate) fn set_preshared_key(&mut self, key: &[u8; 32]) {
        *self.preshared_key.as_mut_bytes() = *key;
        if let Some(active) = &mut self.active {
            active.handshake.set_preshared_key(key);
        }
    }

    /// Returns the preshared key; zeros stand for none.
    pub(crate) fn preshared_key(&self) -> &[u8; 32] {
        self.preshared_key.as_bytes()
    }

    /// Returns the handshake state if a handshake was begun before.
    pub(crate) fn active(&mut self) -> Option<&mut Active> {
        self.active.as_deref_mut()
    }

    /// Returns the state of handshakes with the peer of that public key, with our present static identity.
    ///
    /// `claim` is that of the peer, if that is what the state is for.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it, [`ENOKEY`] if we have no identity.
    pub(crate) fn activate(
        &mut self,
        public_key: &[u8; 32],
        identity: impl FnOnce() -> Option<Identity>,
        claim: Option<&Claim>,
    ) -> Result<&mut Active> {
        let active = match self.active.take() {
            Some(active) => active,
            None => {
                // No secrets in it yet, as it is moved.
                let active = Active {
                    handshake: Handshake::new::<Kernel>(public_key, &[0; 32], None),
                    cookies: Maker::new::<Kernel>(public_key),
                };
                let mut active = KBox::new(active, GFP_KERNEL)?;
                active
                    .handshake
                    .set_preshared_key(self.preshared_key.as_bytes());
                active
            }
        };
        let active = self.active.insert(active);
        if active.handshake.identity().is_none() {
            // The identity is changed before `forget_identity` takes the lock that is held here.
            let identity = identity().ok_or(ENOKEY)?;
            match claim {
                Some(claim) => active.handshake.set_identity_for::<Kernel>(identity, claim),
                None => active.handshake.set_identity::<Kernel>(Some(identity)),
            }
        }
        Ok(active)
    }

    /// Forgets our static identity, until the next handshake.
    pub(crate) fn forget_identity(&mut self) {
        if let Some(active) = &mut self.active {
            active.handshake.set_identity::<Kernel>(None);
        }
    }

    /// Forgets everything that can be made again: our static identity, and the cookie. The handshake in
    /// progress is to be [abandoned](Self::clear), too.
    pub(crate) fn forget_learned(&mut self) {
        self.forget_identity();
        if let Some(active) = &mut self.active {
            active.cookies.forget();
        }
    }

    /// Abandons the handshake in progress, and returns its index.
    pub(crate) fn clear(&mut self) -> Option<wire::Index> {
        self.active.as_mut()?.handshake.clear()
    }

    /// Forgets everything, when there will be no more handshakes.
    pub(crate) fn forget_all(&mut self) {
        self.preshared_key = Secret::zero();
        self.active = None;
    }
}
