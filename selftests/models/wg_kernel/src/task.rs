// SPDX-License-Identifier: GPL-2.0

//! The current task.

/// Lets others run: loom does so anyway.
pub fn cond_resched() {
    kernel::task::might_sleep();
}

/// As in `wg_kernel`.
pub const MAX_BY_VALUE: usize = 256;
