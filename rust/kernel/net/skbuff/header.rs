// SPDX-License-Identifier: GPL-2.0

//! The network header of a packet, and its protocol.

use super::SkBuff;
use crate::{
    compat::u32_as_usize,
    task::MAX_BY_VALUE, //
};

/// [`SkBuff::protocol`] of an IPv4 packet.
pub const IPV4: u16 = 0x0800;

/// [`SkBuff::protocol`] of an IPv6 packet.
pub const IPV6: u16 = 0x86dd;

/// Length of an IPv4 header without options.
pub(super) const IPV4_HEADER_LEN: u32 = 20;

/// Length of an IPv6 header without extensions.
pub(super) const IPV6_HEADER_LEN: u32 = 40;

impl SkBuff {
    /// Returns the protocol of the buffer (`skb->protocol`, an Ethertype).
    #[inline]
    pub fn protocol(&self) -> u16 {
        u16::from_be(self.headers().protocol)
    }

    /// Sets the protocol of the buffer.
    #[inline]
    pub fn set_protocol(&mut self, protocol: u16) {
        self.headers_mut().protocol = protocol.to_be();
    }

    /// Returns the actual protocol of the network header: [`IPV4`], [`IPV6`] or zero.
    #[inline]
    pub fn real_protocol(&self) -> u16 {
        let version = match self.network_header::<{ u32_as_usize(IPV4_HEADER_LEN) }>() {
            Some([first, ..]) => first >> 4,
            None => 0,
        };
        match version {
            4 => IPV4,
            6 if self.has_header(self.headers().network_header, IPV6_HEADER_LEN) => IPV6,
            _ => 0,
        }
    }

    /// Returns the first `N` bytes of the network header, at most [`MAX_BY_VALUE`], if they are linear.
    #[inline]
    pub fn network_header<const N: usize>(&self) -> Option<[u8; N]> {
        const { assert!(N <= MAX_BY_VALUE) };
        self.header_at(self.headers().network_header)
    }

    /// Returns whether there are `len` bytes of linear data or headroom `offset` bytes from the head.
    #[inline]
    pub(super) fn has_header(&self, offset: u16, len: u32) -> bool {
        u32::from(offset).wrapping_add(len) <= self.offset_of_tail()
    }

    /// Returns `N` bytes that begin `offset` bytes from the head, which may be in the headroom.
    #[inline]
    pub(super) fn header_at<const N: usize>(&self, offset: u16) -> Option<[u8; N]> {
        if !self.has_header(offset, u32::try_from(N).ok()?) {
            return None;
        }
        let bytes: *const [u8; N] = self.raw().head.wrapping_add(usize::from(offset)).cast();
        // SAFETY: The bytes lie between the head and the tail, all of which is allocated, by C, and so
        // holds some value or other.
        Some(unsafe { bytes.read() })
    }

    /// Returns the DS field of the network header, or zero if that is not of the buffer's protocol.
    #[inline]
    pub fn ds_field(&self) -> u8 {
        match (self.protocol(), self.network_header()) {
            (IPV4, Some([_, tos])) => tos,
            (IPV6, Some([first, second])) => first << 4 | second >> 4,
            _ => 0,
        }
    }
}
