// SPDX-License-Identifier: GPL-2.0

//! Timers that belong to an RCU-freed object.
//!
//! An object that lies in an [`RcuArc`](crate::sync::rcu::RcuArc) and has a [`Timers`] field gets
//! [`Expire::expired`] called in softirq context. A pending timer holds no reference: freeing the
//! object shuts its timers down first, so that any code that can access the object may arm one.
//!
//! All timers of an object share one `timer_list`, which is armed for the one that expires first.
//! Arming a later timer, or disarming one, is then only a store. The price is that the `timer_list`
//! may expire for nothing, once for each time that it was armed.
//!
//! C header: [`include/linux/timer.h`](srctree/include/linux/timer.h)

use crate::{
    compat::{
        smp_mb,
        u32_as_usize, //
    },
    sync::rcu::{
        Borrow,
        Inner,
        Object, //
    },
    time::jiffies, //
};
use core::ptr::{
    null_mut,
    NonNull, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        }, //
    },
    types::Opaque, //
};
use wg_bindings as bindings;

/// What an object does when one of its timers expires.
pub trait Expire<const N: usize>: Object {
    /// Handles the expiry of timer number `timer`, in softirq context.
    fn expired(this: Borrow<'_, Self>, timer: usize);
}

/// When the kernel will call the entry's function, as of some time.
#[derive(Clone, Copy)]
struct Armed {
    /// How many jiffies later the entry expires; less than 0 if that is past.
    ahead: isize,
    /// How many jiffies later its function is called, if its CPU is not kept from it.
    ///
    /// The farther ahead an entry is armed, the coarser is the kernel's wheel: by up to an eighth of that time, which
    /// it remains when the time has come.
    called: isize,
}

impl Armed {
    /// Returns whether the function is called early enough for a timer of `delay` jiffies: not later than that of an
    /// entry of its own may be.
    fn serves(self, delay: isize) -> bool {
        let latest = delay.saturating_add(grain(delay));
        self.ahead <= delay && self.called <= latest && !self.is_stuck()
    }

    /// Returns whether the function should have been called already: something keeps the entry's CPU from it.
    fn is_stuck(self) -> bool {
        self.called < -2
    }
}

/// Returns how much later than after `delay` jiffies the function of an entry may be called that is armed for that.
fn grain(delay: isize) -> isize {
    let mut grain = 1;
    // Where a level of the kernel's wheel ends, and one begins that is eight times as coarse.
    while delay >= 63 * grain && grain < 1 << 24 {
        grain *= 8;
    }
    grain
}

/// `N` timers of an object of type `T`.
///
/// # Invariants
///
/// - `owner` is null or points at the [`Inner`] that contains this value, which [`Object::quiesce`]
///   outlives.
/// - `entry` was never armed unless `used` is set, and `owner` is not null.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub struct Timers<T: Object, const N: usize> {
    // Stands first: the callback finds the struct from its address.
    #[pin]
    entry: Opaque<bindings::timer_list>,
    owner: Atomic<*mut Inner<T>>,
    /// When each timer expires, in jiffies, or 0 if it is not pending.
    deadlines: [Atomic<u32>; N],
    used: Atomic<bool>,
}

// SAFETY: Timers may be used from any thread.
unsafe impl<T: Object, const N: usize> Send for Timers<T, N> {}
// SAFETY: The entry is locked by the functions that are called for it, all else is atomic.
unsafe impl<T: Object, const N: usize> Sync for Timers<T, N> {}

impl<T: Expire<N>, const N: usize> Timers<T, N> {
    /// Creates timers none of which is armed.
    pub fn new() -> impl PinInit<Self> {
        // INVARIANT: `owner` is null, and the entry was not armed.
        pin_init!(Self {
            entry <- Opaque::ffi_init(|entry| {
                // SAFETY: `entry` points at memory for a timer, which is pinned.
                unsafe { bindings::timer_setup(entry, Some(expired_callback::<T, N>)) }
            }),
            owner: Atomic::new(null_mut()),
            deadlines: [const { Atomic::new(0) }; N],
            used: Atomic::new(false),
        })
    }
}

