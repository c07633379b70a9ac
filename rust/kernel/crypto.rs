// SPDX-License-Identifier: GPL-2.0

//! Cryptography of the kernel's library.
//!
//! The functions may be called from process and softirq context.
//!
//! C headers: [`include/crypto/utils.h`](srctree/include/crypto/utils.h),
//! [`include/linux/string.h`](srctree/include/linux/string.h)

pub mod blake2s;
pub mod chacha20poly1305;
pub mod curve25519;
pub mod siphash;

use wg_bindings as bindings;

/// Returns whether `a` and `b` are equal, in a time that does not depend on where they differ.
#[inline]
pub fn eq(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // SAFETY: Both are valid for as many bytes.
    unsafe { bindings::__crypto_memneq(a.as_ptr().cast(), b.as_ptr().cast(), a.len()) == 0 }
}

/// Overwrites `bytes` with zeros, even if they are not read any more.
#[inline]
pub fn wipe(bytes: &mut [u8]) {
    // SAFETY: `bytes` is valid for as many bytes.
    unsafe { bindings::memzero_explicit(bytes.as_mut_ptr().cast(), bytes.len()) };
}
