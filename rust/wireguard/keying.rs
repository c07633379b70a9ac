// SPDX-License-Identifier: GPL-2.0

//! What handshakes with a peer need.
//!
//! Most peers of a large device are silent. So that they cost little, all but the preshared key is
//! made when the first handshake begins, in process context, as all handshakes are; and whatever
//! takes a Diffie-Hellman waits until then.

use crate::{
    crypto::{
        Handshake,
        Kernel, //
    },
    device::Epoch,
    globals,
    peer::Peer, //
};
use kernel::prelude::*;
use wg_kernel::{
    compat::ENOKEY,
    sync::bh,
    time, //
};
use wg_proto::{
    cookie::Maker,
    secret::Secret,
    timers::Timer,
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

    /// Returns what a handshake of `peer`, whose keying this is, with our present identity takes.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it, [`ENOKEY`] if we have no identity.
    pub(crate) fn activate(&mut self, peer: &Peer) -> Result<&mut Active> {
        let active = match self.active.take() {
            Some(active) => active,
            None => {
                let public_key = peer.public_key();
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
            let identity = peer.device().identity().ok_or(ENOKEY)?;
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
    fn clear(&mut self) -> Option<Index> {
        self.active.as_mut()?.handshake.clear()
    }

    /// Forgets everything, once there will be no handshakes any more.
    fn forget_all(&mut self) {
        self.preshared_key = Secret::zero();
        self.active = None;
    }
}

impl Peer {
    /// Returns whether keys may be made on behalf of the peer, by what began in `epoch`: it was not
    /// removed, the interface did not go down since, and the machine is not about to be suspended.
    ///
    /// To be asked with the peer's keying locked. Whoever changes that takes the lock afterwards, to
    /// wipe the handshake, and then wipes the sessions.
    pub(crate) fn may_have_keys(&self, epoch: Epoch) -> bool {
        !self.is_dead() && self.device().is_in(epoch) && !globals::is_suspending()
    }

    /// Abandons the handshake in progress.
    fn abandon(&self, keying: &mut Keying) {
        if let Some(index) = keying.clear() {
            self.device().indices().remove_handshake(index, self);
        }
    }

    /// Makes the next packet begin a new handshake, at once, as who the device is by then.
    pub(crate) fn change_identity(&self) {
        let mut keying = self.keying.lock();
        keying.forget_identity();
        self.abandon(&mut keying);
        self.allow_initiation(&keying);
        drop(keying);
        self.sessions.stop_sending();
    }

    /// Makes the next packet begin a new handshake, at once.
    pub(crate) fn expire_sessions(&self) {
        let mut keying = self.keying.lock();
        self.abandon(&mut keying);
        self.allow_initiation(&keying);
        drop(keying);
        self.sessions.stop_sending();
    }

    /// Wipes the handshake, and then all sessions, unless there is a new one.
    ///
    /// To be called when there was none for long. As the timer expires, or until a worker gets to what
    /// follows, there may be one all the same.
    pub(crate) fn wipe_expired_keys(&self) {
        let mut keying = self.keying.lock();
        if !self.sessions.are_young(time::boottime_coarse_ns()) {
            self.abandon(&mut keying);
            // With the lock held, so that there is no new one yet.
            self.sessions.clear();
        }
    }

    /// Wipes the handshake, and then all sessions, to which it may have led until then, as when the
    /// interface goes down. If it comes up, the next packet begins a new
    /// handshake, at once.
    pub(crate) fn stop_keys(&self) {
        let mut keying = self.keying.lock();
        self.abandon(&mut keying);
        self.allow_initiation(&keying);
        drop(keying);
        self.sessions.clear();
    }

    /// Does the same before the machine is suspended, and wipes whatever else can be made again.
    pub(crate) fn forget_keys(&self) {
        let mut keying = self.keying.lock();
        keying.forget_learned();
        self.abandon(&mut keying);
        self.allow_initiation(&keying);
        drop(keying);
        self.sessions.clear();
        // There is nothing left to be wiped later.
        self.timers.cancel(Timer::ZeroKeyMaterial.index());
        // Jobs that are done refer to sessions as long as nobody delivers them.
        self.outbox.drain(bh::disable());
    }

    /// Does the same for a dead peer, and wipes all else that is secret: nothing of it is made again.
    pub(crate) fn bury_keys(&self) {
        let mut keying = self.keying.lock();
        self.abandon(&mut keying);
        keying.forget_all();
        drop(keying);
        self.sessions.clear();
    }
}
