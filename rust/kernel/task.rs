// SPDX-License-Identifier: GPL-2.0

//! The current task.
//!
//! C header: [`include/linux/sched.h`](srctree/include/linux/sched.h)

use wg_bindings as bindings;

/// Lets another task run if one is due (`cond_resched()`). For loops that may be long, in process
/// context and with no spin lock held.
#[inline]
pub fn cond_resched() {
    // SAFETY: An FFI call that may sleep, as documented.
    unsafe { bindings::cond_resched() };
}
