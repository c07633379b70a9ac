// SPDX-License-Identifier: GPL-2.0

//! SipHash, for hash tables whose keys an attacker may choose.
//!
//! C header: [`include/linux/siphash.h`](srctree/include/linux/siphash.h)

use crate::random;
use wg_bindings as bindings;

/// A random key, unknown to those who choose the hashed data.
pub struct Key(bindings::siphash_key_t);

impl Key {
    /// Returns a random key.
    pub fn random() -> Self {
        let mut key = [0; 2];
        for word in &mut key {
            let mut bytes = [0; 8];
            random::fill(&mut bytes);
            *word = u64::from_ne_bytes(bytes);
        }
        Self(bindings::siphash_key_t { key })
    }

    /// Returns the SipHash-2-4 value of `data`.
    #[inline]
    pub fn hash(&self, data: &[u8]) -> u64 {
        // SAFETY: `data` is valid for as many bytes.
        unsafe { bindings::wg_siphash(data.as_ptr().cast(), data.len(), &self.0) }
    }
}
