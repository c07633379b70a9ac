// SPDX-License-Identifier: GPL-2.0

//! The end of a peer's keys: when our identity changes, when they expire, when the interface goes down,
//! before the machine is suspended, and when the peer is removed.

use super::Peer;
use crate::{
    crypto::Claim,
    device::Epoch,
    keying::{
        Active,
        Keying, //
    }, //
};
use kernel::sync::MutexGuard;
use wg_kernel::prelude::*;
use wg_proto::timers::Timer;

impl Peer {
    /// Returns the state of handshakes with the peer, with our present static identity.
    ///
    /// # Errors
    ///
    /// Those of [`Keying::activate`].
    pub(crate) fn activate<'a>(
        &self,
        keying: &'a mut Keying,
        claim: Option<&Claim>,
    ) -> Result<&'a mut Active> {
        keying.activate(&self.public_key, || self.device().identity(), claim)
    }

    /// Returns whether keys may be made on behalf of the peer, by what began in `epoch`: it was not
    /// removed, and the interface did not go down since.
    ///
    /// To be called with the peer's keying locked. The task that changes that takes the lock afterwards, to
    /// wipe the handshake, and then wipes the sessions.
    pub(crate) fn may_have_keys(&self, epoch: Epoch) -> bool {
        !self.is_dead() && self.device().is_in(epoch)
    }

    /// Abandons the handshake in progress.
    fn abandon(&self, keying: &mut Keying) {
        if let Some(index) = keying.clear() {
            self.device().indices.remove_handshake(index, self);
        }
    }

    /// Makes the next packet begin a new handshake, at once, with the static identity that the device then
    /// has.
    pub(crate) fn change_identity(&self) {
        let mut keying = self.keying.lock();
        keying.forget_identity();
        self.begin_anew(keying);
    }

    /// Makes the next packet begin a new handshake, at once.
    pub(crate) fn expire_sessions(&self) {
        self.begin_anew(self.keying.lock());
    }

    /// Abandons the handshake in progress and sends no more in the sessions that there are: the next packet
    /// begins a new handshake, at once.
    fn begin_anew(&self, mut keying: MutexGuard<'_, Keying>) {
        self.abandon(&mut keying);
        self.allow_initiation(&keying);
        drop(keying);
        self.sessions.stop_sending();
    }

    /// Wipes the handshake, and then all sessions, unless there is a new one: see
    /// [`wg_proto::session::Keypairs::are_young`].
    ///
    /// To be called when there was no new session for long. One may still appear as the timer expires, or
    /// before a worker gets to this.
    pub(crate) fn wipe_expired_keys(&self) {
        let mut keying = self.keying.lock();
        if !self.sessions.are_young(time::boottime_coarse_ns()) {
            self.abandon(&mut keying);
            // With the lock held, so that there is no new one yet.
            self.sessions.clear();
        }
    }

    /// Wipes the handshake, and what `forget` forgets, and then all sessions, to which the handshake may have led
    /// until then. If there is another packet to send, that begins a new handshake, at once.
    pub(crate) fn wipe_keys(&self, forget: impl FnOnce(&mut Keying)) {
        let mut keying = self.keying.lock();
        self.abandon(&mut keying);
        forget(&mut keying);
        self.allow_initiation(&keying);
        drop(keying);
        self.sessions.clear();
        // Finished jobs hold references to sessions, and to the peer, until they are delivered.
        self.outbox.drain_here(bh::disable());
    }

    /// Wipes all keys before the machine is suspended, and all else that can be made again.
    pub(crate) fn forget_keys(&self) {
        self.wipe_keys(Keying::forget_learned);
        // Nothing is left to be wiped later.
        self.timers.cancel(Timer::ZeroKeyMaterial.index());
    }
}
