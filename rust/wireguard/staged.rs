// SPDX-License-Identifier: GPL-2.0

//! Packets that wait for a session.

use wg_kernel::prelude::*;
use wg_proto::session;

/// The packets of a peer that wait for a session.
#[pin_data]
pub(crate) struct Staged {
    #[pin]
    packets: SpinLockBh<SkBuffList>,
    /// Whether there are none: a copy, written under the lock, to be read without it.
    empty: Atomic<bool>,
}

impl Staged {
    /// Creates an initialiser for no packets.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            packets <- new_spinlock_bh!(SkBuffList::new(), "Peer::staged"),
            empty: Atomic::new(true),
        })
    }

    /// Returns whether no packets wait. Others may add some at the same time.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.empty.load(Relaxed)
    }

    /// Adds packets behind the others, and returns the oldest of these if there were too many.
    pub(crate) fn append(&self, mut packets: SkBuffList) -> SkBuffList {
        let mut excess = SkBuffList::new();
        let mut staged = self.packets.lock();
        for _ in 0..session::staged_excess(staged.len()) {
            if let Some(skb) = staged.pop_front() {
                excess.push_back(skb);
            }
        }
        staged.append(&mut packets);
        self.note(&staged);
        excess
    }

    /// Has `send` send all packets in the session that there is. Those that it gives back, for want of one, wait
    /// on. Returns whether there are such.
    ///
    /// Whoever makes a session sends what waits for it, but finds none while `send` has the packets. So, once
    /// they are back, `session` tells whether to try again: the lock orders it after the session of one who has
    /// found none. This comes to an end, as `session` never again returns one that `send` refused to send in.
    pub(crate) fn send_all<S>(
        &self,
        session: impl Fn() -> Option<S>,
        send: impl Fn(Option<S>, SkBuffList) -> Result<(), SkBuffList>,
    ) -> bool {
        loop {
            let packets = self.take();
            if packets.is_empty() {
                return false;
            }
            let Err(mut packets) = send(session(), packets) else {
                return false;
            };
            let mut staged = self.packets.lock();
            staged.prepend(&mut packets);
            self.note(&staged);
            drop(staged);
            if session().is_none() {
                return true;
            }
        }
    }

    /// Takes all packets.
    pub(crate) fn take(&self) -> SkBuffList {
        let mut staged = self.packets.lock();
        let packets = core::mem::replace(&mut *staged, SkBuffList::new());
        self.note(&staged);
        packets
    }

    /// Mirrors for readers what the lock protects.
    fn note(&self, staged: &SkBuffList) {
        self.empty.store(staged.is_empty(), Relaxed);
    }
}
