// SPDX-License-Identifier: GPL-2.0

//! Memory.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use wg_bindings as bindings;

/// Returns the bytes of memory that the machine has.
pub fn total_ram() -> u64 {
    // SAFETY: An FFI call without requirements.
    unsafe { bindings::wg_total_ram() }
}

/// Moves `len` bytes within `bytes`, from offset `from` to offset `to`. The ranges may overlap.
///
/// Returns false, and does nothing, if either range exceeds `bytes`.
#[inline]
pub fn move_within(bytes: &mut [u8], from: usize, to: usize, len: usize) -> bool {
    let has = |place: usize| place.checked_add(len).is_some_and(|end| end <= bytes.len());
    if !has(from) || !has(to) {
        return false;
    }
    let data = bytes.as_mut_ptr();
    // SAFETY: As was checked, the place lies within the bytes.
    let source = unsafe { data.add(from) };
    // SAFETY: As above.
    let target = unsafe { data.add(to) };
    // SAFETY: There are `len` bytes at both places. They may overlap.
    unsafe { core::ptr::copy(source, target, len) };
    true
}