impl<T: Object, const N: usize> Timers<T, N> {
    /// Arms timer number `timer` to expire `delay` jiffies from now, be it pending or not.
    ///
    /// Does nothing once the object is being freed, nor before it is complete: timers that were not
    /// bound to an object would never be shut down.
    #[inline]
    pub fn arm(&self, timer: usize, delay: usize) {
        let Some(deadline) = self.deadlines.get(timer) else {
            return;
        };
        if self.owner.load(Relaxed).is_null() {
            return;
        }
        if !self.used.load(Relaxed) {
            self.used.store(true, Relaxed);
        }
        let now = jiffies();
        // CAST: Deadlines have 32 bits. One that would be 0 is a jiffy later.
        deadline.store((now.wrapping_add(delay) as u32).max(1), Relaxed);
        // Either the function of the entry sees the deadline, or we see that the entry is not pending; and
        // either whoever makes it expire later sees the deadline, or we see that it does. Pairs with the barriers
        // in `expired_callback` and `reduce`.
        smp_mb();
        // CAST: Deadlines have 32 bits, and what is farther off than half of that lies in the past.
        let wanted = delay as isize;
        let armed = self.armed(now);
        if armed.is_some_and(|armed| armed.serves(wanted)) {
            return;
        }
        let expires = now.wrapping_add(delay);
        if armed.is_some_and(|armed| armed.ahead <= wanted) {
            self.replace(expires);
        } else {
            self.reduce(expires);
        }
        self.rearm(delay);
    }

    /// Returns whether timer number `timer` is pending.
    #[inline]
    pub fn is_pending(&self, timer: usize) -> bool {
        self.deadlines
            .get(timer)
            .is_some_and(|deadline| deadline.load(Relaxed) != 0)
    }

    /// Disarms timer number `timer`; its handler may be running still.
    #[inline]
    pub fn cancel(&self, timer: usize) {
        if self.is_pending(timer) {
            if let Some(deadline) = self.deadlines.get(timer) {
                deadline.store(0, Relaxed);
            }
        }
    }

    /// Disarms all timers and waits for their handlers to return.
    ///
    /// Must not be called from a handler, nor with a lock held that a handler takes, and no timer may
    /// be armed meanwhile.
    pub fn cancel_all_sync(&self) {
        if self.used.load(Relaxed) {
            // SAFETY: The entry was initialised by `new`.
            unsafe { bindings::timer_delete_sync(self.entry.get()) };
            self.deadlines
                .iter()
                .for_each(|deadline| deadline.store(0, Relaxed));
        }
    }

    /// Makes `owner` the object whose timers these are. Used by [`rcu_object!`].
    ///
    /// # Safety
    ///
    /// `owner` must contain `self` and stay valid until [`Timers::shutdown`] has returned.
    ///
    /// [`rcu_object!`]: crate::rcu_object
    #[doc(hidden)]
    pub unsafe fn bind(&self, owner: NonNull<Inner<T>>) {
        // INVARIANT: By the safety requirements of this function. Pairs with `Acquire` in
        // `expired_callback`.
        self.owner.store(owner.as_ptr(), Release);
    }

    /// Disarms all timers for good and waits for their handlers to return.
    #[doc(hidden)]
    pub fn shutdown(&self) {
        // SAFETY: The entry was initialised by `new`.
        unsafe { bindings::timer_shutdown_sync(self.entry.get()) };
    }

    /// Returns when the entry's function will be called, as of `now`, if it is pending.
    #[inline]
    fn armed(&self, now: usize) -> Option<Armed> {
        let entry = self.entry.get();
        // SAFETY: The entry was initialised by `new`.
        if !unsafe { bindings::timer_pending(entry) } {
            return None;
        }
        // SAFETY: Same.
        let expires = unsafe { bindings::wg_timer_expires(entry) };
        // SAFETY: Same.
        let bucket = unsafe { bindings::wg_timer_bucket(entry) };
        // A level of the wheel has 64 buckets, each eight times as long as one of the level before; the function is
        // called when the next one begins.
        let grain = 1usize.wrapping_shl(3 * (bucket / 64));
        let called = expires.wrapping_add(grain) & grain.wrapping_neg();
        Some(Armed {
            // CAST: The sign says which is later, as with `time_before()`.
            ahead: expires.wrapping_sub(now) as isize,
            // CAST: Same.
            called: called.wrapping_sub(now) as isize,
        })
    }

