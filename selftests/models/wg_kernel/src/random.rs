// SPDX-License-Identifier: GPL-2.0

//! Numbers that are the same in each execution.

use core::cell::Cell;

thread_local! {
    static NEXT: Cell<u32> = const { Cell::new(0) };
}

/// Makes `next` the next number.
pub fn seed(next: u32) {
    NEXT.set(next);
}

/// Returns the next number.
pub fn u32() -> u32 {
    NEXT.replace(NEXT.get().wrapping_add(1))
}
