// SPDX-License-Identifier: GPL-2.0
//
// What a packet was given is not written any more, not even to encrypt it.
//
// refused: E0499
// says: cannot borrow `*pages` as mutable more than once at a time

#![forbid(unsafe_code)]

use wg_kernel::{
    crypto::chacha20poly1305::Sealer,
    net::skbuff::{
        NewSkBuff,
        Pages, //
    }, //
};

pub fn give(sealer: &mut Sealer<'_>, pages: &mut Pages, skb: &mut NewSkBuff) -> bool {
    let buffer = pages.spare();
    sealer.seal(buffer, 64, 100, 0) && pages.give(skb, 64, 116) && sealer.finish(buffer)
}