    /// Has the entry expire no later than `expires`, in jiffies: but if it seemed idle, and others have armed it
    /// meanwhile, perhaps later than they did. So the deadlines are to be looked at after this, by `rearm`.
    #[inline]
    fn reduce(&self, expires: usize) {
        // INVARIANT: `used` is set, and there is an owner, or nothing would be armed.
        // SAFETY: The entry was initialised by `new` and is pinned.
        unsafe { bindings::timer_reduce(self.entry.get(), expires) };
        // Pairs with the barrier in `arm`.
        smp_mb();
    }

    /// Has the entry, which is pending, expire at `expires`, in jiffies, and on this CPU: to reduce it would leave it
    /// where it is.
    fn replace(&self, expires: usize) {
        // In between the entry is idle, and others rely on it. So this is not preempted, with `PREEMPT_RT` either,
        // where bottom halves are.
        // SAFETY: Preemption is enabled again below.
        unsafe { bindings::preempt_disable() };
        // SAFETY: The entry was initialised by `new`.
        unsafe { bindings::timer_delete(self.entry.get()) };
        self.reduce(expires);
        // SAFETY: It was disabled above.
        unsafe { bindings::preempt_enable() };
    }

    /// Arms the entry for the first pending timer, unless it was just armed to expire `armed` jiffies from now, and
    /// that is no later.
    ///
    /// Code that arms a timer at the same time may see that the entry is pending, but not yet for when,
    /// and not arm it again; or this may have made it expire later than such code did. So, once it is
    /// pending, the deadlines are checked again.
    fn rearm(&self, mut armed: usize) {
        while let Some(first) = self.first_delay().filter(|first| *first < armed) {
            self.reduce(jiffies().wrapping_add(first));
            armed = first;
        }
    }

    /// Returns how many jiffies remain until the first pending timer expires.
    fn first_delay(&self) -> Option<usize> {
        let now = now();
        let deadlines = self.deadlines.iter().map(|deadline| deadline.load(Relaxed));
        deadlines
            .filter(|deadline| *deadline != 0)
            .map(|deadline| remaining(deadline, now).unwrap_or(0))
            .min()
            .map(u32_as_usize)
    }
}

/// Returns the time, as deadlines have it.
fn now() -> u32 {
    // CAST: Deadlines have 32 bits.
    jiffies() as u32
}

/// Returns how many jiffies remain at `now` until `deadline`, or nothing if it has passed.
fn remaining(deadline: u32, now: u32) -> Option<u32> {
    // CAST: What is too large for a signed number lies in the past.
    u32::try_from(deadline.wrapping_sub(now) as i32)
        .ok()
        .filter(|remaining| *remaining != 0)
}

#[pinned_drop]
impl<T: Object, const N: usize> PinnedDrop for Timers<T, N> {
    fn drop(self: Pin<&mut Self>) {
        self.shutdown();
    }
}

/// The callback of the entry.
///
/// # Safety
///
/// `entry` must be that of a `Timers<T, N>` that was not dropped, and [`Timers::bind`] have been called, if
/// it was, with the object that contains that.
unsafe extern "C" fn expired_callback<T: Expire<N>, const N: usize>(
    entry: *mut bindings::timer_list,
) {
    // CAST: `entry` is the first field of the `repr(C)` struct, and `Opaque` is transparent.
    let timers = entry.cast::<Timers<T, N>>();
    // SAFETY: The struct outlives its timers' functions, since dropping it waits for them.
    let timers = unsafe { &*timers };
    let Some(owner) = NonNull::new(timers.owner.load(Acquire)) else {
        return;
    };

    // The entry is not pending any more: arming a timer from here on arms it again, and a timer armed
    // before has its deadline written. Pairs with the barrier in `arm`.
    smp_mb();
    for (timer, deadline) in timers.deadlines.iter().enumerate() {
        let now = now();
        let old = deadline.load(Relaxed);
        let due = old != 0 && remaining(old, now).is_none();
        // If it has changed meanwhile, it was rearmed, or disarmed. Fully ordered: code that gives a handler
        // work, but leaves its pending timer as it is, has the handler see that work.
        if due && deadline.cmpxchg(old, 0, Full).is_ok() {
            // SAFETY: By the type invariants, the object is alive: before freeing it, `quiesce`
            // waits for this function to return.
            T::expired(unsafe { Borrow::from_raw(owner) }, timer);
        }
    }
    timers.rearm(usize::MAX);
}
