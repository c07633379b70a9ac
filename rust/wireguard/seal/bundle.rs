// SPDX-License-Identifier: GPL-2.0

//! Outgoing GSO packets: the messages of one are sent as one UDP GSO packet.
//!
//! Generic segmentation offload (GSO) works on both sides of the tunnel. An inner GSO packet is segmented not
//! by the kernel but here, straight into the messages, which lie back to back in memory; they are handed to
//! UDP as one GSO packet, a datagram to each message, which is segmented by the network card or, as late as
//! possible, by the kernel.

use crate::{
    control,
    keypair::Keypair, //
};
use wg_kernel::{
    crypto::chacha20poly1305::{
        self,
        Sealer, //
    },
    net::skbuff::MAX_PAGES_LEN,
    prelude::*, //
};
use wg_proto::{
    checksum::Sum,
    ip,
    nonce::{
        Nonce,
        Nonces, //
    },
    segment::{
        Plan,
        Segmentation,
        MAX_HEADERS, //
    },
    wire, //
};

/// The most bytes of messages in one UDP GSO packet: 64 KB less all headers.
const MAX_LEN: usize = (1 << 16) - 256;

/// The most messages in one UDP GSO packet.
const MAX_MESSAGES: usize = 128;

/// Bytes before the first message in a fragment: with its header, the room that makes encryption faster.
const FRONT: usize = chacha20poly1305::ROOM_BEFORE - wire::DATA_HEADER_LEN;

/// The messages that a GSO packet becomes.
pub(crate) struct Bundle {
    plan: Plan,
    /// Bytes of each message but the last.
    message_len: usize,
    /// How many messages go into one UDP GSO packet.
    per_packet: usize,
}

impl Bundle {
    /// Plans the messages of a packet whose MTU was noted.
    ///
    /// Returns [`None`] if the kernel must segment it. In a box, as all that has a plan is moved about on the
    /// stack, which is scarce.
    pub(crate) fn plan(skb: &SkBuff) -> Option<KBox<Self>> {
        let gso = skb.plain_gso()?;
        let mut head = [0; MAX_HEADERS];
        let len = skb.len() as usize;
        let head = head.get_mut(..MAX_HEADERS.min(len))?;
        if !skb.copy_bits(0, head) {
            return None;
        }
        let how = Segmentation {
            tcp: gso.tcp,
            size: gso.size as usize,
            transport: gso.transport as usize,
            keep_cwr: gso.accurate_ecn,
        };
        let plan = Plan::new(head, len, how)?;

        let last_len = message_len(&plan, plan.count().wrapping_sub(1), control::mtu(skb))?;
        let message_len = message_len(&plan, 0, control::mtu(skb))?;
        let per_packet = MAX_MESSAGES.min(MAX_LEN.checked_div(message_len)?);
        let fits = last_len <= message_len && message_len <= MAX_PAGES_LEN && per_packet > 1;
        if !fits {
            return None;
        }
        let bundle = Self {
            plan,
            message_len,
            per_packet,
        };
        KBox::new(bundle, GFP_ATOMIC).ok()
    }

