// SPDX-License-Identifier: GPL-2.0
//
// A message is read while it is decrypted, so that must not be to where it is.
//
// refused: E0502
// says: cannot borrow `*skb` as immutable because it is also borrowed as mutable

#![forbid(unsafe_code)]

use wg_kernel::{
    crypto::chacha20poly1305::{
        Opener,
        Sealed, //
    },
    net::skbuff::SkBuff, //
};

pub fn open(opener: &mut Opener<'_>, skb: &mut SkBuff) -> bool {
    let Some(buffer) = skb.own_linear_mut(256) else {
        return false;
    };
    let sealed = Sealed {
        skb,
        offset: 64,
        len: 100,
        nonce: 0,
        at: 64,
    };
    let [first, ..] = opener.open_from(buffer, &[sealed]);
    first
}
