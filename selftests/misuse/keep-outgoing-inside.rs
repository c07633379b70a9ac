// SPDX-License-Identifier: GPL-2.0
//
// The same, by exchanging it with one that may be kept.
//
// refused: E0596
// says: trait `DerefMut` is required to modify through a dereference

#![forbid(unsafe_code)]

use wg_kernel::net::skbuff::{
    OutgoingSkBuff,
    SkBuff, //
};

pub fn keep(mut skb: OutgoingSkBuff<'_>, kept: &mut SkBuff) {
    core::mem::swap(&mut *skb, kept);
}
