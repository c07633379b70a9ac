// SPDX-License-Identifier: GPL-2.0

//! Packets that are said to be what they are not.

use crate::check;
use wg_kernel::{
    crypto::chacha20poly1305::{
        open_skb,
        seal_skb,
        KEY_LEN, //
    },
    net::skbuff::{
        NewSkBuff,
        Pages,
        SkBuff,
        IPV4,
        IPV6,
        MAX_HEADROOM,
        MAX_PAGES_LEN, //
    }, //
};

/// Length of an IPv4 header.
const IP_LEN: u32 = 20;

/// Length of the headers of IPv4 and TCP.
const HEADERS_LEN: u32 = IP_LEN + 20;

/// Room for all headers below a datagram.
const HEADROOM: usize = 128;

/// Returns a packet of IPv4 that has nothing in it but protocol `protocol`'s header of zeros.
fn packet(protocol: u8) -> Option<NewSkBuff> {
    let mut skb = SkBuff::alloc(HEADROOM, HEADERS_LEN as usize)?;
    let mut bytes = [0; HEADERS_LEN as usize];
    let header: [u8; 10] = [0x45, 0, 0, HEADERS_LEN as u8, 0, 0, 0, 0, 64, protocol];
    bytes.first_chunk_mut().map(|bytes| *bytes = header);
    skb.put_data(&bytes).then_some(skb)
}

/// What is longer than it is.
pub(crate) fn lengths() {
    let Some(mut skb) = packet(6) else {
        return;
    };
    check(
        "no packet of all memory",
        SkBuff::alloc(usize::MAX, 1).is_none(),
    );
    let most = usize::MAX.wrapping_sub(HEADROOM);
    check(
        "no packet that wraps",
        SkBuff::alloc(HEADROOM, most).is_none(),
    );
    check(
        "no packet of 4 GB",
        SkBuff::alloc(1 << 31, 1 << 31).is_none(),
    );
    check(
        "no packet with the data far off",
        SkBuff::alloc(1 << 16, 1).is_none(),
    );
    check("no data without room", !skb.put_data(&[0; 4096]));
    check(
        "no data behind the end",
        skb.linear(HEADERS_LEN + 1).is_none(),
    );
    check(
        "no such data to write",
        skb.linear_mut(HEADERS_LEN + 1).is_none(),
    );
    check("nor to copy", !skb.copy_bits(u32::MAX, &mut [0; 2]));
    check(
        "nor to sum",
        skb.copy_and_sum(usize::MAX, &mut [0; 2]).is_none(),
    );
    let mut skb: SkBuff = skb.into();
    check("nor to pull", !skb.pull_linear(HEADERS_LEN + 1));
    let kept = skb.trim(HEADERS_LEN + 1) && skb.len() == HEADERS_LEN;
    check("nor to keep", kept);
    check("no header behind the end", !skb.set_tcp_partial(IP_LEN + 1));
    check("no header beyond all ends", !skb.set_tcp_partial(u32::MAX));
    check("it is not plain", skb.segment().is_err());
    check(
        "no pages of all memory",
        Pages::alloc(usize::MAX, usize::MAX).is_none(),
    );
    check("packets without data", headroom().is_some());
    check("long packets", far().is_some());
    check("datagrams", datagrams().is_some());
    check("protocols", protocols().is_some());
}

/// Headers are looked for in the room before a packet, where others had something before.
fn headroom() -> Option<()> {
    let empty = SkBuff::alloc(HEADROOM, 0)?;
    check(
        "nothing old in the room for headers",
        empty.network_header() == Some([0; HEADROOM]),
    );
    Some(())
}

/// Returns a packet of 64 KB.
fn long() -> Option<SkBuff> {
    let mut skb = SkBuff::alloc(HEADROOM, 1 << 16)?;
    let bytes = [0; 1024];
    for _ in 0..(1 << 6) {
        skb.put_data(&bytes).then_some(())?;
    }
    Some(skb.into())
}