    /// Returns the number of messages.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.plan.count()
    }

    /// Makes the messages of `skb`, the packet that this was planned for, and appends the packets that hold
    /// them: all, or the first of them if there is no memory for more.
    pub(crate) fn seal(
        &self,
        keypair: &Keypair,
        mut skb: SkBuff,
        nonces: &mut Nonces,
        packets: &mut SkBuffList,
    ) {
        let ds = ip::ecn_encap(skb.ds_field());
        let mut first = 0;
        while first < self.count() {
            let end = first.wrapping_add(self.per_packet).min(self.count());
            let Some(mut outer) = SkBuff::alloc(control::HEADROOM, 0) else {
                return self.seal_rest(keypair, skb, first, nonces, packets);
            };
            let count = match self.fill(keypair, &skb, nonces, first..end, &mut outer) {
                Some(0) => return self.seal_rest(keypair, skb, first, nonces, packets),
                Some(count) => count,
                None => return,
            };
            if count > 1 && !outer.set_udp_gso(self.message_len, count) {
                return;
            }
            outer.copy_flow(&skb);
            first = first.wrapping_add(count);
            let mut outer = outer.charge(&mut skb, first >= self.count());
            control::set_dsfield(&mut outer, ds);
            packets.push_back(outer);
        }
        skb.consume();
    }

    /// Makes the messages from `first` on without pages of our own, for want of memory: the kernel segments
    /// the packet, and each segment is encrypted in place.
    #[cold]
    fn seal_rest(
        &self,
        keypair: &Keypair,
        skb: SkBuff,
        first: usize,
        nonces: &mut Nonces,
        packets: &mut SkBuffList,
    ) {
        let mtu = control::mtu(&skb);
        let Ok(mut segments) = skb.segment() else {
            return;
        };
        for _ in 0..first {
            if let Some(skb) = segments.pop_front() {
                skb.consume();
            }
        }
        segments.for_each_mut(|skb| control::set_mtu(skb.cb_mut(), mtu));
        keypair.seal_each(segments, nonces, packets);
    }

    /// Makes some of the messages, puts them into one packet, and returns how many: fewer than planned if the
    /// packet takes no more fragments, or if memory runs out.
    fn fill(
        &self,
        keypair: &Keypair,
        skb: &SkBuff,
        nonces: &mut Nonces,
        range: core::ops::Range<usize>,
        outer: &mut NewSkBuff,
    ) -> Option<usize> {
        let most = range.end.wrapping_sub(range.start);
        let mut sealer = Sealer::new(keypair.sending_key(), most, self.message_len);
        let mut pages: Option<Pages> = None;
        let mut filled = 0;
        let mut count = 0;
        for index in range.clone() {
            let len = message_len(&self.plan, index, control::mtu(skb))?;
            let end = len.wrapping_add(filled);
            if pages.as_mut().is_none_or(|pages| pages.spare().len() < end) {
                if let Some(mut full) = pages.take() {
                    give(&mut full, outer, filled, &mut sealer).then_some(())?;
                }
                if !outer.takes_pages() {
                    return Some(count);
                }
                let left = range.end.wrapping_sub(index).wrapping_mul(self.message_len);
                let around = FRONT.wrapping_add(chacha20poly1305::ROOM_BEHIND);
                pages = Pages::alloc(left.wrapping_add(around), len.wrapping_add(around));
                filled = FRONT;
            }
            let Some(pages) = &mut pages else {
                return Some(count);
            };
            let nonce = nonces.next()?;
            let buffer = pages.spare();
            let (counter, plain_len) = self.make_one(
                keypair,
                skb,
                index,
                nonce,
                buffer.get_mut(filled..)?.get_mut(..len)?,
            )?;
            let at = filled.wrapping_add(wire::DATA_HEADER_LEN);
            sealer.seal(buffer, at, plain_len, counter).then_some(())?;
            filled = filled.wrapping_add(len);
            count = count.wrapping_add(1);
        }
        give(&mut pages?, outer, filled, &mut sealer).then_some(count)
    }

    /// Makes one message but for its encryption, and returns its counter and how many bytes are to be encrypted.
    #[inline]
    fn make_one(
        &self,
        keypair: &Keypair,
        skb: &SkBuff,
        index: usize,
        nonce: Nonce,
        message: &mut [u8],
    ) -> Option<(u64, usize)> {
        let counter = nonce.spend();
        let header = wire::DataHeader {
            receiver: keypair.remote_index(),
            counter,
        };
        let (start, body) = message.split_first_chunk_mut()?;
        *start = header.to_bytes();
        let part = self.plan.part(index)?;
        let payload_end = self.plan.headers_len().wrapping_add(part.len);
        let padding_end = body.len().checked_sub(wire::TAG_LEN)?;
        let payload = body.get_mut(self.plan.headers_len()..payload_end)?;
        // Checksummed while it is copied, then encrypted while it is in the cache.
        let sum = skb.copy_and_sum(part.offset, payload)?;
        body.get_mut(payload_end..padding_end)?.fill(0);
        let sum = Sum::new().with_sum(sum);
        self.plan.write_headers(index, sum, body).then_some(())?;
        Some((counter, padding_end))
    }
}

/// Encrypts the messages that wait, and appends all that end at `filled` to a UDP GSO packet.
fn give(pages: &mut Pages, outer: &mut NewSkBuff, filled: usize, sealer: &mut Sealer<'_>) -> bool {
    sealer.finish(pages.spare()) && pages.give(outer, FRONT, filled.wrapping_sub(FRONT))
}

/// Returns the length of the message that a segment becomes.
#[inline]
fn message_len(plan: &Plan, index: usize, mtu: u32) -> Option<usize> {
    let len = plan.headers_len().wrapping_add(plan.part(index)?.len);
    let len = u32::try_from(len).ok()?;
    let padded = len.wrapping_add(wire::padding(len, mtu));
    Some(wire::DATA_MIN_LEN.wrapping_add(padded as usize))
}
