// SPDX-License-Identifier: GPL-2.0

//! Evidence of what the networking core did before it called us.
//!
//! Callbacks are often entered under RCU, with bottom halves off or with RTNL held, as some of our
//! functions require. Taking the lock again would be a waste, or a deadlock, so callbacks borrow a
//! guard that is never dropped.

use crate::{
    net::rtnetlink,
    sync::bh::{
        self,
        Softirq, //
    }, //
};
use core::ptr::NonNull;
use kernel::{
    static_assert,
    sync::rcu, //
};

/// Returns evidence that bottom halves are disabled, and of an RCU read-side critical section, which
/// any section with bottom halves disabled is.
///
/// # Safety
///
/// For `'a` bottom halves, or all interrupts, must be disabled.
#[inline]
pub(crate) unsafe fn softirq<'a>() -> Softirq<'a> {
    static_assert!(size_of::<rcu::Guard>() == 0 && size_of::<bh::Guard>() == 0);
    // SAFETY: The pointer is non-null and aligned, which makes it valid for a type without bytes.
    // What the type is evidence of holds by the safety requirements of this function:
    // `synchronize_rcu()` waits for such a section.
    let rcu = unsafe { NonNull::dangling().as_ref() };
    // SAFETY: As above.
    let bh = unsafe { NonNull::dangling().as_ref() };
    Softirq::new(rcu, bh)
}

/// Returns evidence that RTNL is held.
///
/// # Safety
///
/// For `'a` the current task must hold RTNL.
#[inline]
pub(crate) unsafe fn rtnl<'a>() -> &'a rtnetlink::Guard {
    static_assert!(size_of::<rtnetlink::Guard>() == 0);
    // SAFETY: The pointer is non-null and aligned, which makes it valid for a type without bytes.
    // What the type is evidence of holds by the safety requirements of this function.
    unsafe { NonNull::dangling().as_ref() }
}