/// Headers that are farther off than a packet can say.
fn far() -> Option<()> {
    let mut skb = long()?;
    check("no header far off", !skb.set_tcp_partial((1 << 16) - 100));
    check("but one that is not", skb.set_tcp_partial((1 << 16) - 1000));
    let opened = open_skb(&mut skb, (1 << 16) - 100, 0, &[0; KEY_LEN]);
    check("no data far off", !opened && skb.headroom() < 1 << 12);
    Some(())
}

/// A large packet that is said to be of a protocol whose segmentation looks for what it does not have.
fn protocols() -> Option<()> {
    /// `ETH_P_MPLS_UC`
    const MPLS: u16 = 0x8847;
    let mut skb = SkBuff::alloc(HEADROOM, 400)?;
    skb.put_data(&[0x45; 200]).then_some(())?;
    skb.set_tcp_gso(10, 5, false).then_some(())?;
    let mut skb: SkBuff = skb.into();
    skb.scrub(false);
    // Two ways to move the data, so that all headers but the one of TCP begin at them.
    let _ = open_skb(&mut skb, 16, 0, &[0; KEY_LEN]);
    seal_skb(&mut skb, &[0x45; 16], 0, 0, &[0; KEY_LEN], 16).then_some(())?;
    skb.set_tcp_partial(IP_LEN).then_some(())?;
    for protocol in [MPLS, IPV6, 0] {
        skb.set_protocol(protocol);
        check("it is of another protocol", skb.plain_gso().is_none());
    }
    skb.set_protocol(IPV4);
    check("it is of that one", skb.plain_gso().is_some());
    let by_fragments = usize::from(u16::MAX);
    check(
        "no size that means something else",
        !segment(0)?.set_tcp_gso(by_fragments, 1, false),
    );
    Some(())
}

/// Returns segment number `number` of a flow of TCP.
fn segment(number: u8) -> Option<NewSkBuff> {
    let mut skb = SkBuff::alloc(HEADROOM, HEADERS_LEN as usize + 100)?;
    let ip: [u8; 20] = [
        0x45, 0, 0, 140, 0, 0, 0x40, 0, 64, 6, 0x14, 0x58, 10, 9, 9, 2, 10, 9, 9, 1,
    ];
    let sequence = number.wrapping_mul(100);
    let tcp: [u8; 20] = [
        0x12, 0x34, 0, 9, 0, 0, 0, sequence, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0,
    ];
    let whole = skb.put_data(&ip) && skb.put_data(&tcp) && skb.put_data(&[0; 100]);
    whole.then_some(skb)
}

/// Returns a segment that is said to stand for `count` of `size` bytes of payload each, and that was then cut
/// to `len`.
pub(crate) fn large(size: usize, count: u16, len: u32) -> Option<SkBuff> {
    let mut skb = segment(9)?;
    skb.set_tcp_gso(size, count, false).then_some(())?;
    let mut skb: SkBuff = skb.into();
    skb.scrub(false);
    skb.set_tcp_partial(IP_LEN).then_some(())?;
    skb.set_protocol(IPV4);
    skb.trim(len).then_some(skb)
}

/// Returns segments that are merged, of which the first is charged to the socket that `original` is.
pub(crate) fn flow(original: &mut SkBuff) -> [Option<SkBuff>; 3] {
    let first = segment(0).map(|first| first.charge(original, true));
    let others = [1, 2].map(|number| segment(number).map(SkBuff::from));
    let [second, third] = others;
    [first, second, third].map(delivered)
}

/// Returns the same if `first` is the first segment itself, whose data others share.
pub(crate) fn flow_of_shared(first: SkBuff) -> [Option<SkBuff>; 3] {
    let others = [1, 2].map(|number| segment(number).map(SkBuff::from));
    let [second, third] = others;
    [Some(first), second, third].map(delivered)
}

/// Makes a segment one that can be delivered.
fn delivered(skb: Option<SkBuff>) -> Option<SkBuff> {
    let mut skb = skb?;
    skb.scrub(false);
    skb.set_protocol(IPV4);
    skb.mark_checksum_verified();
    Some(skb)
}

