// SPDX-License-Identifier: GPL-2.0

//! Packets that are being built.

use super::{
    header::{
        IPV4,
        IPV4_HEADER_LEN,
        IPV6_HEADER_LEN, //
    },
    SkBuff,
    CB_WORDS, //
};
use crate::compat::u32_as_usize;
use core::{
    ops::Deref,
    ptr::NonNull,
    slice, //
};
use wg_bindings as bindings;

/// Length of a UDP header.
const UDP_HEADER_LEN: u32 = 8;

/// Maximum headroom of a packet that can be requested. Header offsets have 16 bits, and other layers push
/// their headers and request headroom, too.
pub const MAX_HEADROOM: u32 = 4096;

/// A buffer that was allocated here and is not shared: its contents may be changed.
///
/// Once converted to an [`SkBuff`], it is complete.
///
/// # Invariants
///
/// In addition to those of [`SkBuff`]: the buffer has no clones and is charged to no socket.
pub struct NewSkBuff(SkBuff);

impl Deref for NewSkBuff {
    type Target = SkBuff;

    #[inline]
    fn deref(&self) -> &SkBuff {
        &self.0
    }
}

impl From<NewSkBuff> for SkBuff {
    #[inline]
    fn from(skb: NewSkBuff) -> Self {
        skb.0
    }
}

impl SkBuff {
    /// Allocates an empty buffer with room for `len` bytes, and `headroom` before them.
    ///
    /// Does not sleep. Returns [`None`] if there is no memory, or if `headroom` is more than
    /// [`MAX_HEADROOM`].
    pub fn alloc(headroom: usize, len: usize) -> Option<NewSkBuff> {
        let headroom = u32::try_from(headroom).ok()?;
        if headroom > MAX_HEADROOM {
            return None;
        }
        let len = u32::try_from(len).ok()?;
        i32::try_from(headroom.checked_add(len)?).ok()?;
        // SAFETY: May be called from any context, and the sizes do not overflow.
        let skb = unsafe { bindings::wg_skb_alloc(headroom, len) };
        // INVARIANT: A new buffer has one reference, no links, no destination, no device, no clones
        // and no socket.
        Some(NewSkBuff(Self(NonNull::new(skb)?)))
    }

    /// Allocates a buffer for `len` bytes of this datagram's payload, preceded by the datagram's headers
    /// as far as [`SkBuff::outer`] needs them.
    ///
    /// Returns [`None`] if there is no memory, or if the headers are gone.
    #[inline]
    pub fn alloc_inner(&self, len: usize) -> Option<NewSkBuff> {
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
        let skb = unsafe { bindings::wg_skb_alloc_inner(self.as_raw(), len) };
        // INVARIANT: As in `alloc`.
        Some(NewSkBuff(Self(NonNull::new(skb)?)))
    }

    /// Returns a datagram of its own with `len` bytes of this one's payload, from `offset` on.
    ///
    /// Returns [`None`] if there are not as many, and where [`SkBuff::alloc_inner`] does.
    pub fn copy_inner(&self, offset: u32, len: usize) -> Option<NewSkBuff> {
        let mut datagram = self.alloc_inner(len)?;
        datagram.put_from(self, offset, len).then_some(datagram)
    }
}

impl NewSkBuff {
    /// Returns the control block for writing.
    #[inline]
    pub fn cb_mut(&mut self) -> &mut [u32; CB_WORDS] {
        self.0.cb_mut()
    }

