// SPDX-License-Identifier: GPL-2.0

//! The cryptographic primitives of the protocol.
//!
//! The four primitives are an argument, as time and random numbers are: the module implements
//! [`Suite`] with the kernel's `lib/crypto`, the tests with an independent library. The constructions
//! on top of them (HMAC, key derivation, the handshake) are in [`crate::noise`] and above.

/// BLAKE2s, ChaCha20-Poly1305, XChaCha20-Poly1305 and X25519.
///
/// Every method writes through a reference instead of returning an array, so that keys are derived
/// in place and leave no copies behind.
pub trait Suite {
    /// Computes BLAKE2s-256, without a key, of the concatenation of `parts`.
    fn hash(parts: &[&[u8]], out: &mut [u8; 32]);

    /// Computes keyed BLAKE2s, with 16 bytes of output, of the concatenation of `parts`.
    ///
    /// `key` has 1 to 32 bytes.
    fn mac(key: &[u8], parts: &[&[u8]], out: &mut [u8; 16]);

    /// Encrypts `src` into `dst` with ChaCha20-Poly1305 and authenticates `ad` too.
    ///
    /// The nonce is 32 bits of zero, then `nonce` in little endian. `dst` must be 16 bytes longer
    /// than `src`, else nothing is written.
    fn seal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; 32]);

    /// Reverses [`seal`](Self::seal), and returns whether `src` and `ad` are authentic.
    ///
    /// `dst` must be 16 bytes shorter than `src`, else the result is `false`. If it is `false`, the
    /// contents of `dst` are unspecified.
    fn open(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; 32]) -> bool;

    /// Encrypts `src` into `dst` with XChaCha20-Poly1305; otherwise as [`seal`](Self::seal).
    fn xseal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8; 24], key: &[u8; 32]);

    /// Reverses [`xseal`](Self::xseal); otherwise as [`open`](Self::open).
    fn xopen(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8; 24], key: &[u8; 32]) -> bool;

    /// Computes X25519, clamping `secret`, and returns whether the result is a shared secret.
    ///
    /// A result that is all zero, as low-order points give, is none.
    fn x25519(out: &mut [u8; 32], secret: &[u8; 32], public: &[u8; 32]) -> bool;

    /// Computes the public key of `secret`, and returns whether there is one.
    ///
    /// A `secret` that is all zero has none.
    fn x25519_public(out: &mut [u8; 32], secret: &[u8; 32]) -> bool;

    /// Returns whether `a` equals `b`, in a time that depends only on the lengths.
    fn eq(a: &[u8], b: &[u8]) -> bool;
}

#[cfg(test)]
mod tests {
    use crate::{
        suite::RustCrypto,
        vectors, //
    };

    #[test]
    fn suite_of_the_tests_gives_known_answers() {
        assert_eq!(vectors::check::<RustCrypto>(), Ok(()));
    }
}
