// SPDX-License-Identifier: GPL-2.0

//! Decrypting many messages, and putting what they hold together.
//!
//! A single message is decrypted where it lies. Of many, each is decrypted into memory of ours, one
//! behind the other, and if it holds what follows in a TCP connection, its payload is moved up to that
//! of the one before: so a bulk transfer arrives in large packets of few pieces, as it was sent.
//! The kernel would merge such packets itself (GRO), at a higher price for each.

use crate::{
    control::{
        set_message_bytes,
        set_message_count, //
    },
    device::Device,
    keypair::Keypair,
};
use wg_kernel::{
    crypto::{
        self,
        chacha20poly1305, //
    },
    mm,
    net::{
        netdevice,
        skbuff::{
            NewSkBuff,
            Outer,
            Pages,
            SkBuff,
            SkBuffList, //
        }, //
    },
    pr_debug_ratelimited,
    sync::rcu,
    time, //
};
use wg_proto::{
    ip,
    merge::Flow,
    wire::{
        self,
        DataHeader, //
    }, //
};

/// Messages shorter than this are not worth to be copied.
const MIN_LEN: usize = 512;

/// The most bytes of a message that is copied.
pub(crate) const MAX_LEN: usize = 1 << 13;

/// Packets of up to this length have all their data in their linear part.
const MAX_LINEAR: usize = 256;

/// Bytes before the first packet in the spare part of the pages: what decryption is faster with.
const FRONT: usize = chacha20poly1305::ROOM_BEFORE;

/// A large packet that is being put together.
struct Group {
    flow: Flow,
    /// With the headers of the first packet, and payload in earlier pages.
    skb: NewSkBuff,
    /// Where its messages came from.
    outer: Outer,
    /// Bytes of its messages.
    message_bytes: usize,
    /// Its payload in the spare part of the pages.
    payload: core::ops::Range<usize>,
}

/// Decrypts the messages of one session.
struct Gather<'a> {
    keypair: &'a Keypair,
    /// Whether packets may be merged.
    merge: bool,
    out: SkBuffList,
    pages: Option<Pages>,
    group: Option<Group>,
    /// How many bytes there still are to decrypt.
    left: usize,
}

impl Device {
    /// Returns whether received packets may be merged.
    pub(crate) fn merges_packets(&self) -> bool {
        let guard = rcu::read_lock();
        self.link()
            .get(&guard)
            .is_some_and(netdevice::Device::merges_packets)
    }
}

impl Keypair {
    /// Decrypts messages, and drops those that are not authentic or were received before.
    ///
    /// What is left are packets of the inside, which know what they came in, and how many messages of
    /// how many bytes they were: [`message_count`], [`message_bytes`]. `merge` is whether packets
    /// may be merged.
    pub(crate) fn open(&self, datagrams: &mut SkBuffList, merge: bool) {
        let mut rest = core::mem::replace(datagrams, SkBuffList::new());
        if !self.may_receive(time::boottime_coarse_ns()) {
            return;
        }
        let lengths = rest.iter().map(|skb| skb.len() as usize);
        let mut gather = Gather {
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
                    gather.open_many(&skb, size as usize);
                    skb.consume();
                }
                None if several && (MIN_LEN..=MAX_LEN).contains(&len) => {
                    let _ = gather.open_into_pages(&skb, 0, len);
                    skb.consume();
                }
                None => gather.open_in_place(skb),
            }
            gather.left = gather.left.saturating_sub(len);
        }
        gather.flush();
        *datagrams = gather.out;
    }

    /// Returns whether an authentic message is new.
    #[inline]
    fn is_new(&self, nonce: u64) -> bool {
        self.with_window(|window| {
            let new = window.accept(nonce);
            if !new {
                pr_debug_ratelimited!(
                    "{}: Packet has invalid nonce {} (max {})\n",
                    self.peer().device().name(),
                    nonce,
                    window.highest()
                );
            }
            new
        })
    }
}

