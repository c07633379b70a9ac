// SPDX-License-Identifier: GPL-2.0

//! Decryption, which always succeeds.

use crate::keypair::Keypair;
use wg_kernel::net::skbuff::SkBuffList;

impl Keypair {
    pub(crate) fn open(&self, _packets: &mut SkBuffList, _merge: bool) {}
}
