// SPDX-License-Identifier: GPL-2.0

//! X25519.
//!
//! C header: [`include/crypto/curve25519.h`](srctree/include/crypto/curve25519.h)

use wg_bindings as bindings;

/// Number of bytes of a secret, public or shared key.
pub const KEY_LEN: usize = 32;

/// Computes the secret that the owners of `secret` and `public` share.
///
/// Returns false if it is all zeros, which it is for a `public` of low order.
#[inline]
#[must_use]
pub fn x25519(out: &mut [u8; KEY_LEN], secret: &[u8; KEY_LEN], public: &[u8; KEY_LEN]) -> bool {
    // SAFETY: All are valid for as many bytes as keys have.
    unsafe { bindings::curve25519(out.as_mut_ptr(), secret.as_ptr(), public.as_ptr()) }
}

/// Computes the public key that belongs to `secret`.
///
/// Returns false, leaving `out` as it is, if `secret` is all zeros.
#[inline]
#[must_use]
pub fn x25519_public(out: &mut [u8; KEY_LEN], secret: &[u8; KEY_LEN]) -> bool {
    // SAFETY: Both are valid for as many bytes as keys have.
    unsafe { bindings::curve25519_generate_public(out.as_mut_ptr(), secret.as_ptr()) }
}
