// SPDX-License-Identifier: GPL-2.0

//! Encryption, which always succeeds.

use wg_kernel::net::skbuff::SkBuffList;

/// How to encrypt.
pub(crate) struct Sealing<K>(pub(crate) K);

impl<K> Sealing<K> {
    pub(crate) fn seal(&mut self, packets: SkBuffList) -> SkBuffList {
        packets
    }

    pub(crate) fn keypair(&self) -> &K {
        &self.0
    }

    pub(crate) fn into_keypair(self) -> K {
        self.0
    }

    pub(crate) fn is_bundle(&self) -> bool {
        false
    }

    pub(crate) fn count(&self) -> usize {
        1
    }
}
