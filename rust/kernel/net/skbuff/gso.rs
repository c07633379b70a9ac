// SPDX-License-Identifier: GPL-2.0

//! Packets that stand for several smaller ones.

use super::{
    header::{
        IPV4,
        IPV4_HEADER_LEN,
        IPV6_HEADER_LEN, //
    },
    SkBuff, //
};
use core::ptr::NonNull;
use wg_bindings as bindings;

/// Length of a UDP header.
const UDP_HEADER_LEN: u32 = 8;

/// Length of a TCP header without options.
const TCP_HEADER_LEN: u32 = 20;

/// How a large packet is to be segmented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gso {
    /// Whether it is one of TCP; otherwise it is one of UDP.
    pub tcp: bool,
    /// Whether it uses accurate ECN, where CWR belongs to each segment.
    pub accurate_ecn: bool,
    /// Most bytes of payload of a segment.
    pub size: u32,
    /// Where the transport header begins, from the start of the data.
    pub transport: u32,
}

impl SkBuff {
    /// Returns whether the buffer is to be segmented into several packets.
    #[inline]
    pub fn is_gso(&self) -> bool {
        // SAFETY: The shared info lies at the end of every buffer, and is aligned.
        unsafe { (*self.shared_info()).gso_size != 0 }
    }

    /// Returns how the packet is to be segmented, if there is no more to that than to copy its
    /// headers and to change some fields in them.
    #[inline]
    pub fn plain_gso(&self) -> Option<Gso> {
        let (mut tcp, mut accurate_ecn) = (false, false);
        let (mut size, mut transport) = (0, 0);
        // SAFETY: The buffer is valid, and the rest is for the results.
        let plain = unsafe {
            bindings::skb_plain_gso(
                self.as_raw(),
                &mut tcp,
                &mut accurate_ecn,
                &mut size,
                &mut transport,
            )
        };
        plain.then_some(Gso {
            tcp,
            accurate_ecn,
            size,
            transport: u32::try_from(transport).ok()?,
        })
    }

    /// Says that the data are the payload of `count` datagrams, which have `size` bytes each, save
    /// for the last, that may have fewer.
    ///
    /// Returns whether that can be so.
    #[inline]
    pub fn set_udp_gso(&mut self, size: usize, count: usize) -> bool {
        let (Ok(size), Ok(count)) = (u16::try_from(size), u16::try_from(count)) else {
            return false;
        };
        let most = u32::from(size).checked_mul(u32::from(count));
        let rest = most.and_then(|most| most.checked_sub(self.len()));
        if size == 0 || rest.is_none_or(|rest| rest >= u32::from(size)) || self.headroom() < 8 {
            return false;
        }
        // SAFETY: The buffer is valid and not shared, and has room for a UDP header.
        unsafe { bindings::skb_set_udp_gso(self.as_raw(), size, count) };
        true
    }

    /// Returns whether [`Pages`](super::Pages) can be appended to the data.
    #[inline]
    pub fn takes_pages(&self) -> bool {
        // SAFETY: The shared info lies at the end of every buffer, and is aligned.
        let pieces = unsafe { (*self.shared_info()).nr_frags };
        u32::from(pieces) < bindings::MAX_SKB_FRAGS
    }

    /// Takes over what a packet around `inner` keeps of that: its flow hash.
    #[inline]
    pub fn copy_flow(&mut self, inner: &Self) {
        // SAFETY: Both buffers are valid and not shared.
        unsafe { bindings::skb_copy_flow(self.as_raw(), inner.as_raw()) };
    }

    /// Charges the packet, which was made of `original`, to the same socket; if it is the `last` of
    /// these, in place of `original`.
    #[inline]
    pub fn take_owner(&mut self, original: &mut Self, last: bool) {
        // SAFETY: Both buffers are valid and not shared.
        unsafe { bindings::skb_pass_owner(self.as_raw(), original.as_raw(), last) };
    }

    /// Copies the bytes from `offset` on to `out`, and returns their sum as the kernel computes it, if
    /// there are that many.
    #[inline]
    pub fn copy_and_sum(&self, offset: usize, out: &mut [u8]) -> Option<u32> {
        let len = i32::try_from(out.len()).ok()?;
        let start = i32::try_from(offset).ok()?;
        let end = u32::try_from(start.checked_add(len)?).ok()?;
        if end > self.len() {
            return None;
        }
        // SAFETY: The buffer is valid and has as many bytes, for which there is room.
        Some(unsafe {
            bindings::skb_copy_and_csum_bits(self.as_raw(), start, out.as_mut_ptr(), len)
        })
    }

    /// Returns the size of the datagrams whose payload the data are, if they are several.
    #[inline]
    pub fn datagram_size(&self) -> Option<u32> {
        if !self.is_gso() {
            return None;
        }
        // SAFETY: The buffer is valid.
        let size = unsafe { bindings::skb_datagram_size(self.as_raw()) };
        (size > 0).then_some(size)
    }

    /// Allocates a buffer for `len` bytes of what this datagram holds, before which are its headers,
    /// as far as [`SkBuff::outer`] needs them.
    ///
    /// Returns [`None`] if there is no memory, or if the headers are gone.
    #[inline]
    pub fn alloc_inner(&self, len: usize) -> Option<Self> {
        const MAX_LEN: u32 = 1 << 20;
        let len = u32::try_from(len).ok().filter(|len| *len <= MAX_LEN)?;
        let headers = self.headers();
        let network_len = match self.protocol() {
            IPV4 => IPV4_HEADER_LEN,
            _ => IPV6_HEADER_LEN,
        };
        if !self.has_header(headers.network_header, network_len)
            || !self.has_header(headers.transport_header, UDP_HEADER_LEN)
        {
            return None;
        }
        // SAFETY: The buffer is valid, and its headers are where they should be.
        let skb = unsafe { bindings::skb_alloc_inner(self.as_raw(), len) };
        // INVARIANT: A new buffer has one reference, no links, no destination and no device.
        Some(Self(NonNull::new(skb)?))
    }

    /// Says that the packet, which begins with its network header, stands for `count` of TCP with
    /// `size` bytes of payload each, save for the last.
    ///
    /// `accurate_ecn` is for packets with CWR, which belongs to each of them then.
    #[inline]
    pub fn set_tcp_gso(&mut self, size: usize, count: u16, accurate_ecn: bool) -> bool {
        let v6 = match self.head() {
            Some([first]) => first >> 4 == 6,
            None => return false,
        };
        let size = match u16::try_from(size) {
            Ok(size @ 1..) => size,
            _ => return false,
        };
        // SAFETY: The buffer is valid and not shared.
        unsafe { bindings::skb_set_tcp_gso(self.as_raw(), v6, accurate_ecn, size, count) };
        true
    }

    /// Says that the packet's TCP checksum is that of the pseudo header alone so far, and that the
    /// TCP header begins at `offset`.
    ///
    /// Returns whether there is a header.
    #[inline]
    pub fn set_tcp_partial(&mut self, offset: u32) -> bool {
        let complete = offset
            .checked_add(TCP_HEADER_LEN)
            .is_some_and(|end| end <= self.linear_len());
        if complete {
            // SAFETY: The buffer is valid and not shared, and has a TCP header.
            unsafe { bindings::skb_set_tcp_partial(self.as_raw(), offset) };
        }
        complete
    }
}
