// SPDX-License-Identifier: GPL-2.0

//! Timers that belong to an RCU-freed object.
//!
//! An object that lies in an [`RcuArc`](crate::sync::rcu::RcuArc) and has a [`Timers`] field gets
//! [`Expire::expired`] called in softirq context. A pending timer holds no reference: freeing the
//! object shuts its timers down first, so that a timer may be armed by whoever can see the object.
//!
//! C header: [`include/linux/timer.h`](srctree/include/linux/timer.h)

use crate::sync::rcu::{
    Borrow,
    Inner,
    Object, //
};
use core::{
    convert::Infallible,
    ptr::{
        null_mut,
        NonNull, //
    }, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    },
    types::Opaque,
};
use wg_bindings as bindings;

/// The most timers an object can have.
pub const MAX_TIMERS: usize = 8;

/// What an object does when one of its timers expires.
pub trait Expire<const N: usize>: Object {
    /// Handles the expiry of timer number `timer`, in softirq context.
    fn expired(this: Borrow<'_, Self>, timer: usize);
}

/// `N` timers of an object of type `T`, at most [`MAX_TIMERS`].
///
/// # Invariants
///
/// `owner` is null or points at the [`Inner`] that contains this value, which [`Object::quiesce`]
/// outlives.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub struct Timers<T: Object, const N: usize> {
    // Stands first: the callback finds the struct from the address of a timer.
    #[pin]
    entries: [Opaque<bindings::timer_list>; N],
    owner: Atomic<*mut Inner<T>>,
}

// SAFETY: Timers may be used from any thread.
unsafe impl<T: Object, const N: usize> Send for Timers<T, N> {}
// SAFETY: All operations on timers lock by themselves.
unsafe impl<T: Object, const N: usize> Sync for Timers<T, N> {}

impl<T: Expire<N>, const N: usize> Timers<T, N> {
    /// Creates timers none of which is armed.
    pub fn new() -> impl PinInit<Self> {
        const { assert!(N <= MAX_TIMERS) };
        let init = |slot: *mut Self| {
            for index in 0..N {
                // SAFETY: `slot` is valid for writes of `Self`, and `index` is in bounds.
                let timer = unsafe {
                    (&raw mut (*slot).entries)
                        .cast::<bindings::timer_list>()
                        .add(index)
                };
                // SAFETY: `timer` points at memory for a timer, which is pinned.
                unsafe { bindings::timer_setup(timer, callback::<T, N>(index)) };
            }
            // SAFETY: `slot` is valid for writes of `Self`.
            let owner = unsafe { &raw mut (*slot).owner };
            // INVARIANT: `owner` is null.
            // SAFETY: As above.
            unsafe { owner.write(Atomic::new(null_mut())) };
            Ok::<(), Infallible>(())
        };
        // SAFETY: The closure initialises both fields and cannot fail.
        unsafe { pin_init::pin_init_from_closure(init) }
    }
}

impl<T: Object, const N: usize> Timers<T, N> {
    /// Arms timer number `timer` to expire `delay` jiffies from now, be it pending or not.
    ///
    /// Does nothing once the object is being freed.
    #[inline]
    pub fn arm(&self, timer: usize, delay: usize) {
        if let Some(entry) = self.entries.get(timer) {
            // SAFETY: The timer was initialised by `new` and is pinned.
            unsafe { bindings::timer_arm(entry.get(), delay) };
        }
    }

    /// Returns whether timer number `timer` is pending.
    #[inline]
    pub fn is_pending(&self, timer: usize) -> bool {
        self.entries
            .get(timer)
            // SAFETY: The timer was initialised by `new`.
            .is_some_and(|entry| unsafe { bindings::timer_pending(entry.get()) })
    }

    /// Disarms timer number `timer`; its handler may be running still.
    #[inline]
    pub fn cancel(&self, timer: usize) {
        if self.is_pending(timer) {
            if let Some(entry) = self.entries.get(timer) {
                // SAFETY: The timer was initialised by `new`.
                unsafe { bindings::timer_delete(entry.get()) };
            }
        }
    }

    /// Disarms all timers and waits for their handlers to return.
    ///
    /// Must not be called from a handler, nor with a lock held that a handler takes.
    pub fn cancel_all_sync(&self) {
        for entry in &self.entries {
            // SAFETY: The timer was initialised by `new`.
            unsafe { bindings::timer_delete_sync(entry.get()) };
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
        for entry in &self.entries {
            // SAFETY: The timer was initialised by `new`.
            unsafe { bindings::timer_shutdown_sync(entry.get()) };
        }
    }
}

#[pinned_drop]
impl<T: Object, const N: usize> PinnedDrop for Timers<T, N> {
    fn drop(self: Pin<&mut Self>) {
        self.shutdown();
    }
}

/// The signature of a timer's function.
type Callback = unsafe extern "C" fn(*mut bindings::timer_list);

/// Returns the function of timer number `index`.
fn callback<T: Expire<N>, const N: usize>(index: usize) -> Option<Callback> {
    Some(match index {
        0 => expired_callback::<T, N, 0>,
        1 => expired_callback::<T, N, 1>,
        2 => expired_callback::<T, N, 2>,
        3 => expired_callback::<T, N, 3>,
        4 => expired_callback::<T, N, 4>,
        5 => expired_callback::<T, N, 5>,
        6 => expired_callback::<T, N, 6>,
        _ => expired_callback::<T, N, 7>,
    })
}

/// The function of timer number `I`.
///
/// # Safety
///
/// `timer` must be the entry number `I` of a `Timers<T, N>`.
unsafe extern "C" fn expired_callback<T: Expire<N>, const N: usize, const I: usize>(
    timer: *mut bindings::timer_list,
) {
    // SAFETY: By the safety requirements of this function, the entries start `I` timers before.
    let first = unsafe { timer.sub(I) };
    // CAST: `entries` is the first field of the `repr(C)` struct.
    let timers = first.cast::<Timers<T, N>>();
    // SAFETY: The struct outlives its timers' functions, since dropping it waits for them.
    let owner = unsafe { &(*timers).owner };

    if let Some(owner) = NonNull::new(owner.load(Acquire)) {
        // SAFETY: By the type invariants, the object is alive: before freeing it, `quiesce` waits
        // for this function to return.
        T::expired(unsafe { Borrow::from_raw(owner) }, I);
    }
}
