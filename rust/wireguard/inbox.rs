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
use kernel::sync::atomic::{
    Acquire,
    Release, //
};
use wg_kernel::{
    compat::u32_as_usize,
    prelude::*, //
};
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

/// What a session has put into its inbox in a round: written with the inbox's lock held, and not counted down
/// when messages are taken out, so that it costs nothing then.
///
/// A round is over once all is taken that came before it. What waits is thus of two rounds at most.
#[repr(align(64))]
pub(crate) struct Quota {
    round: Atomic<u32>,
    used: Atomic<u32>,
}

impl Quota {
    /// There is nothing left for the session in this round.
    const USED_UP: u32 = u32::MAX;
    const LEFT: usize = 64;

    /// Creates one that is not used.
    pub(crate) fn new() -> Self {
        Self {
            round: Atomic::new(0),
            used: Atomic::new(0),
        }
    }

    /// Returns whether nothing is left in this round. May be called without the lock, and then be wrong when a
    /// round begins.
    #[inline]
    fn is_used_up(&self, round: u32) -> bool {
        // Pairs with `Release` in `take`.
        self.round.load(Acquire) == round && self.used.load(Relaxed) == Self::USED_UP
    }

    /// Takes that much of it, and returns whether that was left: a session may not add more than as much as
    /// there is `room` for, which is what it leaves for others. Its first packet may leave less, but not as
    /// little as [`Self::LEFT`].
    #[inline]
    fn take(&self, round: u32, weight: usize, room: usize) -> bool {
        let used = match self.round.load(Relaxed) == round {
            true => self.used.load(Relaxed),
            false => 0,
        };
        let added = weight.saturating_mul(2).saturating_sub(2);
        let fits = u32_as_usize(used).saturating_add(added) < room
            || used == 0 && weight.saturating_add(Self::LEFT) < room;
        let used = match fits {
            // A packet weighs less than 2^20.
            true => used.saturating_add(weight as u32),
            // What weighs less may fit.
            false if u32_as_usize(used) < room => used,
            false => Self::USED_UP,
        };
        self.used.store(used, Relaxed);
        self.round.store(round, Release);
        fits
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
