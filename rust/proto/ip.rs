// SPDX-License-Identifier: GPL-2.0

//! What the tunnel looks at in the packets that it carries.

use crate::allowed_ips::Addr;

/// Bytes of an IPv4 header without options.
pub const V4_HEADER_LEN: usize = 20;
/// Bytes of an IPv6 header without extensions.
pub const V6_HEADER_LEN: usize = 40;

/// Bits of the DS field that are congestion notification.
pub const ECN_MASK: u8 = 0b11;
/// The sender does not understand congestion notification.
pub const ECN_NOT_ECT: u8 = 0b00;
/// The sender understands congestion notification, second form.
pub const ECN_ECT_1: u8 = 0b01;
/// The sender understands congestion notification.
pub const ECN_ECT_0: u8 = 0b10;
/// There was congestion.
pub const ECN_CE: u8 = 0b11;

/// Returns the version of the packet whose first byte is given.
#[inline]
pub const fn version(first: u8) -> u8 {
    first >> 4
}

/// What is wrong with a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It is neither IPv4 nor IPv6, or too short for its header.
    Type,
    /// Its header tells of another size than it can have.
    Size,
}

/// The fields of a header that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// IPv4.
    V4 {
        /// Source.
        src: [u8; 4],
        /// Destination.
        dst: [u8; 4],
        /// Length of the packet, header included, as the header tells it.
        total_len: u32,
        /// DS field.
        tos: u8,
    },
    /// IPv6.
    V6 {
        /// Source.
        src: [u8; 16],
        /// Destination.
        dst: [u8; 16],
        /// Length of the packet, header included, as the header tells it.
        total_len: u32,
        /// DS field.
        tos: u8,
    },
}

impl Header {
    /// Reads the header of a packet to be sent, which is trusted to be as long as it says.
    ///
    /// `head` is the beginning of the packet: 40 bytes, or all of it if it is shorter.
    #[inline]
    pub fn read(head: &[u8]) -> Option<Self> {
        match version(*head.first()?) {
            4 => head.first_chunk().map(Self::read_v4),
            6 => head.first_chunk().and_then(Self::read_v6),
            _ => None,
        }
    }

    /// Reads the header of a received packet, `len` bytes long.
    ///
    /// `head` is the beginning of the packet: 40 bytes, or all of it if it is shorter. What follows
    /// [`Self::total_len`] is padding.
    #[inline]
    pub fn parse(head: &[u8], len: usize) -> Result<Self, Malformed> {
        let header = Self::read(head).ok_or(Malformed::Type)?;
        let claimed = usize::try_from(header.total_len()).map_err(|_| Malformed::Size)?;

        // An IPv6 header cannot tell of less than itself.
        if claimed < V4_HEADER_LEN || claimed > len {
            return Err(Malformed::Size);
        }
        Ok(header)
    }

    /// Returns the source.
    #[inline]
    pub const fn source(&self) -> Addr {
        match *self {
            Self::V4 { src, .. } => Addr::V4(src),
            Self::V6 { src, .. } => Addr::V6(src),
        }
    }

    /// Returns the destination.
    #[inline]
    pub const fn destination(&self) -> Addr {
        match *self {
            Self::V4 { dst, .. } => Addr::V4(dst),
            Self::V6 { dst, .. } => Addr::V6(dst),
        }
    }

    /// Returns the length of the packet, header included, as the header tells it.
    #[inline]
    pub const fn total_len(&self) -> u32 {
        match *self {
            Self::V4 { total_len, .. } | Self::V6 { total_len, .. } => total_len,
        }
    }

    /// Returns the DS field.
    #[inline]
    pub const fn tos(&self) -> u8 {
        match *self {
            Self::V4 { tos, .. } | Self::V6 { tos, .. } => tos,
        }
    }

    /// Reads an IPv4 header.
    #[inline]
    fn read_v4(head: &[u8; V4_HEADER_LEN]) -> Self {
        let [_, tos, len0, len1, _, _, _, _, _, _, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *head;

        Self::V4 {
            src: [s0, s1, s2, s3],
            dst: [d0, d1, d2, d3],
            total_len: u32::from(u16::from_be_bytes([len0, len1])),
            tos,
        }
    }

    /// Reads an IPv6 header.
    #[inline]
    fn read_v6(head: &[u8; V6_HEADER_LEN]) -> Option<Self> {
        let [first, second, _, _, len0, len1, _, _, addrs @ ..] = head;
        let (&src, addrs) = addrs.split_first_chunk()?;
        let (&dst, _) = addrs.split_first_chunk()?;

        Some(Self::V6 {
            src,
            dst,
            total_len: u32::from(u16::from_be_bytes([*len0, *len1])).wrapping_add(40),
            tos: first << 4 | second >> 4,
        })
    }
}

/// Returns the DS field of the outer header for an inner one.
///
/// Only congestion notification shows outside: nothing else tells packets of one tunnel apart.
#[inline]
pub const fn ecn_encap(inner: u8) -> u8 {
    match inner & ECN_MASK {
        ECN_CE => ECN_ECT_0,
        ecn => ecn,
    }
}

/// Returns the DS field that the inner header of a received packet is to have, if it is another.
///
/// An inner packet whose sender does not understand congestion notification stays as it is,
/// whatever happened to the outer one.
#[inline]
pub const fn ecn_decap(outer: u8, inner: u8) -> Option<u8> {
    match (outer & ECN_MASK, inner & ECN_MASK) {
        (ECN_CE, ECN_ECT_0 | ECN_ECT_1) => Some(inner | ECN_CE),
        (ECN_ECT_1, ECN_ECT_0) => Some(inner & !ECN_MASK | ECN_ECT_1),
        _ => None,
    }
}

/// Replaces the DS field in the beginning of a packet, of which the checksum follows.
#[inline]
pub fn set_dsfield(head: &mut [u8], tos: u8) {
    match head {
        [first, second, ..] if version(*first) == 6 => {
            *first = *first & 0xf0 | tos >> 4;
            *second = *second & 0x0f | tos << 4;
        }
        [first, old, _, _, _, _, _, _, _, _, check0, check1, ..] if version(*first) == 4 => {
            // RFC 1624, equation 3; the DS field is the low byte of its word.
            let sum = u32::from(!u16::from_be_bytes([*check0, *check1]))
                .wrapping_add(u32::from(!u16::from_be_bytes([*first, *old])))
                .wrapping_add(u32::from(u16::from_be_bytes([*first, tos])));
            let [_, carry, sum0, sum1] = sum.to_be_bytes();
            let (sum, carried) = u16::from_be_bytes([sum0, sum1]).overflowing_add(u16::from(carry));

            [*check0, *check1] = (!sum.wrapping_add(u16::from(carried))).to_be_bytes();
            *old = tos;
        }
        _ => {}
    }
}
