// SPDX-License-Identifier: GPL-2.0

//! Random numbers.
//!
//! C header: [`include/linux/random.h`](srctree/include/linux/random.h)

use kernel::{
    error::to_result,
    prelude::*,
    task::might_sleep, //
};
use wg_bindings as bindings;

/// Fills `out` with random bytes.
///
/// They are good enough for keys if [`is_initialized`].
#[inline]
pub fn fill(out: &mut [u8]) {
    // SAFETY: `out` is valid for as many bytes.
    unsafe { bindings::get_random_bytes(out.as_mut_ptr().cast(), out.len()) };
}

/// Returns a random number.
#[inline]
pub fn u32() -> u32 {
    // SAFETY: May be called from any context.
    unsafe { bindings::get_random_u32() }
}

/// Returns a random number that is less than `limit`, or zero if there is none.
#[inline]
pub fn u32_below(limit: u32) -> u32 {
    if limit <= 1 {
        return 0;
    }
    // SAFETY: May be called from any context.
    unsafe { bindings::__get_random_u32_below(limit) }
}

/// Returns whether the generator has been seeded.
#[inline]
pub fn is_initialized() -> bool {
    // SAFETY: May be called from any context.
    unsafe { bindings::rng_is_initialized() }
}

/// Waits until the generator has been seeded. Sleeps.
///
/// # Errors
///
/// `ERESTARTSYS` if a signal came first.
pub fn wait() -> Result {
    might_sleep();
    // SAFETY: May be called where one may sleep.
    to_result(unsafe { bindings::wait_for_random_bytes() })
}
