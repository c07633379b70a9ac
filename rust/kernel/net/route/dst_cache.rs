// SPDX-License-Identifier: GPL-2.0

//! A cache of the route to one destination, per CPU.
//!
//! C header: [`include/net/dst_cache.h`](srctree/include/net/dst_cache.h)

use super::{
    Flow,
    Route, //
};
use crate::{
    net::{
        family::Family,
        namespace::Residence,
        udp_tunnel::Sender, //
    },
    sync::bh, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    task::might_sleep,
    types::Opaque, //
};
use wg_bindings as bindings;

/// A cache of the route to one destination, and of our address on it.
///
/// It can be created and dropped in any context. The end of the namespace that the routes are in waits
/// until they are released: when the cache is dropped or [released](Self::release).
///
/// # Invariants
///
/// - The cache is initialised, and was given routes of family `F` only.
/// - It holds routes only while `residence` is in their namespace.
/// - `cookie` was taken after the residence began to be left, if it did, and before `leave`.
pub struct DstCache<F: Family> {
    cache: Opaque<bindings::dst_cache>,
    residence: Residence,
    cookie: Atomic<usize>,
    family: PhantomData<F>,
}

// SAFETY: A cache may be used on any CPU.
unsafe impl<F: Family> Send for DstCache<F> {}

// SAFETY: The functions for use by several CPUs only touch the current one's entry.
unsafe impl<F: Family> Sync for DstCache<F> {}

impl<F: Family> DstCache<F> {
    /// Creates an empty cache, which takes memory for each CPU that the kernel has little of.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub fn new() -> Result<Self> {
        let cache = Opaque::zeroed();
        let flags = kernel::bindings::GFP_ATOMIC | kernel::bindings::__GFP_NOWARN;
        // SAFETY: The cache is valid for writes.
        to_result(unsafe { bindings::dst_cache_init(cache.get(), flags) })?;
        // INVARIANT: It was initialised above, and holds nothing. It does not mind being moved.
        Ok(Self {
            cache,
            residence: Residence::new(),
            cookie: Atomic::new(0),
            family: PhantomData,
        })
    }

    /// Returns the route and fills in our address, if they are known and still valid, and in the
    /// namespace of the sender.
    #[inline]
    pub fn get<'g>(
        &self,
        sender: &Sender<'g, F>,
        flow: &mut Flow<F>,
        _bh: &bh::Guard,
    ) -> Option<Route<'g, F>> {
        if !self.residence.is_with(sender.residence()) {
            return None;
        }
        // If the residence is not taken up yet, this CPU has no entry. The lookup is needed all the same: C
        // records the miss, without which it would not trust the next entry.
        // SAFETY: By the type invariants, the cache is valid and of this family. Bottom halves are off,
        // and a release waits for that, having made sure that the residence was left.
        let dst = unsafe { F::cache_get(self.cache.get(), &mut flow.saddr) };
        // INVARIANT: The function has returned a reference, in the namespace of the sender. This is under
        // RCU while the sender lives.
        Some(Route {
            dst: NonNull::new(dst)?,
            sender: *sender,
        })
    }

    /// Remembers the route, and our address.
    #[inline]
    pub fn set(&self, route: &Route<'_, F>, flow: &Flow<F>, bh: &bh::Guard) {
        if self.reside(&route.sender, bh) {
            // INVARIANT: The residence is in the namespace of the route's sender, and so is the route.
            // SAFETY: The cache and the route are valid. Bottom halves are off, as in `get`.
            unsafe { F::cache_set(self.cache.get(), route.dst.as_ptr(), flow.saddr) };
        }
    }

    /// Takes up residence in the namespace of the routes that `sender` gets, and returns whether the
    /// cache now resides there.
    fn reside(&self, sender: &Sender<'_, F>, _bh: &bh::Guard) -> bool {
        // SAFETY: This is under RCU while the sender lives, and its socket resides in the namespace.
        unsafe { self.residence.take_up(sender.net()) }
    }

    /// Closes the cache before it is released: no routes are remembered or returned any more.
    ///
    /// In any context. Releasing many caches takes one grace period if all are closed first.
    pub fn close(&self) {
        self.residence.begin_to_leave(|| {
            // SAFETY: May be called from any context.
            let cookie = unsafe { bindings::get_state_synchronize_rcu() };
            // INVARIANT: The residence has just begun to be left.
            self.cookie.store(cookie, Relaxed);
        });
    }

    /// Closes the cache and releases its routes, at once and on all CPUs.
    ///
    /// Waits for a grace period unless one has passed since the cache was closed. Process context
    /// only. If another caller is releasing it, that may not be complete when this returns.
    pub fn release(&self) {
        might_sleep();
        self.close();
        self.residence.leave(|| {
            // SAFETY: An FFI call that may sleep, as documented.
            unsafe { bindings::cond_synchronize_rcu(self.cookie.load(Relaxed)) };
            // SAFETY: By the type invariants, the cache is valid. All users of it are done, and no new
            // ones begin.
            unsafe { bindings::dst_cache_reset_now(self.cache.get()) };
        });
    }
}

impl<F: Family> Drop for DstCache<F> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the cache is valid. It is not used any more. The residence
        // is dropped after this.
        unsafe { bindings::dst_cache_destroy(self.cache.get()) };
    }
}
