// SPDX-License-Identifier: GPL-2.0
//
// The same, as it was.
//
// refused: E0502
// says: cannot borrow `*skb` as mutable because it is also borrowed as immutable

#![forbid(unsafe_code)]

use wg_kernel::{
    crypto::chacha20poly1305::{
        Opener,
        Sealed, //
    },
    net::skbuff::SkBuff, //
};

pub fn cut(opener: &Opener<'_>, skb: &mut SkBuff, buffer: &mut [u8]) -> bool {
    let sealed = Sealed {
        skb,
        offset: 0,
        len: 100,
        nonce: 0,
        at: 0,
    };
    skb.trim(20) && opener.open_one(buffer, &sealed)
}
