// SPDX-License-Identifier: GPL-2.0

//! What a device has on each CPU: messages to be decrypted, jobs to be begun or delivered, and meters.

use crate::{
    backlog::Backlog,
    control,
    load::Meter,
    queue::{
        Batch,
        Ordered, //
    }, //
};
use wg_kernel::prelude::*;
use wg_proto::limits;

/// How many messages may wait to be decrypted on one CPU.
const MAX_WAITING: usize = 4 * limits::MAX_QUEUED_PACKETS;

/// Datagrams, and how many messages they hold.
struct Waiting {
    datagrams: SkBuffList,
    messages: usize,
}

impl Waiting {
    const fn new() -> Self {
        Self {
            datagrams: SkBuffList::new(),
            messages: 0,
        }
    }

    /// Removes the first datagram.
    #[inline]
    fn pop_front(&mut self) -> Option<SkBuff> {
        let skb = self.datagrams.pop_front()?;
        self.messages = self.messages.wrapping_sub(control::message_count(&skb));
        Some(skb)
    }
}

/// What a device has on one CPU.
#[pin_data]
pub(crate) struct Inbox {
    #[pin]
    waiting: SpinLockBh<Waiting>,
    /// Whether no more may wait; a copy to be read without the lock.
    full: Atomic<bool>,
    /// The jobs under way.
    #[pin]
    pub(crate) order: Ordered,
    /// How much of the CPU's time goes into decryption.
    pub(crate) meter: Meter,
    /// How much goes into encryption of packets that are sent on it. Here, as it is written for each packet, and
    /// a cache line should be one CPU's.
    pub(crate) encryption: Meter,
    /// The jobs that wait to be begun by the CPU.
    pub(crate) backlog: Arc<Backlog>,
}

impl Inbox {
    /// Creates an initialiser for an empty inbox.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            waiting <- new_spinlock_bh!(Waiting::new(), "Inbox::waiting"),
            full: Atomic::new(false),
            order <- Ordered::new(),
            meter: Meter::new(),
            encryption: Meter::new(),
            backlog: Backlog::new()?,
        }? Error)
    }

    /// Adds a datagram that holds `count` messages, unless there are too many.
    #[inline]
    pub(crate) fn push(&self, mut skb: SkBuff, count: usize) {
        // A flood on one session must not keep the CPU that works on it from the lock.
        if self.full.load(Relaxed) {
            return;
        }
        control::set_message_count(&mut skb, count);
        let mut waiting = self.waiting.lock();
        if waiting.messages < MAX_WAITING {
            waiting.messages = waiting.messages.wrapping_add(count);
            waiting.datagrams.push_back(skb);
        } else {
            self.full.store(true, Relaxed);
            drop(waiting);
            drop(skb);
        }
    }

    /// Drops all messages that wait to be decrypted, and all that were decrypted.
    pub(crate) fn clear(&self) {
        let mut waiting = self.waiting.lock();
        let dropped = core::mem::replace(&mut *waiting, Waiting::new());
        self.full.store(false, Relaxed);
        drop(waiting);
        drop(dropped.datagrams);
        while let Some(Batch {
            keypair, packets, ..
        }) = self.order.pop_done_of_session()
        {
            drop(packets);
            keypair.end_job();
            self.order.delivered();
        }
    }

    /// Takes datagrams with up to `count` messages, more only if the last one holds several; returns them,
    /// how many messages they hold, and how many are left.
    pub(crate) fn take(&self, count: usize) -> (SkBuffList, usize, usize) {
        let mut waiting = self.waiting.lock();
        if self.full.load(Relaxed) {
            self.full.store(false, Relaxed);
        }
        if waiting.messages <= count {
            let all = core::mem::replace(&mut *waiting, Waiting::new());
            return (all.datagrams, all.messages, 0);
        }
        let before = waiting.messages;
        let mut taken = SkBuffList::new();
        let mut messages = 0;
        while messages < count {
            let Some(skb) = waiting.pop_front() else {
                break;
            };
            taken.push_back(skb);
            messages = before.wrapping_sub(waiting.messages);
        }
        (taken, messages, waiting.messages)
    }
}
