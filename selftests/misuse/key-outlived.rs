// SPDX-License-Identifier: GPL-2.0
//
// Messages wait to be encrypted, and their key must be there then.
//
// refused: E0515
// says: returns a value referencing data owned by the current function

#![forbid(unsafe_code)]

use wg_kernel::crypto::chacha20poly1305::{
    Sealer,
    KEY_LEN, //
};

pub fn sealer() -> Sealer<'static> {
    let key = [0; KEY_LEN];
    Sealer::new(&key, 8, 1420)
}
