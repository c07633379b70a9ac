// SPDX-License-Identifier: GPL-2.0

//! A cache of the route to one destination, per CPU.
//!
//! C header: [`include/net/dst_cache.h`](srctree/include/net/dst_cache.h)

use super::{
    in6_addr,
    Flow4,
    Flow6,
    Route4,
    Route6, //
};
use crate::sync::bh;
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};
use wg_bindings as bindings;

/// A cache of the route to one destination, and of our address on it.
///
/// May be created and dropped in any context.
///
/// # Invariants
///
/// The cache is initialised.
pub struct DstCache(Opaque<bindings::dst_cache>);

// SAFETY: A cache may be used on any CPU.
unsafe impl Send for DstCache {}

// SAFETY: The functions for use by several CPUs only touch the current one's entry.
unsafe impl Sync for DstCache {}

impl DstCache {
    /// Creates an empty cache.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub fn new() -> Result<Self> {
        let cache = Opaque::zeroed();
        // SAFETY: The cache is valid for writes.
        to_result(unsafe { bindings::dst_cache_init(cache.get(), kernel::bindings::GFP_ATOMIC) })?;
        // INVARIANT: It was initialised above. It does not mind being moved.
        Ok(Self(cache))
    }

    /// Returns the IPv4 route and fills in our address, if they are known and still valid.
    #[inline]
    pub fn get4(&self, flow: &mut Flow4, _bh: &bh::Guard) -> Option<Route4> {
        let mut saddr = 0;
        // SAFETY: By the type invariants, the cache is valid. Bottom halves are off.
        let route = unsafe { bindings::dst_cache_get_ip4(self.0.get(), &mut saddr) };
        let route = NonNull::new(route)?;
        flow.saddr = saddr.to_ne_bytes();
        // INVARIANT: The function has returned a reference.
        Some(Route4(route))
    }

    /// Remembers the IPv4 route, and our address.
    #[inline]
    pub fn set4(&self, route: &Route4, flow: &Flow4, _bh: &bh::Guard) {
        let saddr = u32::from_ne_bytes(flow.saddr);
        // SAFETY: The cache and the route are valid. Bottom halves are off.
        unsafe { bindings::dst_cache_set_ip4(self.0.get(), route.dst(), saddr) };
    }

    /// Returns the IPv6 route and fills in our address, if they are known and still valid.
    #[inline]
    pub fn get6(&self, flow: &mut Flow6, _bh: &bh::Guard) -> Option<Route6> {
        let mut saddr = in6_addr([0; 16]);
        // SAFETY: By the type invariants, the cache is valid. Bottom halves are off.
        let route = unsafe { bindings::dst_cache_get_ip6(self.0.get(), &mut saddr) };
        let route = NonNull::new(route)?;
        // SAFETY: An address is valid as bytes.
        flow.saddr = unsafe { saddr.in6_u.u6_addr8 };
        // INVARIANT: The function has returned a reference.
        Some(Route6(route))
    }

    /// Remembers the IPv6 route, and our address.
    #[inline]
    pub fn set6(&self, route: &Route6, flow: &Flow6, _bh: &bh::Guard) {
        let saddr = in6_addr(flow.saddr);
        // SAFETY: The cache and the route are valid. Bottom halves are off.
        unsafe { bindings::dst_cache_set_ip6(self.0.get(), route.0.as_ptr(), &saddr) };
    }

    /// Has what is remembered forgotten, on each CPU when that looks for it.
    pub fn reset(&self) {
        // SAFETY: By the type invariants, the cache is valid.
        unsafe { bindings::dst_cache_reset(self.0.get()) };
    }

    /// Forgets what is remembered, on all CPUs and at once.
    pub fn reset_now(&mut self) {
        // SAFETY: By the type invariants, the cache is valid. Nobody else uses it.
        unsafe { bindings::dst_cache_reset_now(self.0.get()) };
    }
}

impl Drop for DstCache {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the cache is valid. Nobody uses it any more.
        unsafe { bindings::dst_cache_destroy(self.0.get()) };
    }
}
