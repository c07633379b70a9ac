// SPDX-License-Identifier: GPL-2.0

//! What handshakes with a peer need.
//!
//! Most peers of a large device are silent. So that they cost little, all but the preshared key is
//! made when the first handshake begins, in process context, as all handshakes are; and whatever
//! takes a Diffie-Hellman waits until then.

use crate::crypto::{
    Handshake,
    Identity,
    Kernel, //
};
use kernel::prelude::*;
use wg_kernel::compat::ENOKEY;
use wg_proto::{
    cookie::Maker,
    secret::Secret,
    wire::Index, //
};

/// What handshakes with a peer need.
pub(crate) struct Keying {
    preshared_key: Secret<32>,
    active: Option<KBox<Active>>,
}

/// What a peer needs once there was a handshake with it, or an attempt at one.
pub(crate) struct Active {
    /// The handshake.
    pub(crate) handshake: Handshake,
    /// The cookie that the peer has sent, and the MACs that it is used for.
    pub(crate) cookies: Maker,
}

impl Keying {
    /// Creates what a peer needs that has no preshared key, and no handshake yet.
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

    /// Returns what there is if a handshake was begun before.
    pub(crate) fn active(&mut self) -> Option<&mut Active> {
        self.active.as_deref_mut()
    }

    /// Returns what a handshake takes with the peer of that public key, and with our present identity.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it, [`ENOKEY`] if we have no identity.
    pub(crate) fn activate(
        &mut self,
        public_key: &[u8; 32],
        identity: impl FnOnce() -> Option<Identity>,
    ) -> Result<&mut Active> {
        let active = match self.active.take() {
            Some(active) => active,
            None => {
                // Without secrets, as it is moved.
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
            // Whoever changes it does so before `forget_identity` takes the lock that is held here.
            let identity = identity().ok_or(ENOKEY)?;
            active.handshake.set_identity::<Kernel>(Some(identity));
        }
        Ok(active)
    }

    /// Forgets our identity, until the next handshake.
    pub(crate) fn forget_identity(&mut self) {
        if let Some(active) = &mut self.active {
            active.handshake.set_identity::<Kernel>(None);
        }
    }

    /// Forgets all that was learned in handshakes, and can be made again: our identity, and
    /// the cookie. The handshake in progress is to be [abandoned](Self::clear), too.
    pub(crate) fn forget_learned(&mut self) {
        self.forget_identity();
        if let Some(active) = &mut self.active {
            active.cookies.forget();
        }
    }

    /// Abandons the handshake in progress, and returns the index that stood for it.
    pub(crate) fn clear(&mut self) -> Option<Index> {
        self.active.as_mut()?.handshake.clear()
    }

    /// Forgets everything, once there will be no handshakes any more.
    pub(crate) fn forget_all(&mut self) {
        self.preshared_key = Secret::zero();
        self.active = None;
    }
}
