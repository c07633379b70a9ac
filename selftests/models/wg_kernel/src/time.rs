// SPDX-License-Identifier: GPL-2.0

//! The clock, which stands still.

use kernel::model;

/// Ticks per second.
pub const HZ: usize = 100;

/// Returns the number of ticks by now.
pub(crate) fn jiffies() -> usize {
    model::jiffies() as usize
}

/// Returns nanoseconds since boot.
pub fn boottime_coarse_ns() -> u64 {
    1_000_000_000
}
