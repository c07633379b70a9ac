// SPDX-License-Identifier: GPL-2.0

//! What a device has on each CPU: messages to be decrypted, jobs to be begun or delivered, and meters.

use crate::{
    backlog::Backlog,
    control,
    load::Meter,
    queue::{
        Batch,
        Ordered, //
    },
    quota::Quota, //
};
use wg_kernel::prelude::*;
use wg_proto::limits;

/// How much the messages may weigh that wait to be decrypted on one CPU.
const MAX_WAITING: usize = 4 * limits::MAX_QUEUED_PACKETS;

/// Packets, and how much their messages weigh.
struct Waiting {
    packets: SkBuffList,
    weight: usize,
    /// How much of that came before the round began.
    earlier: usize,
}

impl Waiting {
    const fn new() -> Self {
        Self {
            packets: SkBuffList::new(),
            weight: 0,
            earlier: 0,
        }
    }

    /// Removes the first packet.
    #[inline]
    fn pop_front(&mut self) -> Option<SkBuff> {
        let skb = self.packets.pop_front()?;
        self.weight = self.weight.wrapping_sub(control::weight(&skb));
        Some(skb)
    }
}

/// What a device has on one CPU.
#[pin_data]
pub(crate) struct Inbox {
    #[pin]
    waiting: SpinLockBh<Waiting>,
    /// The number of the round, which changes with the lock held.
    round: Atomic<u32>,
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
            round: Atomic::new(1),
            order <- Ordered::new(),
            meter: Meter::new(),
            encryption: Meter::new(),
            backlog: Backlog::new()?,
        }? Error)
    }

    /// Adds a packet that holds `count` messages of the session with this `quota`, unless there are too many.
    #[inline]
    pub(crate) fn push(&self, mut skb: SkBuff, count: usize, quota: &Quota) {
        // A flood on one session must not keep the CPU that works on it from the lock.
        if quota.is_used_up(self.round.load(Relaxed)) {
            return;
        }
        control::set_message_count(&mut skb, count);
        let weight = control::weight(&skb);
        let mut waiting = self.waiting.lock();
        let room = MAX_WAITING.saturating_sub(waiting.weight);
        if quota.take(self.round.load(Relaxed), weight, room) {
            waiting.weight = waiting.weight.wrapping_add(weight);
            waiting.packets.push_back(skb);
        } else {
            drop(waiting);
            drop(skb);
        }
    }

    /// Drops all messages that wait to be decrypted, and all that were decrypted.
    pub(crate) fn clear(&self) {
        let dropped = self.take_all(&mut self.waiting.lock());
        drop(dropped);
        while let Some(Batch {
            keypair,
            packets,
            size,
            ..
        }) = self.order.pop_done_of_session()
        {
            drop(packets);
            keypair.end_job(size);
            self.order.delivered();
        }
    }

    /// Takes packets that weigh up to `most`, more only if the last one does; returns them, how much they
    /// weigh, and how much is left.
    pub(crate) fn take(&self, most: usize) -> (SkBuffList, usize, usize) {
        let mut waiting = self.waiting.lock();
        if waiting.weight <= most {
            let all = self.take_all(&mut waiting);
            return (all.packets, all.weight, 0);
        }
        let before = waiting.weight;
        let mut taken = SkBuffList::new();
        let mut weight = 0;
        while weight < most {
            let Some(skb) = waiting.pop_front() else {
                break;
            };
            taken.push_back(skb);
            weight = before.wrapping_sub(waiting.weight);
        }
        waiting.earlier = waiting.earlier.saturating_sub(weight);
        if waiting.earlier == 0 {
            waiting.earlier = waiting.weight;
            self.begin_round();
        }
        (taken, weight, waiting.weight)
    }

    /// Takes all that waits.
    #[inline]
    fn take_all(&self, waiting: &mut Waiting) -> Waiting {
        self.begin_round();
        core::mem::replace(waiting, Waiting::new())
    }

    /// Begins a round. The lock is held.
    #[inline]
    fn begin_round(&self) {
        let round = self.round.load(Relaxed).wrapping_add(1);
        self.round.store(round, Relaxed);
    }
}
