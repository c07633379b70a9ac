// SPDX-License-Identifier: GPL-2.0
//
// What a packet may have in common with clones of it must not be changed unless it is asked whether it has.
//
// refused: E0599
// says: no method named `linear_mut` found for mutable reference `&mut SkBuff`

#![forbid(unsafe_code)]

use wg_kernel::net::skbuff::SkBuff;

pub fn change(skb: &mut SkBuff) -> bool {
    skb.linear_mut(1).is_some()
}
