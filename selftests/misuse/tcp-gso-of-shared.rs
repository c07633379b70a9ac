// SPDX-License-Identifier: GPL-2.0
//
// What a packet may have in common with clones of it must not be changed.
//
// refused: E0599
// says: no method named `set_tcp_gso` found for mutable reference `&mut SkBuff`

#![forbid(unsafe_code)]

use wg_kernel::net::skbuff::SkBuff;

pub fn change(skb: &mut SkBuff) -> bool {
    skb.set_tcp_gso(1000, 2, false)
}
