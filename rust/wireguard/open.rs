// SPDX-License-Identifier: GPL-2.0

//! Decryption of received messages: each becomes a packet, or many are merged into a GSO packet.
//!
//! A single message is decrypted in place. Many are decrypted into pages of ours, back to back, and the
//! payload of one that holds the next segment of a TCP connection is moved up to that of the one before: so a
//! bulk transfer arrives in GSO packets of few fragments, as it was sent. The kernel would merge such packets
//! itself (GRO), at a higher cost for each. Where there is no memory for pages, each is decrypted in place.

mod merge;

use self::merge::Group;
use crate::{
    control,
    device::Device,
    keypair::Keypair, //
};
use core::iter::successors;
use wg_kernel::{
    crypto::{
        self,
        chacha20poly1305::{
            self,
            Opener,
            Sealed, //
        }, //
    },
    prelude::*, //
};
use wg_proto::wire;

/// Messages shorter than this are decrypted in place; copying them gains nothing.
const MIN_LEN: usize = 512;

/// The longest message that is copied.
pub(crate) const MAX_LEN: usize = 1 << 13;

/// Messages of one session that are being decrypted.
struct Opening<'a> {
    keypair: &'a Keypair,
    /// Whether packets may be merged.
    merge: bool,
    out: SkBuffList,
    pages: Option<Pages>,
    group: Option<Group>,
    opener: Opener<'a>,
    /// How many bytes are left to decrypt.
    left: usize,
}

/// A message in a datagram, or in a UDP GRO packet.
#[derive(Clone, Copy)]
struct Part<'a> {
    skb: &'a SkBuff,
    offset: usize,
    len: usize,
}

impl<'a> Part<'a> {
    /// Returns a datagram's message, if it is one of `several` and as long as those that are copied.
    #[inline]
    fn whole(skb: &'a SkBuff, several: bool) -> Option<Self> {
        let len = skb.len() as usize;
        let copied = several && (MIN_LEN..=MAX_LEN).contains(&len) && skb.datagram_size().is_none();
        Self::at(skb, 0, len).filter(|_| copied)
    }

    /// Returns the message from `offset` on of a UDP GRO packet of messages of `size` bytes, if there is one.
    #[inline]
    fn at(skb: &'a SkBuff, offset: usize, size: usize) -> Option<Self> {
        let left = (skb.len() as usize).saturating_sub(offset);
        (left > 0).then_some(Self {
            skb,
            offset,
            len: size.min(left),
        })
    }

    /// Returns how much room it needs.
    #[inline]
    fn room(&self) -> usize {
        self.len.saturating_sub(wire::DATA_HEADER_LEN)
    }

    /// Returns how it is decrypted into the room from `at` on.
    #[inline]
    fn sealed(&self, at: usize) -> Option<Sealed<'a>> {
        let mut header = [0; wire::DATA_HEADER_LEN];
        let start = u32::try_from(self.offset).ok()?;
        self.skb.copy_bits(start, &mut header).then_some(())?;
        Some(Sealed {
            skb: self.skb,
            offset: start.wrapping_add(wire::DATA_HEADER_LEN as u32),
            len: u32::try_from(self.len.checked_sub(wire::DATA_MIN_LEN)?).ok()?,
            nonce: wire::DataHeader::from_bytes(&header)?.counter,
            at,
        })
    }
}

impl Device {
    /// Returns whether received packets may be merged.
    pub(crate) fn merges_packets(&self) -> bool {
        let guard = rcu::read_lock();
        self.link
            .get(&guard)
            .is_some_and(netdevice::Device::merges_packets)
    }
}

impl Keypair {
    /// Decrypts messages, and drops those that are not authentic or are replays.
    ///
    /// This leaves the inner packets, which know their outer headers, and how many messages of how many bytes
    /// they were: [`control::message_count`], [`control::message_bytes`]. `merge` is whether packets may be
    /// merged.
    pub(crate) fn open(&self, packets: &mut SkBuffList, merge: bool) {
        let mut rest = core::mem::replace(packets, SkBuffList::new());
        if !self.may_receive(time::boottime_coarse_ns()) {
            return;
        }
        let lengths = rest.iter().map(|skb| skb.len() as usize);
        let mut opening = Opening {
            keypair: self,
            merge,
            out: SkBuffList::new(),
            pages: None,
            group: None,
            opener: Opener::new(self.receiving_key()),
            left: lengths.fold(0, usize::wrapping_add),
        };
        let several = merge && rest.len() > 1;
        while !rest.is_empty() {
            let whole = rest.iter().map_while(|skb| Part::whole(skb, several));
            let opened = opening.open_into_pages(whole);
            for _ in 0..opened {
                if let Some(skb) = rest.pop_front() {
                    opening.left = opening.left.saturating_sub(skb.len() as usize);
                    skb.consume();
                }
            }
            if opened > 0 {
                continue;
            }
            let Some(skb) = rest.pop_front() else {
                break;
            };
            let len = skb.len() as usize;
            match skb.datagram_size() {
                Some(size) => {
                    opening.open_many(&skb, size as usize);
                    skb.consume();
                }
                None => opening.open_in_place(skb),
            }
            opening.left = opening.left.saturating_sub(len);
        }
        opening.flush();
        *packets = opening.out;
    }
}

