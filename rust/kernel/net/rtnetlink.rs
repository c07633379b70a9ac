// SPDX-License-Identifier: GPL-2.0

//! The rtnetlink lock, RTNL.
//!
//! The link operations that are registered with rtnetlink are in [`netdevice`](super::netdevice).
//!
//! C header: [`include/linux/rtnetlink.h`](srctree/include/linux/rtnetlink.h)

use kernel::types::NotThreadSafe;
use wg_bindings as bindings;

/// Evidence that the current task holds RTNL.
///
/// # Invariants
///
/// The current task holds RTNL while instances of this type exist.
pub struct Guard(NotThreadSafe);

/// Acquires RTNL until the guard is dropped. May sleep.
///
/// Dropping the guard finishes the removal of devices that were unregistered meanwhile, by any code,
/// and so may call [`Operations::destruct`](super::netdevice::Operations::destruct).
#[must_use = "RTNL is released when the guard is dropped"]
pub fn lock() -> Guard {
    // SAFETY: May be called wherever sleeping is allowed.
    unsafe { bindings::rtnl_lock() };
    // INVARIANT: RTNL was just acquired.
    Guard(NotThreadSafe)
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the current task holds RTNL.
        unsafe { bindings::rtnl_unlock() };
    }
}
