// SPDX-License-Identifier: GPL-2.0
//
// Only what was allocated as such has no clones.
//
// refused: E0423
// says: cannot initialize a tuple struct which contains private fields

#![forbid(unsafe_code)]

use wg_kernel::net::skbuff::{
    NewSkBuff,
    SkBuff, //
};

pub fn forge(skb: SkBuff) -> NewSkBuff {
    NewSkBuff(skb)
}
