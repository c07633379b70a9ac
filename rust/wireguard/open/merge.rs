// SPDX-License-Identifier: GPL-2.0

//! Merging the packets in many messages into GSO packets.

use super::Opening;
use wg_kernel::{
    crypto::chacha20poly1305,
    mm,
    prelude::*, //
};
use wg_proto::{
    ip,
    merge::Flow, //
};

/// Packets of up to this length are linear.
const MAX_LINEAR: usize = 256;

/// Bytes before the first packet in the spare part of the pages: the room that makes decryption faster.
const FRONT: usize = chacha20poly1305::ROOM_BEFORE;

/// A GSO packet that is being merged.
pub(super) struct Group {
    flow: Flow,
    /// Holds the headers of the first packet, and the payload in earlier pages.
    skb: NewSkBuff,
    /// The outer headers of its messages.
    outer: Outer,
    /// Bytes of its messages.
    message_bytes: usize,
    /// Its payload in the spare part of the pages.
    payload: core::ops::Range<usize>,
}

impl Opening<'_> {
    /// Makes room for `len` bytes behind the group's payload, and returns where it begins: at [`FRONT`] if
    /// there is no payload.
    #[inline]
    pub(super) fn make_room(&mut self, len: usize) -> Option<usize> {
        let end = self.group.as_ref().map_or(0, |group| group.payload.end);
        let at = end.max(FRONT);
        let spare = self.pages.as_mut().map_or(0, |pages| pages.spare().len());
        if spare >= at.wrapping_add(len) {
            return Some(at);
        }
        if let (Some(group), Some(pages)) = (&mut self.group, &mut self.pages) {
            let payload = core::mem::replace(&mut group.payload, 0..0);
            if !pages.give(&mut group.skb, payload.start, length(&payload)) {
                self.group = None;
            } else if !group.skb.takes_pages() {
                self.flush();
            }
        }
        let wanted = self.left.max(len).wrapping_add(FRONT);
        self.pages = Some(Pages::alloc(wanted, len.wrapping_add(FRONT))?);
        Some(FRONT)
    }

    /// Adds a packet, which lies in the pages from `at` on, padded to `len` bytes.
    #[inline]
    pub(super) fn add(
        &mut self,
        skb: &SkBuff,
        at: usize,
        len: usize,
        message_len: usize,
    ) -> Option<()> {
        let plain = self.pages.as_mut()?.spare().get_mut(at..)?.get_mut(..len)?;
        let head = plain.get(..ip::V6_HEADER_LEN.min(len))?;
        let total_len = match ip::Header::parse(head, len) {
            Ok(header) => header.total_len as usize,
            // A keepalive, or an invalid packet that will be counted when it is delivered.
            Err(_) => {
                let at = self.flush_before(at);
                return self.add_alone(skb, at, len, message_len);
            }
        };
        let outer = skb.outer()?;
        let packet = plain.get(..total_len)?;
        if let Some(group) = &mut self.group {
            if group.outer == outer && group.flow.append(packet) {
                let headers_len = group.flow.headers_len();
                let payload_len = total_len.checked_sub(headers_len)?;
                let spare = self.pages.as_mut()?.spare();
                let from = at.wrapping_add(headers_len);
                // The payload so far may end before `at`.
                if group.payload.end == 0 {
                    group.payload = at..at;
                }
                let to = group.payload.end;
                mm::move_within(spare, from, to, payload_len).then_some(())?;
                group.payload.end = to.wrapping_add(payload_len);
                group.message_bytes = group.message_bytes.wrapping_add(message_len);
                if group.flow.is_closed() {
                    self.flush();
                }
                return Some(());
            }
        }
        let flow = Flow::start(packet).filter(|_| self.merge);
        let at = self.flush_before(at);
        let Some(flow) = flow else {
            return self.add_alone(skb, at, len, message_len);
        };
        let headers_len = flow.headers_len();
        let mut inner = skb.alloc_inner(headers_len)?;
        let headers = self.pages.as_mut()?.spare().get(at..)?.get(..headers_len)?;
        inner.put_data(headers).then_some(())?;
        self.group = Some(Group {
            flow,
            skb: inner,
            outer,
            message_bytes: message_len,
            payload: at.wrapping_add(headers_len)..at.wrapping_add(total_len),
        });
        Some(())
    }

    /// Finishes the group that the packet at `at` does not belong to, and returns the packet's new position:
    /// the spare part of the pages now begins behind what the group was given.
    #[inline]
    fn flush_before(&mut self, at: usize) -> usize {
        let payload = self.group.as_ref().map(|group| &group.payload);
        let given = payload.filter(|payload| !payload.is_empty());
        let end = given.map_or(0, |payload| payload.end);
        self.flush();
        at.wrapping_sub(end)
    }

    /// Emits a packet that is not merged, and lies in the spare part of the pages.
    fn add_alone(&mut self, skb: &SkBuff, at: usize, len: usize, message_len: usize) -> Option<()> {
        let linear = if len > MAX_LINEAR {
            ip::V6_HEADER_LEN
        } else {
            len
        };
        let mut inner = skb.alloc_inner(linear)?;
        let pages = self.pages.as_mut()?;
        let data = pages.spare().get(at..)?.get(..linear)?;
        inner.put_data(data).then_some(())?;
        let rest = len.wrapping_sub(linear);
        let offset = at.wrapping_add(linear);
        pages.give(&mut inner, offset, rest).then_some(())?;
        self.emit(inner.into(), 1, message_len);
        Some(())
    }

    /// Finishes the group, if there is one.
    #[inline]
    pub(super) fn flush(&mut self) {
        let Some(mut group) = self.group.take() else {
            return;
        };
        let payload = core::mem::replace(&mut group.payload, 0..0);
        let given = match &mut self.pages {
            Some(pages) => pages.give(&mut group.skb, payload.start, length(&payload)),
            None => false,
        };
        if given {
            self.finish(group);
        }
    }

    /// Finishes a group whose payload is all in its packet.
    fn finish(&mut self, mut group: Group) {
        let count = group.flow.count();
        if count > 1 {
            let (size, cwr) = (group.flow.size(), group.flow.has_cwr());
            let headers = group.flow.headers();
            let Some(linear) = group.skb.linear_mut(headers.len() as u32) else {
                return;
            };
            for (to, from) in linear.iter_mut().zip(headers) {
                *to = *from;
            }
            if !group.skb.set_tcp_gso(size, count, cwr) {
                return;
            }
        }
        self.emit(group.skb.into(), count.into(), group.message_bytes);
    }
}

/// Returns the length of a range. The compiler cannot tell that the range's own method does not panic.
#[inline]
fn length(range: &core::ops::Range<usize>) -> usize {
    range.end.wrapping_sub(range.start)
}
