// SPDX-License-Identifier: GPL-2.0

//! Drops messages of senders that do not know our public key, before anything is allocated for them.

use wg_kernel::prelude::*;
use wg_proto::{
    identity::Identity,
    mac::FirstMac, //
};

/// Turns away senders that do not know our public key. Part of our static identity, and replaced with it.
pub(crate) struct Doorkeeper(FirstMac);

rcu_object!(Doorkeeper);
impl rcu::Release for Doorkeeper {}

impl Doorkeeper {
    /// Creates the doorkeeper of a static identity.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(crate) fn new(identity: &Identity) -> Result<RcuArc<Self>> {
        RcuArc::pin_init(Self(identity.first_mac().clone()), GFP_KERNEL)
    }

    /// Returns the checker of the first MAC.
    #[inline]
    pub(crate) fn first_mac(&self) -> &FirstMac {
        &self.0
    }
}
