// SPDX-License-Identifier: GPL-2.0

//! The end of a module: its code must not be unloaded while something is left that runs it.
//!
//! Objects that RCU callbacks free, workqueues and registrations are counted. They can be made only
//! while the module has its [`End`], which waits until none of what was counted is left. That is a part
//! of the module's own value and of nothing else, so it cannot be forgotten, nor be kept for longer.
//!
//! C headers: [`include/linux/rcupdate.h`](srctree/include/linux/rcupdate.h),
//! [`include/linux/delay.h`](srctree/include/linux/delay.h)

use crate::sync::rcu;
use core::marker::PhantomPinned;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Full, //
    },
    task::might_sleep, //
};
use wg_bindings as bindings;

/// Whether there is an [`End`].
static LOADED: Atomic<i32> = Atomic::new(0);

/// Number of [`Live`]s.
static LIVE: Atomic<i64> = Atomic::new(0);

/// How often is waited without a pause. Each round frees one more level of objects that were
/// referred to only by others.
const QUICK_ROUNDS: u32 = 100;

/// After how many rounds each a message says that something is left: it takes ten seconds.
const ROUNDS_PER_WARNING: u32 = 100;

/// The pause between two rounds then, in milliseconds.
const PAUSE_MS: u32 = 100;

/// The end of the module, which is dropped as the last act of unloading it.
///
/// It is to be the last field of the module's type: the module may keep objects in statics until it is
/// dropped.
///
/// Dropping it waits, in process context, until all objects that RCU frees, all workqueues and all
/// registrations are gone. If one is leaked, that takes forever, and the kernel's log says so: nobody
/// knows who might refer to it.
///
/// # Invariants
///
/// It lies in the memory of the module, hence in the value that C drops when it unloads the module: no
/// other can be initialised there in place by safe code.
#[pin_data(PinnedDrop)]
pub struct End {
    #[pin]
    _pin: PhantomPinned,
}

impl End {
    /// Creates an initialiser for a part of the module's value, before all that this is to wait for.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if it would not be in the memory of the module, [`EBUSY`] if there is one.
    pub fn new() -> impl PinInit<Self, Error> {
        let init = |slot: *mut Self| {
            // SAFETY: May be called from any context, with any address.
            if !unsafe { bindings::wg_within_this_module(slot.cast()) } {
                return Err(EINVAL);
            }
            if LOADED.xchg(1, Full) != 0 {
                return Err(EBUSY);
            }
            Ok(())
        };
        // INVARIANT: The memory was looked at.
        // SAFETY: There are no bytes to initialise. If it fails, nothing has to be dropped.
        unsafe { pin_init::pin_init_from_closure(init) }
    }
}

#[pinned_drop]
impl PinnedDrop for End {
    fn drop(self: Pin<&mut Self>) {
        // Orders what follows behind it, as in `Live::new`: either that sees that this is the end, or we
        // see what it counts.
        LOADED.xchg(0, Full);
        // For functions that C may have called, and that have no callback.
        rcu::synchronize_net();
        rcu::rcu_barrier();
        wait_until_none(|| LIVE.fetch_add(0, Full));
        // The last callback may not have returned yet.
        rcu::rcu_barrier();
    }
}

/// Waits until `left` returns zero: until nothing is left of what RCU callbacks free, be it by way of
/// others. When this has returned, the last of these callbacks may still be at its end.
///
/// If something was leaked, this takes forever, and the log says every ten seconds how much there is
/// left. Process context only.
pub fn wait_until_none(left: impl Fn() -> i64) {
    might_sleep();
    let mut round: u32 = 0;
    loop {
        let left = left();
        if left == 0 {
            return;
        }
        rcu::rcu_barrier();
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

/// A part of something that the module's code must free, or be there for.
pub(crate) struct Live(());

impl Live {
    /// Counts one more.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if there is no [`End`], so that nobody would wait for it.
    #[inline]
    pub(crate) fn new() -> Result<Self> {
        LIVE.fetch_add(1, Full);
        let live = Self(());
        match LOADED.fetch_add(0, Full) {
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
