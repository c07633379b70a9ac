// SPDX-License-Identifier: GPL-2.0

//! Safe unloading: the module's code must not go while something is left that may run it.
//!
//! Objects that RCU callbacks free, workqueues and registrations are counted. They can be made only
//! while the module has its [`End`], which waits until none of them is left. The `End` can only be a part
//! of the module's own value, so it can neither be forgotten nor be kept for longer.
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

/// Number of rounds of waiting without a pause. Each round frees one more level of objects that were
/// referred to only by others.
const QUICK_ROUNDS: u32 = 100;

/// Number of rounds, which take ten seconds, between two messages that something is left.
const ROUNDS_PER_WARNING: u32 = 100;

/// The pause between two rounds then, in milliseconds.
const PAUSE_MS: u32 = 100;

/// The end of the module, which is dropped as the last act of unloading it.
///
/// It must be the last field of the module's type: the module may keep objects in statics until it is
/// dropped.
///
/// Dropping it waits, in process context, until all objects that RCU frees, all workqueues and all
/// registrations are gone. If one is leaked, that takes forever, and the kernel's log says so: there may
/// still be references to it.
///
/// # Invariants
///
/// It lies in the memory of the module: in the value that C drops when it unloads the module, unless
/// its maker has taken care, by a `MaybeUninit`, to have it elsewhere in a static or never dropped.
#[pin_data(PinnedDrop)]
pub struct End {
    #[pin]
    _pin: PhantomPinned,
}

impl End {
    /// Creates an initialiser for a part of the module's value, before everything that it is to wait for.
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
        // Fully ordered, as in `Live::new`: either that sees that this is the end, or we see its count.
        LOADED.xchg(0, Full);
        // For functions that C may have called, and that have no callback.
        rcu::synchronize_net();
        rcu::rcu_barrier();
        wait_until_none(|| LIVE.fetch_add(0, Full));
        // The last callback may not have returned yet.
        rcu::rcu_barrier();
    }
}

/// Waits until `left` returns zero: until RCU callbacks have freed all objects, directly or through
/// others. When this has returned, the last of these callbacks may not have returned yet.
///
/// If something was leaked, this takes forever, and the log says every ten seconds how much is left.
/// Process context only.
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

/// A part of an object that needs the module's code, to be freed or to run.
pub(crate) struct Live(());

impl Live {
    /// Counts one more.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if there is no [`End`], which would wait for it.
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
