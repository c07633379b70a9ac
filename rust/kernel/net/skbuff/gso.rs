// SPDX-License-Identifier: GPL-2.0

//! GSO packets, which are to be segmented.

use super::{
    SkBuff,
    SkBuffList, //
};
use core::ptr::NonNull;
use kernel::{
    error::from_err_ptr,
    prelude::*, //
};
use wg_bindings as bindings;

/// Length of a TCP header without options.
const TCP_HEADER_LEN: u32 = 20;

/// Maximum offset of a header from the start of a buffer's memory.
const MAX_OFFSET: u32 = 0xffff;

/// How a GSO packet is to be segmented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gso {
    /// Whether it is TCP; otherwise it is UDP.
    pub tcp: bool,
    /// Whether it uses accurate ECN, where CWR belongs to each segment.
    pub accurate_ecn: bool,
    /// Maximum bytes of payload of a segment (`gso_size`).
    pub size: u32,
    /// Where the transport header begins, from the start of the data.
    pub transport: u32,
}

impl SkBuff {
    /// Returns whether this is a GSO packet, to be segmented into several.
    #[inline]
    pub fn is_gso(&self) -> bool {
        // SAFETY: The shared info lies at the end of every buffer, and is aligned.
        unsafe { (*self.shared_info()).gso_size != 0 }
    }

    /// Returns how the packet is to be segmented, if that takes no more than copying its headers and
    /// changing some fields in them.
    #[inline]
    pub fn plain_gso(&self) -> Option<Gso> {
        let (mut tcp, mut accurate_ecn) = (false, false);
        let (mut size, mut transport) = (0, 0);
        // SAFETY: The buffer is valid, and the rest is for the results.
        let plain = unsafe {
            bindings::wg_skb_plain_gso(
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

    /// Segments a [plain](Self::plain_gso) GSO packet, as [`OutgoingSkBuff::segment`] does any.
    ///
    /// [`OutgoingSkBuff::segment`]: super::OutgoingSkBuff::segment
    ///
    /// # Errors
    ///
    /// Gives the buffer back with the reason for which it cannot be segmented: [`EINVAL`] if it is not
    /// plain.
    pub fn segment(self) -> Result<SkBuffList, (Self, Error)> {
        match self.plain_gso() {
            // SAFETY: C looks at the device for packets that are within others, and for protocols other than
            // IP, which this is not.
            Some(_) => unsafe { self.segment_gso() },
            None => Err((self, EINVAL)),
        }
    }

    /// Segments a GSO packet.
    ///
    /// # Safety
    ///
    /// Its device must be alive, unless it is a plain one, which needs none.
    pub(super) unsafe fn segment_gso(self) -> Result<SkBuffList, (Self, Error)> {
        // SAFETY: By the type invariants, the buffer is valid and not shared. The rest holds by the
        // safety requirements of this function.
        let segments = unsafe { bindings::__skb_gso_segment(self.as_raw(), 0, true) };
        let mut next = match from_err_ptr(segments) {
            // It is not to be segmented, or could not be.
            Ok(segments) if segments.is_null() || segments == self.as_raw() => {
                return Err((self, EINVAL));
            }
            Ok(segments) => segments,
            Err(error) => return Err((self, error)),
        };
        self.consume();
        let mut list = SkBuffList::new();
        while let Some(segment) = NonNull::new(next) {
            // SAFETY: The segments are ours, and linked by `next`.
            next = unsafe { (*segment.as_ptr()).__bindgen_anon_1.__bindgen_anon_1.next };
            // SAFETY: The segment is ours, and not shared, as it was just made. What it has of its
            // original's destination is alive still.
            list.push_back(unsafe { Self::from_raw(segment.as_ptr()) });
        }
        Ok(list)
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

    /// Returns the payload size of the datagrams (`gso_size`), if this is a UDP GSO packet.
    #[inline]
    pub fn datagram_size(&self) -> Option<u32> {
        if !self.is_gso() {
            return None;
        }
        // SAFETY: The buffer is valid.
        let size = unsafe { bindings::wg_skb_datagram_size(self.as_raw()) };
        (size > 0).then_some(size)
    }

    /// Marks the packet's TCP checksum as covering only the pseudo header so far (`CHECKSUM_PARTIAL`),
    /// with the TCP header at `offset`.
    ///
    /// Returns whether there is a header, not too far from the start of the buffer's memory.
    #[inline]
    pub fn set_tcp_partial(&mut self, offset: u32) -> bool {
        let complete = offset
            .checked_add(TCP_HEADER_LEN)
            .filter(|end| *end <= self.linear_len())
            .and_then(|end| end.checked_add(self.headroom()))
            .is_some_and(|end| end <= MAX_OFFSET);
        if complete {
            // SAFETY: The buffer is valid and not shared, and has a TCP header.
            unsafe { bindings::wg_skb_set_tcp_partial(self.as_raw(), offset) };
        }
        complete
    }
}
