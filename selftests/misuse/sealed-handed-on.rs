// SPDX-License-Identifier: GPL-2.0
//
// The packet that a message is in must be there when that is decrypted.
//
// refused: E0505
// says: cannot move out of `skb` because it is borrowed

#![forbid(unsafe_code)]

use wg_kernel::{
    crypto::chacha20poly1305::{
        Opener,
        Sealed, //
    },
    net::{
        napi::Napi,
        skbuff::SkBuff, //
    }, //
};

pub fn deliver(opener: &Opener<'_>, napi: &Napi<'_>, skb: SkBuff, buffer: &mut [u8]) -> bool {
    let sealed = Sealed {
        skb: &skb,
        offset: 0,
        len: 100,
        nonce: 0,
        at: 0,
    };
    napi.gro_receive(skb);
    opener.open_one(buffer, &sealed)
}
