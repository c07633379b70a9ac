// SPDX-License-Identifier: GPL-2.0
//
// The same, in a list.
//
// refused: E0308
// says: expected `SkBuff`, found `OutgoingSkBuff<'_>`

#![forbid(unsafe_code)]

use wg_kernel::net::skbuff::{
    OutgoingSkBuff,
    SkBuffList, //
};

pub fn keep(skb: OutgoingSkBuff<'_>, kept: &mut SkBuffList) {
    kept.push_back(skb);
}
