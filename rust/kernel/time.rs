// SPDX-License-Identifier: GPL-2.0

//! Clocks.
//!
//! C headers: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h),
//! [`include/linux/jiffies.h`](srctree/include/linux/jiffies.h)

use crate::compat::u32_as_usize;
use wg_bindings as bindings;

/// Number of jiffies in a second.
pub const HZ: usize = u32_as_usize(bindings::CONFIG_HZ);

/// Returns the number of ticks by now, which wraps.
#[inline]
pub(crate) fn jiffies() -> usize {
    // SAFETY: It is there, and changes any time, hence volatile.
    unsafe { (&raw const bindings::jiffies).read_volatile() }
}

/// Returns the nanoseconds since boot, suspend included, as of the last tick.
#[inline]
pub fn boottime_coarse_ns() -> u64 {
    // SAFETY: May be called from any context.
    unsafe { bindings::ktime_get_coarse_boottime_ns() }
}

/// Returns the nanoseconds of a monotonic clock, as precisely as it can be read quickly.
#[inline]
pub fn monotonic_ns() -> i64 {
    // SAFETY: May be called from any context.
    let ns = unsafe { bindings::ktime_get_mono_fast_ns() };
    // It takes centuries to get where this wraps.
    ns as i64
}

/// Returns the seconds since 1970 and the nanoseconds since the last of them.
pub fn real_time() -> (i64, u32) {
    let mut time = bindings::timespec64::default();
    // SAFETY: `time` is valid for writes.
    unsafe { bindings::ktime_get_real_ts64(&mut time) };
    (time.tv_sec, u32::try_from(time.tv_nsec).unwrap_or(0))
}
