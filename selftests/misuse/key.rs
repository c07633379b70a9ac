// SPDX-License-Identifier: GPL-2.0
//
// Keys whose comparison does not fit their hash would make a hash table free what it still leads to.
//
// refused: E0277
// says: `Key` is a "sealed trait"

#![forbid(unsafe_code)]

use wg_kernel::sync::rcu::hash::Key;

#[derive(Clone, Copy)]
pub struct Pair(u32, u32);

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Pair {}

impl Key for Pair {
    fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(&self.1.to_ne_bytes())
    }
}
