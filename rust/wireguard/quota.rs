// SPDX-License-Identifier: GPL-2.0

//! How much of an inbox one session may fill.

use kernel::sync::atomic::{
    Acquire,
    Release, //
};
use wg_kernel::{
    compat::u32_as_usize,
    prelude::*, //
};

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
    pub(crate) fn is_used_up(&self, round: u32) -> bool {
        // Pairs with `Release` in `take`.
        self.round.load(Acquire) == round && self.used.load(Relaxed) == Self::USED_UP
    }

    /// Takes that much of it, and returns whether that was left: a session may not add more than as much as
    /// there is `room` for, which is what it leaves for others. Its first packet may leave less, but not as
    /// little as [`Self::LEFT`].
    #[inline]
    pub(crate) fn take(&self, round: u32, weight: usize, room: usize) -> bool {
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
