// SPDX-License-Identifier: GPL-2.0

//! See there.

pub(crate) use kernel::sync::atomic::smp_mb;

/// Waits for callbacks, which a model's end does.
pub fn rcu_barrier() {}

pub const fn u32_as_usize(value: u32) -> usize {
    value as usize
}
