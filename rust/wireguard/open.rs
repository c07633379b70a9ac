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
use wg_kernel::{
    crypto::{
        self,
        chacha20poly1305, //
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
    /// How many bytes are left to decrypt.
    left: usize,
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
            left: lengths.fold(0, usize::wrapping_add),
        };
        let several = merge && rest.len() > 1;
        while let Some(skb) = rest.pop_front() {
            let len = skb.len() as usize;
            match skb.datagram_size() {
                Some(size) => {
                    opening.open_many(&skb, size as usize);
                    skb.consume();
                }
                None => {
                    let copied = several && (MIN_LEN..=MAX_LEN).contains(&len);
                    if copied && opening.open_into_pages(&skb, 0, len) {
                        skb.consume();
                    } else {
                        opening.open_in_place(skb);
                    }
                }
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
        let total = skb.len() as usize;
        let mut offset = 0;
        while offset < total {
            let len = size.min(total.wrapping_sub(offset));
            if !self.open_into_pages(skb, offset, len) {
                if let Some(message) = skb.copy_inner(offset as u32, len) {
                    self.open_in_place(message.into());
                }
            }
            offset = offset.wrapping_add(len);
        }
    }

    /// Decrypts the message of `len` bytes from `offset` on into pages.
    ///
    /// Returns `false`, and has not looked at the message, if there is no memory for them.
    #[inline]
    fn open_into_pages(&mut self, skb: &SkBuff, offset: usize, len: usize) -> bool {
        let Some(at) = self.make_room(len.saturating_sub(wire::DATA_HEADER_LEN)) else {
            return false;
        };
        let _ = self.open_at(at, skb, offset, len);
        true
    }

    /// The same, into the room that was made from `at` on.
    #[inline]
    fn open_at(&mut self, at: usize, skb: &SkBuff, offset: usize, len: usize) -> Option<()> {
        let mut header = [0; wire::DATA_HEADER_LEN];
        let start = u32::try_from(offset).ok()?;
        skb.copy_bits(start, &mut header).then_some(())?;
        let counter = wire::DataHeader::from_bytes(&header)?.counter;
        let plain_len = len.checked_sub(wire::DATA_MIN_LEN)?;

        let authentic = chacha20poly1305::open_from(
            self.pages.as_mut()?.spare(),
            at,
            skb,
            start.wrapping_add(wire::DATA_HEADER_LEN as u32),
            u32::try_from(plain_len).ok()?,
            counter,
            self.keypair.receiving_key(),
        );
        if !authentic || !self.keypair.accept(counter) {
            self.forget(at, plain_len);
            return None;
        }
        self.add(skb, at, plain_len, len)
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
