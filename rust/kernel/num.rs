// SPDX-License-Identifier: GPL-2.0

//! Conversions between integers that lose nothing on any architecture that there is a kernel for.

const _: () = assert!(size_of::<usize>() >= size_of::<u32>());

/// Returns `value` as a `usize`, which is at least as large.
#[inline]
pub(crate) const fn u32_as_usize(value: u32) -> usize {
    // CAST: This was asserted above.
    value as usize
}
