// SPDX-License-Identifier: GPL-2.0
//
// The same, as it was.
//
// refused: E0506
// says: cannot assign to `*key` because it is borrowed

#![forbid(unsafe_code)]

use wg_kernel::crypto::chacha20poly1305::{
    Sealer,
    KEY_LEN, //
};

pub fn change(key: &mut [u8; KEY_LEN], buffer: &mut [u8]) -> bool {
    let mut sealer = Sealer::new(key, 8, 100);
    let waits = sealer.seal(buffer, 64, 100, 0);
    *key = [0; KEY_LEN];
    waits && sealer.finish(buffer)
}
