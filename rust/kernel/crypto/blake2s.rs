// SPDX-License-Identifier: GPL-2.0

//! BLAKE2s.
//!
//! C header: [`include/crypto/blake2s.h`](srctree/include/crypto/blake2s.h)

use wg_bindings as bindings;

/// Maximum length of a key in bytes.
pub const MAX_KEY_LEN: usize = 32;

/// Computes the BLAKE2s-256 hash of the concatenation of `parts`.
#[inline]
pub fn hash(parts: &[&[u8]], out: &mut [u8; 32]) {
    compute(&[], parts, out);
}

/// Computes a keyed BLAKE2s hash of the concatenation of `parts`.
///
/// The key should have 1 to [`MAX_KEY_LEN`] bytes: further bytes are not used, and with an empty key
/// the hash is not keyed.
#[inline]
pub fn mac<const N: usize>(key: &[u8], parts: &[&[u8]], out: &mut [u8; N]) {
    const { assert!(N > 0 && N <= 32) };
    compute(key, parts, out);
}

/// Fills `out`, which has 1 to 32 bytes.
fn compute(key: &[u8], parts: &[&[u8]], out: &mut [u8]) {
    let mut context = bindings::blake2s_ctx::default();
    let key_len = key.len().min(MAX_KEY_LEN);
    if key_len == 0 {
        // SAFETY: `context` is valid for writes.
        unsafe { bindings::blake2s_init(&mut context, out.len()) };
    } else {
        // SAFETY: `context` is valid for writes, and `key` for as many bytes.
        unsafe {
            bindings::blake2s_init_key(&mut context, out.len(), key.as_ptr().cast(), key_len)
        };
    }
    for part in parts {
        // SAFETY: `context` was initialised, and `part` is valid for as many bytes.
        unsafe { bindings::blake2s_update(&mut context, part.as_ptr(), part.len()) };
    }
    // This also wipes the context.
    // SAFETY: `context` was initialised for a hash of the length of `out`.
    unsafe { bindings::blake2s_final(&mut context, out.as_mut_ptr()) };
}
