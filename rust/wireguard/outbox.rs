// SPDX-License-Identifier: GPL-2.0

//! What a peer sends after others have encrypted it, in the order in which it came.

use crate::{
    peer::Peer,
    queue::{
        Batch,
        Ordered, //
    },
    seal::Sealing, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    }, //
};
use wg_kernel::sync::{
    bh,
    rcu, //
};

/// The jobs of a peer that send packets. Whoever finishes one sends those that are in turn.
#[pin_data]
pub(crate) struct Outbox {
    #[pin]
    order: Ordered,
    draining: Atomic<bool>,
    /// Whether the last large datagram was sent one by one.
    cut: Atomic<bool>,
}

impl Outbox {
    /// Creates an initialiser for an empty outbox.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            order <- Ordered::new(),
            draining: Atomic::new(false),
            cut: Atomic::new(false),
        })
    }

    /// Returns the list that jobs are put on.
    #[inline]
    pub(crate) fn order(&self) -> &Ordered {
        &self.order
    }

    /// Notes whether a large datagram left as it is, or one by one.
    #[inline]
    pub(crate) fn note_large(&self, whole: bool) {
        if self.cut.load(Relaxed) == whole {
            self.cut.store(!whole, Relaxed);
        }
    }

    /// Returns whether what is sent now is to be left to a task, as it would leave in many datagrams: what
    /// is below may have a ring of few, which nobody empties before a softirq that fills it is through.
    #[inline]
    pub(crate) fn is_for_task(&self, sealing: &Sealing, bh: &bh::Guard) -> bool {
        let leaves_whole = sealing.is_bundle() && !self.cut.load(Relaxed);
        sealing.count() > 1 && !leaves_whole && bh::in_softirq(bh)
    }

    /// Sends the packets of all jobs at the front that are done.
    ///
    /// To be called after a job was finished. If somebody else is at it, he will see the job: the
    /// exchanges order his last look after our finishing, or our exchange after his. `pause` is called
    /// after each, as others may go on to finish jobs.
    pub(crate) fn drain(&self, pause: impl Fn()) {
        while !self.draining.xchg(true, Full) {
            while let Some(Batch { keypair, packets }) = self.order.pop_done() {
                let bh = bh::disable();
                let guard = rcu::read_lock();
                Peer::transmit(keypair.peer().borrow(), packets, &guard, &bh);
                drop(guard);
                drop(bh);
                self.order.delivered();
                drop(keypair);
                pause();
            }
            self.draining.xchg(false, Full);
            if !self.order.is_front_done() {
                return;
            }
        }
    }
}
