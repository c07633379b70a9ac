// SPDX-License-Identifier: GPL-2.0
//
// What a packet may have in common with clones of it must not be changed, and one that is charged
// to a socket must not grow.
//
// refused: E0308
// says: expected `&mut NewSkBuff`, found `&mut SkBuff`

#![forbid(unsafe_code)]

use wg_kernel::net::skbuff::{
    Pages,
    SkBuff, //
};

pub fn append(pages: &mut Pages, skb: &mut SkBuff) -> bool {
    pages.give(skb, 0, 64)
}
