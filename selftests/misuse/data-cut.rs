// SPDX-License-Identifier: GPL-2.0
//
// Data that are looked at are not taken away.
//
// refused: E0502
// says: cannot borrow `*skb` as mutable because it is also borrowed as immutable

#![forbid(unsafe_code)]

use wg_kernel::net::skbuff::SkBuff;

pub fn first(skb: &mut SkBuff) -> Option<u8> {
    let head = skb.linear(20)?;
    skb.trim(0);
    head.first().copied()
}
