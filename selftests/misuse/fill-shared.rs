// SPDX-License-Identifier: GPL-2.0
//
// What a packet may have in common with clones of it must not be changed.
//
// refused: E0599
// says: no method named `put_data` found for mutable reference `&mut SkBuff`

#![forbid(unsafe_code)]

use wg_kernel::net::skbuff::SkBuff;

pub fn change(skb: &mut SkBuff) -> bool {
    skb.put_data(&[0; 16])
}
