// SPDX-License-Identifier: GPL-2.0

//! What packets carry with them.

use wg_kernel::net::skbuff::{
    SkBuff,
    SkBuffList, //
};

pub(crate) fn set_message_count(_skb: &mut SkBuff, _count: usize) {}

/// A packet weighs as much as the upper half of its number says, and one at least.
pub(crate) fn weight(skb: &SkBuff) -> usize {
    (skb.0 >> 16).max(1) as usize
}

pub(crate) fn total_weight(packets: &SkBuffList) -> usize {
    packets.iter().map(weight).sum()
}

pub(crate) fn total_pages(packets: &SkBuffList) -> usize {
    packets.len()
}
