// SPDX-License-Identifier: GPL-2.0

//! Bytes that are wiped when dropped, and not printed.
//!
//! Moving a value copies it and leaves the source as it was. Therefore a [`Secret`] is created in
//! place, as zeros, and then filled through [`as_mut_bytes`](Secret::as_mut_bytes) or
//! [`copy_from`](Secret::copy_from): none that holds a secret is moved. [`wipe_stack`] is for copies
//! that the compiler spills to the stack, and for functions that are not ours.

use core::hint::black_box;

use crate::crypto::Suite;

/// A key, or a value from which a key can be derived.
///
/// There is deliberately no way to copy, print or order one, and only one way to compare it.
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Returns a secret of zeros, to be filled in.
    #[inline]
    pub const fn zero() -> Self {
        Self([0; N])
    }

    /// Lends the bytes.
    #[inline]
    pub const fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// Lends the bytes for writing.
    #[inline]
    pub fn as_mut_bytes(&mut self) -> &mut [u8; N] {
        &mut self.0
    }

    /// Overwrites this secret with `other`.
    #[inline]
    pub fn copy_from(&mut self, other: &Self) {
        self.0 = other.0;
    }

    /// Overwrites this secret with zeros.
    #[inline]
    pub fn wipe(&mut self) {
        wipe_bytes(&mut self.0);
    }

    /// Returns whether all bytes are zero, in constant time.
    #[inline]
    pub fn is_zero<S: Suite>(&self) -> bool {
        S::eq(&self.0, &[0; N])
    }
}

impl<const N: usize> From<&[u8; N]> for Secret<N> {
    #[inline]
    fn from(bytes: &[u8; N]) -> Self {
        Self(*bytes)
    }
}

impl<const N: usize> Drop for Secret<N> {
    #[inline]
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Overwrites bytes with zeros.
///
/// Not inlined, so that the stores can be verified in the object file, in this one place.
#[inline(never)]
fn wipe_bytes(bytes: &mut [u8]) {
    bytes.fill(0);
    // Makes the compiler assume that the zeros are read.
    black_box(bytes);
}

/// Overwrites what functions that have returned left on the stack.
///
/// To be called after a function that handles keys has returned, rather than by it: it reaches
/// 4 KiB below the caller (3 KiB on 32-bit machines), but not the caller's own locals. So the
/// caller must be a function of its own that does little else, and the functions that it calls must
/// not be inlined.
#[inline(never)]
pub fn wipe_stack() {
    wipe_blocks(STACK_BLOCKS);
}

/// Size of the blocks in which the stack is wiped, so that no frame is large.
const STACK_BLOCK: usize = 512;

/// How many blocks are wiped: a quarter of a stack of 16 KiB, and less where stacks have 8 KiB.
const STACK_BLOCKS: u32 = if cfg!(target_pointer_width = "64") {
    8
} else {
    6
};

/// Overwrites as many blocks of the stack below the caller.
#[inline(never)]
fn wipe_blocks(blocks: u32) {
    let mut block = [0u8; STACK_BLOCK];

    black_box(&mut block);
    if let Some(rest @ 1..) = blocks.checked_sub(1) {
        wipe_blocks(rest);
    }
    // Keeps the block alive while those below are wiped.
    black_box(&mut block);
}

// That a secret is gone once dropped takes `unsafe` to see: selftests/host/tests/wiping.rs.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::RustCrypto;

    #[test]
    fn holds_what_it_is_given() {
        let mut secret = Secret::from(&[1, 2, 3]);

        assert_eq!(secret.as_bytes(), &[1, 2, 3]);
        secret.as_mut_bytes()[1] = 9;
        assert_eq!(secret.as_bytes(), &[1, 9, 3]);
        secret.copy_from(&Secret::from(&[4, 5, 6]));
        assert_eq!(secret.as_bytes(), &[4, 5, 6]);
    }

    #[test]
    fn is_zero_when_wiped_and_only_then() {
        let mut secret = Secret::from(&[0, 0, 1]);

        assert!(!secret.is_zero::<RustCrypto>());
        secret.wipe();
        assert!(secret.is_zero::<RustCrypto>());
        assert!(Secret::<32>::zero().is_zero::<RustCrypto>());
    }

    // What it does wipe is seen in selftests/host/tests/residue.rs.
    #[test]
    fn wiping_the_stack_spares_what_is_in_use() {
        let secret = Secret::from(&[7; 64]);

        wipe_stack();
        assert_eq!(secret.as_bytes(), &[7; 64]);
    }
}
