// SPDX-License-Identifier: GPL-2.0
//
// A packet that was handed on is not ours to look at.
//
// refused: E0382
// says: borrow of moved value: `skb`

#![forbid(unsafe_code)]

use wg_kernel::net::{
    napi::Napi,
    skbuff::SkBuff, //
};

pub fn deliver(napi: &Napi<'_>, skb: SkBuff) -> u32 {
    napi.gro_receive(skb);
    skb.len()
}
