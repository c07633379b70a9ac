// SPDX-License-Identifier: GPL-2.0

//! Memory of the machine.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use wg_bindings as bindings;

/// Returns the bytes of memory that the machine has.
pub fn total_ram() -> u64 {
    // SAFETY: An FFI call without requirements.
    unsafe { bindings::wg_total_ram() }
}