    /// Appends `bytes`, if there is room for them behind the data.
    pub fn put_data(&mut self, bytes: &[u8]) -> bool {
        let Ok(len) = u32::try_from(bytes.len()) else {
            return false;
        };
        if len > self.tailroom() {
            return false;
        }
        let tail = self.tail();
        // SAFETY: There is room for that many bytes, which nothing else refers to.
        unsafe { tail.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        // SAFETY: As above.
        unsafe { self.0.put(len) };
        true
    }

    /// Appends `len` bytes of `other`, from `offset` on, if there is room for them behind the data.
    pub fn put_from(&mut self, other: &SkBuff, offset: u32, len: usize) -> bool {
        let Ok(count) = u32::try_from(len) else {
            return false;
        };
        if count > self.tailroom() {
            return false;
        }
        // SAFETY: There is room for that many bytes, which nothing else refers to.
        if !unsafe { other.copy_bits_to(offset, self.tail(), count) } {
            return false;
        }
        // SAFETY: As above; they were just written.
        unsafe { self.0.put(count) };
        true
    }

    /// Returns the first `len` bytes for writing, if they are linear.
    #[inline]
    pub fn linear_mut(&mut self, len: u32) -> Option<&mut [u8]> {
        if len > self.linear_len() {
            return None;
        }
        // SAFETY: As in `SkBuff::linear`. By the type invariants, nothing else refers to the data.
        Some(unsafe { slice::from_raw_parts_mut(self.at(0), u32_as_usize(len)) })
    }

    /// Makes this a UDP GSO packet: the data, which all lie in pages, are the payload of `count`
    /// datagrams of `size` bytes each, except for the last, which may have fewer.
    ///
    /// Returns whether that is possible.
    #[inline]
    pub fn set_udp_gso(&mut self, size: usize, count: usize) -> bool {
        let (Ok(size), Ok(count)) = (u16::try_from(size), u16::try_from(count)) else {
            return false;
        };
        let most = u32::from(size).checked_mul(u32::from(count));
        let rest = most.and_then(|most| most.checked_sub(self.len()));
        // The last one is `GSO_BY_FRAGS`.
        if matches!(size, 0 | u16::MAX)
            || count == 0
            || rest.is_none_or(|rest| rest >= u32::from(size))
            || self.headroom() < UDP_HEADER_LEN
            || self.linear_len() != 0
        {
            return false;
        }
        // SAFETY: By the type invariants, the buffer is valid and has no clones. There is room for a
        // UDP header.
        unsafe { bindings::wg_skb_set_udp_gso(self.as_raw(), size, count) };
        true
    }

    /// Makes the packet, which begins with its network header, a GSO packet of `count` TCP segments with
    /// `size` bytes of payload each, except for the last.
    ///
    /// `accurate_ecn` is for packets with CWR, which every segment has then.
    #[inline]
    pub fn set_tcp_gso(&mut self, size: usize, count: u16, accurate_ecn: bool) -> bool {
        let v6 = match self.head() {
            Some([first]) => first >> 4 == 6,
            None => return false,
        };
        let size = match u16::try_from(size) {
            // The last one is `GSO_BY_FRAGS`.
            Ok(0 | u16::MAX) | Err(_) => return false,
            Ok(size) => size,
        };
        // SAFETY: By the type invariants, the buffer is valid and has no clones.
        unsafe { bindings::wg_skb_set_tcp_gso(self.as_raw(), v6, accurate_ecn, size, count) };
        true
    }

    /// Returns whether [`Pages`](super::Pages) can be appended to the data.
    #[inline]
    pub fn takes_pages(&self) -> bool {
        // SAFETY: The shared info lies at the end of every buffer, and is aligned.
        let pieces = unsafe { (*self.shared_info()).nr_frags };
        u32::from(pieces) < bindings::MAX_SKB_FRAGS
    }

    /// Copies the flow hash of `inner`, which this packet encapsulates.
    #[inline]
    pub fn copy_flow(&mut self, inner: &SkBuff) {
        // SAFETY: Both buffers are valid, and this one is not shared.
        unsafe { bindings::wg_skb_copy_flow(self.as_raw(), inner.as_raw()) };
    }

    /// Charges the packet, which was made from `original`, to the same socket; the `last` one made from
    /// it is charged in place of `original`.
    ///
    /// It cannot grow any more then: the socket must get back as much as it was charged.
    #[inline]
    pub fn charge(self, original: &mut SkBuff, last: bool) -> SkBuff {
        // SAFETY: Both buffers are valid and not shared. By the type invariants, this one is not
        // charged to a socket, and the returned type has no method that changes its true size.
        unsafe { bindings::wg_skb_pass_owner(self.as_raw(), original.as_raw(), last) };
        self.0
    }
}
