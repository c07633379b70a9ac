// SPDX-License-Identifier: GPL-2.0

//! The task that runs.
//!
//! C header: [`include/linux/sched.h`](srctree/include/linux/sched.h)

use wg_bindings as bindings;

/// Lets another task run if it is its turn. For loops that may be long, in process context and with
/// no spin lock held.
#[inline]
pub fn cond_resched() {
    // SAFETY: An FFI call that may sleep, as documented.
    unsafe { bindings::cond_resched() };
}

/// Says that the caller may sleep: a kernel that checks this complains if it must not, be it for a
/// lock, for bottom halves that are off, or for a read-side critical section of RCU.
#[inline]
pub fn might_sleep() {
    // SAFETY: An FFI call that may sleep, as documented.
    unsafe { bindings::might_sleep() };
}
