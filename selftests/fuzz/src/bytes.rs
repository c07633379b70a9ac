// SPDX-License-Identifier: GPL-2.0

//! Numbers out of the fuzzer's bytes.

/// The bytes not yet used. After the end there are zeros.
///
/// Numbers are taken as few bytes as possible from the front, so that a change of one byte is a small
/// change of what is tested.
#[derive(Clone, Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Starts with the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns whether all are used.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Takes `len` bytes, or all if they are fewer.
    pub fn up_to(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));

        self.0 = rest;
        taken
    }

    /// Takes an array.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.up_to(N);

        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// Takes a number.
    pub fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// Takes a number.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// Takes a number.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// Takes a number.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// Takes a bit, which is all of a byte.
    pub fn flag(&mut self) -> bool {
        self.u8() & 1 != 0
    }

    /// Takes a number below `bound`, which is at most 65536.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!((1..=65536).contains(&bound));
        match bound {
            ..=256 => usize::from(self.u8()) % bound,
            _ => usize::from(self.u16()) % bound,
        }
    }

    /// Takes one of some values.
    pub fn choose<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// Takes a number of any size: one byte for a small one.
    pub fn number(&mut self) -> u64 {
        match self.u8() {
            small @ ..=0xef => small.into(),
            0xf0..=0xf7 => self.u16().into(),
            0xf8..=0xfb => self.u32().into(),
            0xfc..=0xfd => u64::MAX - u64::from(self.u16()),
            _ => self.u64(),
        }
    }
}
