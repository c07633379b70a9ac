// SPDX-License-Identifier: GPL-2.0

//! What a peer sends after others have encrypted it, in the order in which it came.

use crate::{
    peer::Peer,
    queue::{
        Batch,
        Ordered, //
    }, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Full, //
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
}

impl Outbox {
    /// Creates an initialiser for an empty outbox.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            order <- Ordered::new(),
            draining: Atomic::new(false),
        })
    }

    /// Returns the list that jobs are put on.
    #[inline]
    pub(crate) fn order(&self) -> &Ordered {
        &self.order
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
