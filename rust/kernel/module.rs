// SPDX-License-Identifier: GPL-2.0

//! The end of a module: its code must not be unloaded while something is left that runs it.
//!
//! Objects that RCU callbacks free, and workqueues, are counted. They can be made only while there is
//! a [`Use`] of the module. All registrations contain one, and who drops the last waits until none of
//! what was counted is left. So this cannot be forgotten, nor be done too early.
//!
//! C headers: [`include/linux/rcupdate.h`](srctree/include/linux/rcupdate.h),
//! [`include/linux/delay.h`](srctree/include/linux/delay.h)

use crate::{
    sync::rcu,
    task, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Full, //
    }, //
};
use wg_bindings as bindings;

/// Number of [`Use`]s.
static USES: Atomic<i32> = Atomic::new(0);

/// Number of [`Live`]s.
static LIVE: Atomic<i64> = Atomic::new(0);

/// How often the last use waits without a pause. Each round frees one more level of objects that were
/// referred to only by others.
const QUICK_ROUNDS: u32 = 100;

/// After how many rounds each a message says that something is left: it takes ten seconds.
const ROUNDS_PER_WARNING: u32 = 100;

/// The pause between two rounds then, in milliseconds.
const PAUSE_MS: u32 = 100;

/// A use of the module.
///
/// A module that holds its own in a field behind all others, rather than to rely on those in its
/// registrations, may keep objects in statics until that is dropped.
///
/// Dropping the last waits, in process context, until all objects that RCU frees and all workqueues are
/// gone. If one is leaked, that takes forever, and the kernel's log says so: nobody knows who might
/// refer to it.
pub struct Use(());

impl Use {
    /// Begins a use.
    #[expect(clippy::new_without_default)]
    pub fn new() -> Self {
        USES.fetch_add(1, Full);
        Self(())
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        // Orders what follows behind it, as in `Live::new`: either that sees that there is no use any
        // more, or we see what it counts.
        if USES.fetch_sub(1, Full) == 1 {
            drain();
        }
    }
}

/// Waits until nothing is left that is counted.
fn drain() {
    // For functions that C may have called, and that have no callback.
    rcu::synchronize_net();
    rcu::barrier();
    wait_until_none(|| LIVE.fetch_add(0, Full));
    // The last callback may not have returned yet.
    rcu::barrier();
}

/// Waits until `left` returns zero: until nothing is left of what RCU callbacks free, be it by way of
/// others. Process context only.
pub(crate) fn wait_until_none(left: impl Fn() -> i64) {
    task::might_sleep();
    let mut round: u32 = 0;
    loop {
        let left = left();
        if left == 0 {
            return;
        }
        rcu::barrier();
        round = round.wrapping_add(1);
        if round < QUICK_ROUNDS {
            continue;
        }
        if round % ROUNDS_PER_WARNING == 0 {
            // SAFETY: An FFI call without requirements.
            unsafe { bindings::wg_warn_leaked(left) };
        }
        // SAFETY: An FFI call that sleeps, as documented.
        unsafe { bindings::msleep(PAUSE_MS) };
    }
}

/// A part of something that the module's code must free.
pub(crate) struct Live(());

impl Live {
    /// Counts one more.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if there is no [`Use`], so that nobody would wait for it.
    #[inline]
    pub(crate) fn new() -> Result<Self> {
        LIVE.fetch_add(1, Full);
        let live = Self(());
        match USES.fetch_add(0, Full) {
            0 => Err(ENODEV),
            _ => Ok(live),
        }
    }
}

impl Drop for Live {
    #[inline]
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Full);
    }
}
