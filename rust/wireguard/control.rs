// SPDX-License-Identifier: GPL-2.0

//! What accompanies a packet through the driver: the words of its control block (`skb->cb`), its headroom and
//! its tailroom.
//!
//! The MTU and the DS field are noted for outgoing packets, the counts of messages for incoming ones.

use wg_kernel::{
    compat::u32_as_usize,
    net::skbuff::{
        CB_WORDS,
        NET_SKB_PAD, //
    },
    prelude::*, //
};
use wg_proto::wire;

/// Length of the headers in front of a message: IPv6 and UDP.
pub(crate) const OUTER_HEADERS: usize = 40 + 8;

/// Headroom of a message: the outer headers, and the stack's padding.
pub(crate) const MESSAGE_HEADROOM: usize = OUTER_HEADERS + NET_SKB_PAD;

/// Headroom of a packet that becomes a message.
pub(crate) const HEADROOM: usize = (wire::DATA_HEADER_LEN + MESSAGE_HEADROOM).next_multiple_of(4);

/// Tailroom of a packet that becomes a message: padding and the tag.
pub(crate) const TAILROOM: usize = wire::PADDING_MULTIPLE as usize + wire::TAG_LEN;

/// Notes the MTU of a packet's route inside the tunnel.
#[inline]
pub(crate) fn set_mtu(cb: &mut [u32; CB_WORDS], mtu: u32) {
    let [word, ..] = cb;
    *word = mtu;
}

/// Returns what [`set_mtu`] noted.
#[inline]
pub(crate) fn mtu(skb: &SkBuff) -> u32 {
    let [word, ..] = skb.cb();
    *word
}

/// Notes the DS field that a message is to be sent with.
#[inline]
pub(crate) fn set_dsfield(skb: &mut SkBuff, ds: u8) {
    let [_, word, ..] = skb.cb_mut();
    *word = u32::from(ds);
}

/// Returns what [`set_dsfield`] noted.
#[inline]
pub(crate) fn dsfield(skb: &SkBuff) -> u8 {
    let [_, word, ..] = skb.cb();
    let [.., ds] = word.to_be_bytes();
    ds
}

/// Notes how many messages a packet holds, or was merged from.
#[inline]
pub(crate) fn set_message_count(skb: &mut SkBuff, count: usize) {
    let [_, _, word, ..] = skb.cb_mut();
    // There is no room for more in a packet.
    *word = count as u32;
}

/// Returns what [`set_message_count`] noted.
#[inline]
pub(crate) fn message_count(skb: &SkBuff) -> usize {
    let [_, _, word, ..] = skb.cb();
    *word as usize
}

/// Returns how much the messages of a packet count where they wait: each as one, but together as no less than
/// the pages that would hold them, so that a limit on many is one on memory, and on the time that they take.
#[inline]
pub(crate) fn weight(skb: &SkBuff) -> usize {
    message_count(skb).max(pages(u64::from(skb.truesize())))
}

/// Returns the sum of the [`weight`] of packets.
#[inline]
pub(crate) fn total_weight(packets: &SkBuffList) -> usize {
    packets.iter().map(weight).fold(0, usize::wrapping_add)
}

/// Returns how many pages, of 4 KB, packets that are to be sent take, each begun one as a whole.
pub(crate) fn total_pages(packets: &SkBuffList) -> usize {
    let sizes = packets.iter().map(|skb| u64::from(skb.truesize()));
    pages(sizes.fold(4095, u64::wrapping_add))
}

/// Returns how many pages so many bytes fill.
#[inline]
fn pages(bytes: u64) -> usize {
    // No list of packets has so many.
    u32::try_from(bytes >> 12).map_or(usize::MAX, u32_as_usize)
}

/// Notes the total length of the messages that a packet was merged from.
#[inline]
pub(crate) fn set_message_bytes(skb: &mut SkBuff, bytes: usize) {
    let [_, _, _, word, ..] = skb.cb_mut();
    // There is no room for more in a packet.
    *word = bytes as u32;
}

/// Returns what [`set_message_bytes`] noted.
#[inline]
pub(crate) fn message_bytes(skb: &SkBuff) -> u64 {
    let [_, _, _, word, ..] = skb.cb();
    u64::from(*word)
}