impl Gather<'_> {
    /// Decrypts a message where it lies.
    fn open_in_place(&mut self, mut skb: SkBuff) {
        self.flush();
        let len = skb.len() as usize;
        let Some(header) = skb.head().and_then(|head| DataHeader::from_bytes(&head)) else {
            return;
        };
        let authentic = chacha20poly1305::open_skb(
            &mut skb,
            wire::DATA_HEADER_LEN as u32,
            header.counter,
            self.keypair.receiving_key(),
        );
        if authentic && self.keypair.is_new(header.counter) {
            self.emit(skb, 1, len);
        } else {
            refuse(skb);
        }
    }

    /// Decrypts the messages of a datagram that stands for several.
    fn open_many(&mut self, skb: &SkBuff, size: usize) {
        let total = skb.len() as usize;
        let mut offset = 0;
        while offset < total {
            let len = size.min(total.wrapping_sub(offset));
            let _ = self.open_into_pages(skb, offset, len);
            offset = offset.wrapping_add(len);
        }
    }

    /// Decrypts the message of `len` bytes from `offset` on.
    #[inline]
    fn open_into_pages(&mut self, skb: &SkBuff, offset: usize, len: usize) -> Option<()> {
        let mut header = [0; wire::DATA_HEADER_LEN];
        let start = u32::try_from(offset).ok()?;
        skb.copy_bits(start, &mut header).then_some(())?;
        let counter = DataHeader::from_bytes(&header)?.counter;
        let sealed_len = len.checked_sub(wire::DATA_HEADER_LEN)?;
        let plain_len = sealed_len.checked_sub(wire::TAG_LEN)?;

        let at = self.make_room(sealed_len)?;
        let authentic = chacha20poly1305::open_from(
            self.pages.as_mut()?.spare(),
            at,
            skb,
            start.wrapping_add(wire::DATA_HEADER_LEN as u32),
            u32::try_from(plain_len).ok()?,
            counter,
            self.keypair.receiving_key(),
        );
        if !authentic || !self.keypair.is_new(counter) {
            self.forget(at, plain_len);
            return None;
        }
        self.add(skb, at, plain_len, len)
    }

    /// Wipes what was decrypted to the spare part of the pages and is not to be seen by anybody.
    #[cold]
    fn forget(&mut self, at: usize, len: usize) {
        let spare = self.pages.as_mut().map(|pages| pages.spare());
        let place = spare.and_then(|spare| spare.get_mut(at..)?.get_mut(..len));
        if let Some(place) = place {
            crypto::wipe(place);
        }
    }

    /// Makes `len` bytes free behind what there is, and returns where they begin: at [`FRONT`] if
    /// there is nothing.
    #[inline]
    fn make_room(&mut self, len: usize) -> Option<usize> {
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

    /// Adds a packet, which lies in the pages from `at` on, and was padded to `len` bytes.
    #[inline]
    fn add(&mut self, skb: &SkBuff, at: usize, len: usize, message_len: usize) -> Option<()> {
        let plain = self.pages.as_mut()?.spare().get_mut(at..)?.get_mut(..len)?;
        let head = plain.get(..ip::V6_HEADER_LEN.min(len))?;
        let total_len = match ip::Header::parse(head, len) {
            Ok(header) => header.total_len() as usize,
            // A keepalive, or something that will be counted when it is delivered.
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
                // What there is of it may end before `at`.
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

    /// Finishes the group that the packet at `at` does not belong to, and returns where that is then:
    /// the spare part of the pages begins behind what the group has got.
    #[inline]
    fn flush_before(&mut self, at: usize) -> usize {
        let payload = self.group.as_ref().map(|group| &group.payload);
        let given = payload.filter(|payload| !payload.is_empty());
        let end = given.map_or(0, |payload| payload.end);
        self.flush();
        at.wrapping_sub(end)
    }

    /// Adds a packet that is for itself, and lies in the spare part of the pages.
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
    fn flush(&mut self) {
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

    /// Finishes a group, all payload of which its packet has.
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

    /// Puts a packet out that `count` messages with so many bytes have become.
    #[inline]
    fn emit(&mut self, mut skb: SkBuff, count: usize, message_bytes: usize) {
        set_message_count(&mut skb, count);
        set_message_bytes(&mut skb, message_bytes);
        self.out.push_back(skb);
    }
}

/// Frees a message that was decrypted in place, and is not authentic or was received before.
///
/// Whoever watches drops gets a copy of each packet, so this is not one, and what may be its text is
/// wiped before the memory is somebody else's.
#[cold]
fn refuse(mut skb: SkBuff) {
    skb.wipe_linear();
    skb.consume();
}

/// Returns the length of a range, whose own function might panic for all the compiler knows.
#[inline]
fn length(range: &core::ops::Range<usize>) -> usize {
    range.end.wrapping_sub(range.start)
}