/// What does not stand for the datagrams that it is said to stand for.
fn datagrams() -> Option<()> {
    let mut pages = Pages::alloc(MAX_PAGES_LEN, 4096)?;
    let mut skb = SkBuff::alloc(HEADROOM, 0)?;
    check(
        "no pages behind the end",
        !pages.give(&mut skb, 0, MAX_PAGES_LEN + 1),
    );
    check("nor far behind it", !pages.give(&mut skb, usize::MAX, 1));
    check("no datagrams of nothing", !skb.set_udp_gso(1, 0));
    pages.give(&mut skb, 0, 200).then_some(())?;
    check("not fewer datagrams", !skb.set_udp_gso(100, 1));
    check("not more datagrams", !skb.set_udp_gso(100, 3));
    check("no datagrams without a size", !skb.set_udp_gso(0, 2));
    check("not so many datagrams", !skb.set_udp_gso(1 << 16, 1 << 16));
    check(
        "no size that means something else",
        !skb.set_udp_gso(usize::from(u16::MAX), 1),
    );
    check("as many as there are", skb.set_udp_gso(100, 2));
    let mut full = SkBuff::alloc(HEADROOM, 0)?;
    while full.takes_pages() {
        pages.give(&mut full, 0, 1).then_some(())?;
    }
    check("not more pages than fit", !pages.give(&mut full, 0, 1));
    let mut linear = packet(17)?;
    check("no datagrams in linear data", !linear.set_udp_gso(20, 2));
    let mut low = SkBuff::alloc(0, 0)?;
    pages.give(&mut low, 0, 200).then_some(())?;
    check(
        "no datagrams without room for a header",
        !low.set_udp_gso(100, 2),
    );
    Some(())
}

/// Returns what stands for two datagrams, and has grown by `more` bytes since that was said.
pub(crate) fn bundle(more: usize) -> Option<SkBuff> {
    let mut pages = Pages::alloc(4096, 4096)?;
    pages.spare().fill(0);
    let mut skb = SkBuff::alloc(HEADROOM, 0)?;
    pages.give(&mut skb, 0, 200).then_some(())?;
    skb.set_udp_gso(100, 2).then_some(())?;
    pages.give(&mut skb, 0, more).then_some(())?;
    Some(skb.into())
}

/// Returns the same, with checksums that are said to be right.
pub(crate) fn verified_bundle() -> Option<SkBuff> {
    let mut skb = bundle(0)?;
    skb.mark_checksum_verified();
    Some(skb)
}

/// Returns a packet the checksum of which is yet to be computed, and that was then cut to `len`.
pub(crate) fn cut(len: u32) -> Option<SkBuff> {
    let mut skb: SkBuff = packet(6)?.into();
    skb.set_tcp_partial(IP_LEN).then_some(())?;
    skb.set_protocol(IPV4);
    skb.trim(len).then_some(skb)
}

/// Returns a packet without any room for headers before it.
pub(crate) fn low() -> Option<SkBuff> {
    let mut skb = SkBuff::alloc(0, HEADERS_LEN as usize)?;
    skb.put_data(&[0; HEADERS_LEN as usize]).then_some(())?;
    Some(skb.into())
}

/// Returns a packet from the front of which so much was removed that its headers are farther off than
/// they may be.
pub(crate) fn far_off() -> Option<SkBuff> {
    let mut skb = long()?;
    for _ in 0..9 {
        // It is not authentic, which is found out when the header is gone.
        let _ = open_skb(&mut skb, MAX_HEADROOM, 0, &[0; KEY_LEN]);
    }
    skb.set_protocol(IPV4);
    (skb.headroom() > 1 << 15 && skb.trim(HEADERS_LEN)).then_some(skb)
}

/// Returns whether a packet is as long as a segment of the flow. The answers to those are shorter.
pub(crate) fn is_segment(skb: &SkBuff) -> bool {
    skb.len() == HEADERS_LEN + 100
}

/// Returns whether a packet is for 10.9.7.0/24.
pub(crate) fn is_to_wait(skb: &SkBuff) -> bool {
    let mut network = [0; 3];
    skb.copy_bits(16, &mut network) && network == [10, 9, 7]
}

/// Returns a packet with nothing wrong about it.
pub(crate) fn whole() -> Option<SkBuff> {
    cut(HEADERS_LEN)
}
