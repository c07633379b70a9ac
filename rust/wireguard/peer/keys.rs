// SPDX-License-Identifier: GPL-2.0

//! The end of a peer's keys: when its identity changes, when they expire, when the interface goes down,
//! before the machine is suspended, and when the peer is removed.

use super::Peer;
use crate::{
    device::Epoch,
    globals,
    keying::{
        Active,
        Keying, //
    }, //
};
use kernel::prelude::*;
use wg_kernel::{
    sync::bh,
    time, //
};
use wg_proto::timers::Timer;

impl Peer {
    /// Returns what a handshake with the peer takes, with our present identity.
    ///
    /// # Errors
    ///
    /// Those of [`Keying::activate`].
    pub(crate) fn activate<'a>(&self, keying: &'a mut Keying) -> Result<&'a mut Active> {
        keying.activate(&self.public_key, || self.device().identity())
    }

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
            self.device().indices.remove_handshake(index, self);
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
