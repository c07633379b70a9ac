// SPDX-License-Identifier: GPL-2.0

//! What packets carry with them.

use wg_kernel::net::skbuff::{
    SkBuff,
    SkBuffList, //
};

pub(crate) fn set_message_count(_skb: &mut SkBuff, _count: usize) {}

pub(crate) fn message_count(_skb: &SkBuff) -> usize {
    1
}

pub(crate) fn count_messages(packets: &SkBuffList) -> usize {
    packets.len()
}
