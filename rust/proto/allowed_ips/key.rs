// SPDX-License-Identifier: GPL-2.0

//! Addresses as numbers.

use core::num::NonZeroU64;

/// An address as a string of bits, the most significant one first.
pub(super) trait Key: Copy {
    /// Length.
    const BITS: u32;

    /// Returns how many bits the two have in common before they differ.
    fn common_bits(self, other: Self) -> u32;

    /// Returns bit `index`; either value if there is no such bit.
    fn bit(self, index: u32) -> bool;

    /// Returns the first `len` bits, followed by zeros.
    fn masked(self, len: u32) -> Self;
}

impl Key for u32 {
    const BITS: u32 = Self::BITS;

    #[inline]
    fn common_bits(self, other: Self) -> u32 {
        (self ^ other).leading_zeros()
    }

    #[inline]
    fn bit(self, index: u32) -> bool {
        self.wrapping_shl(index) >> 31 != 0
    }

    #[inline]
    fn masked(self, len: u32) -> Self {
        self & Self::MAX
            .checked_shl(Self::BITS.saturating_sub(len))
            .unwrap_or(0)
    }
}

/// An IPv6 address.
///
/// The kernel avoids 128-bit integers: on some architectures, shifting them takes a function call.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct V6 {
    /// First half.
    high: u64,
    /// Second half.
    low: u64,
}

impl V6 {
    /// Returns the address of these bytes.
    #[inline]
    pub(super) fn from_be_bytes(addr: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = addr;

        Self {
            high: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            low: u64::from_be_bytes([i, j, k, l, m, n, o, p]),
        }
    }

    /// Returns the bytes of this address.
    pub(super) fn to_be_bytes(self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h] = self.high.to_be_bytes();
        let [i, j, k, l, m, n, o, p] = self.low.to_be_bytes();

        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }
}

impl Key for V6 {
    const BITS: u32 = 128;

    #[inline]
    fn common_bits(self, other: Self) -> u32 {
        match NonZeroU64::new(self.high ^ other.high) {
            Some(high) => high.leading_zeros(),
            None => (self.low ^ other.low).leading_zeros().wrapping_add(64),
        }
    }

    #[inline]
    fn bit(self, index: u32) -> bool {
        let half = if index & 64 == 0 { self.high } else { self.low };

        half.wrapping_shl(index) >> 63 != 0
    }

    #[inline]
    fn masked(self, len: u32) -> Self {
        let mask = |len| u64::MAX.checked_shl(64u32.saturating_sub(len)).unwrap_or(0);

        Self {
            high: self.high & mask(len),
            low: self.low & mask(len.saturating_sub(64)),
        }
    }
}
