// SPDX-License-Identifier: GPL-2.0

//! The Internet checksum (RFC 1071).

/// A sum of 16-bit words in one's complement.
///
/// Like the kernel's, it adds words in the machine's byte order: the sum in the other byte order is
/// the same with its bytes swapped.
#[derive(Clone, Copy, Default)]
pub struct Sum(u64);

impl Sum {
    /// Returns the sum of nothing.
    #[inline]
    pub const fn new() -> Self {
        Self(0)
    }

    /// Adds a sum that the kernel has computed.
    #[inline]
    #[must_use]
    pub fn with_sum(self, sum: u32) -> Self {
        Self(self.0.wrapping_add(u64::from(sum)))
    }

    /// Adds a number that the packet has in network byte order.
    #[inline]
    #[must_use]
    pub fn with_word(self, word: u16) -> Self {
        self.with_sum(u32::from(word.to_be()))
    }

    /// Adds bytes, which must begin at an even offset of the packet.
    #[inline]
    #[must_use]
    pub fn with_bytes(mut self, bytes: &[u8]) -> Self {
        let mut rest = bytes;
        while let Some((word, after)) = rest.split_first_chunk() {
            self = self.with_sum(u32::from_ne_bytes(*word));
            rest = after;
        }
        match *rest {
            [a] => self.with_sum(u32::from(u16::from_ne_bytes([a, 0]))),
            [a, b] => self.with_sum(u32::from(u16::from_ne_bytes([a, b]))),
            [a, b, c] => self
                .with_sum(u32::from(u16::from_ne_bytes([a, b])))
                .with_sum(u32::from(u16::from_ne_bytes([c, 0]))),
            _ => self,
        }
    }

    /// Returns the sum folded to 16 bits, as in a packet.
    #[inline]
    pub fn to_bytes(self) -> [u8; 2] {
        // At most one carry is left after three rounds. Not a loop, as that is not always unrolled.
        let sum = fold(fold(fold(fold(self.0, 32), 16), 16), 16);
        let [a, b, ..] = sum.to_le_bytes();
        u16::from_le_bytes([a, b]).to_ne_bytes()
    }

    /// Returns the checksum, as in a packet.
    #[inline]
    pub fn checksum(self) -> [u8; 2] {
        self.to_bytes().map(|byte| !byte)
    }
}

/// Adds the bits above the low `bits` to these.
#[inline]
const fn fold(sum: u64, bits: u32) -> u64 {
    (sum >> bits).wrapping_add(sum & mask(bits))
}

/// Returns a mask of as many low bits.
#[inline]
const fn mask(bits: u32) -> u64 {
    (1u64 << bits).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// The checksum word by word.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn example_of_rfc_1071() {
        let sum = Sum::new().with_bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.to_bytes(), [0xdd, 0xf2]);
        assert_eq!(sum.checksum(), [0x22, 0x0d]);
    }

    #[test]
    fn large_sums_fold() {
        let sum = Sum(u64::MAX);
        assert_eq!(sum.to_bytes(), [0xff, 0xff]);
        assert_eq!(Sum(0xffff_ffff_0000_0001).to_bytes(), 1u16.to_ne_bytes());
    }

    proptest! {
        #[test]
        fn is_the_naive_one(bytes: Vec<u8>, word: u16) {
            let got = Sum::new().with_bytes(&bytes).with_word(word).checksum();
            let mut all = word.to_be_bytes().to_vec();
            all.extend(&bytes);
            // Both zeros of one's complement are the same number.
            prop_assert_eq!(u16::from_be_bytes(got) % 0xffff, naive(&all) % 0xffff);
        }
    }
}