impl Opening<'_> {
    /// Decrypts a message in place.
    fn open_in_place(&mut self, mut skb: SkBuff) {
        self.flush();
        let len = skb.len() as usize;
        let Some(header) = skb
            .head()
            .and_then(|head| wire::DataHeader::from_bytes(&head))
        else {
            return;
        };
        let authentic = chacha20poly1305::open_skb(
            &mut skb,
            wire::DATA_HEADER_LEN as u32,
            header.counter,
            self.keypair.receiving_key(),
        );
        if authentic && self.keypair.accept(header.counter) {
            self.emit(skb, 1, len);
        } else {
            refuse(skb);
        }
    }

    /// Decrypts the messages of a UDP GRO packet.
    fn open_many(&mut self, skb: &SkBuff, size: usize) {
        let mut offset = 0;
        while let Some(part) = Part::at(skb, offset, size) {
            let next = |part: &Part<'_>| Part::at(skb, part.offset.wrapping_add(size), size);
            let parts = successors(Some(part), next);
            let opened = self.open_into_pages(parts);
            if opened == 0 {
                if let Some(message) = skb.copy_inner(offset as u32, part.len) {
                    self.open_in_place(message.into());
                }
            }
            offset = offset.wrapping_add(size.wrapping_mul(opened.max(1)));
        }
    }

    /// Decrypts messages into pages, from the first one on, as many as is best at a time, and returns how many.
    ///
    /// Returns 0, and has not looked at any, if there is no memory for them.
    #[inline]
    fn open_into_pages<'b>(&mut self, mut parts: impl Iterator<Item = Part<'b>>) -> usize {
        let Some(part) = parts.next() else {
            return 0;
        };
        let (Some(mut at), Some(pages)) = (self.make_room(part.room()), &mut self.pages) else {
            return 0;
        };
        let Some(first) = part.sealed(at) else {
            return 1;
        };
        let given = pages.given();
        let spare = pages.spare();
        let mut count: usize = 1;
        let more = self.opener.at_a_time().saturating_sub(count);
        if more == 0 {
            let authentic = self.opener.open_one(spare, &first);
            self.add_if(authentic, &first, at);
            return count;
        }
        at = at.wrapping_add(part.room());
        let mut messages = [first; chacha20poly1305::AT_A_TIME];
        for (message, part) in messages.iter_mut().skip(1).zip(parts.take(more)) {
            let end = at.wrapping_add(part.room());
            match part.sealed(at) {
                Some(sealed) if end <= spare.len() => *message = sealed,
                _ => break,
            }
            at = end;
            count = count.wrapping_add(1);
        }
        let messages = messages.get(..count).unwrap_or_default();
        let authentic = self.opener.open_from(spare, messages);
        for (message, authentic) in messages.iter().zip(authentic) {
            let now = self.pages.as_ref().map_or(given, Pages::given);
            // Packets before this one were given what is in front of it.
            self.add_if(
                authentic,
                message,
                message.at.wrapping_sub(now.wrapping_sub(given)),
            );
        }
        count
    }

    /// Adds a message that was decrypted, and is at `at` now, or wipes it if it is not authentic or not new.
    #[inline]
    fn add_if(&mut self, authentic: bool, message: &Sealed<'_>, at: usize) {
        let len = message.len as usize;
        if authentic && self.keypair.accept(message.nonce) {
            let _ = self.add(message.skb, at, len, len.wrapping_add(wire::DATA_MIN_LEN));
        } else {
            self.forget(at, len);
        }
    }

    /// Wipes text in the spare part of the pages that must not be seen by anyone.
    #[cold]
    fn forget(&mut self, at: usize, len: usize) {
        let spare = self.pages.as_mut().map(|pages| pages.spare());
        let place = spare.and_then(|spare| spare.get_mut(at..)?.get_mut(..len));
        if let Some(place) = place {
            crypto::wipe(place);
        }
    }

    /// Emits the packet that `count` messages of `message_bytes` bytes have become.
    #[inline]
    fn emit(&mut self, mut skb: SkBuff, count: usize, message_bytes: usize) {
        control::set_message_count(&mut skb, count);
        control::set_message_bytes(&mut skb, message_bytes);
        self.out.push_back(skb);
    }
}

/// Frees a message that was decrypted in place, and is not authentic or is a replay.
///
/// Drop monitors get a copy of each dropped packet, so this does not count as a drop; and what may be
/// plaintext is wiped before the memory is freed.
#[cold]
fn refuse(mut skb: SkBuff) {
    skb.wipe_linear();
    skb.consume();
}
