// SPDX-License-Identifier: GPL-2.0

//! The IP header fields that the tunnel reads in the packets that it carries, and ECN.

use crate::allowed_ips::Addr;

/// Bytes of an IPv4 header without options.
const V4_HEADER_LEN: usize = 20;
/// Bytes of an IPv6 header without extensions.
pub const V6_HEADER_LEN: usize = 40;

/// Bits of the DS field that are ECN.
const ECN_MASK: u8 = 0b11;
/// ECT(1): ECN-capable transport, second codepoint.
const ECN_ECT_1: u8 = 0b01;
/// ECT(0): ECN-capable transport.
const ECN_ECT_0: u8 = 0b10;
/// Congestion experienced.
const ECN_CE: u8 = 0b11;

/// Returns the version of the packet whose first byte is given.
#[inline]
const fn version(first: u8) -> u8 {
    first >> 4
}

/// What is wrong with a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is neither IPv4 nor IPv6, or too short for its header.
    Type,
    /// Its header has a length that is not possible.
    Size,
    /// Its source is not an allowed IP of the peer that it is from.
    Source(Addr),
}

/// The header fields that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Source.
    pub source: Addr,
    /// Destination.
    pub destination: Addr,
    /// Length of the packet, header included, as the header tells it.
    pub total_len: u32,
    /// Length of the header itself, without options or extensions.
    pub fixed_len: u32,
    /// DS field.
    pub tos: u8,
}

impl Header {
    /// Reads the header of a packet to be sent, whose length field is trusted.
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
    pub fn parse(head: &[u8], len: usize) -> Result<Self, Refusal> {
        let header = Self::read(head).ok_or(Refusal::Type)?;
        let claimed = usize::try_from(header.total_len).map_err(|_| Refusal::Size)?;

        // The length in an IPv6 header does not include the header, so it cannot be too short.
        if claimed < V4_HEADER_LEN || claimed > len {
            return Err(Refusal::Size);
        }
        Ok(header)
    }

    /// Reads an IPv4 header.
    #[inline]
    fn read_v4(head: &[u8; V4_HEADER_LEN]) -> Self {
        let [_, tos, len0, len1, _, _, _, _, _, _, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *head;

        Self {
            source: Addr::V4([s0, s1, s2, s3]),
            destination: Addr::V4([d0, d1, d2, d3]),
            total_len: u32::from(u16::from_be_bytes([len0, len1])),
            fixed_len: 20,
            tos,
        }
    }

    /// Reads an IPv6 header.
    #[inline]
    fn read_v6(head: &[u8; V6_HEADER_LEN]) -> Option<Self> {
        let [first, second, _, _, len0, len1, _, _, addrs @ ..] = head;
        let (&source, addrs) = addrs.split_first_chunk()?;
        let (&destination, _) = addrs.split_first_chunk()?;

        Some(Self {
            source: Addr::V6(source),
            destination: Addr::V6(destination),
            total_len: u32::from(u16::from_be_bytes([*len0, *len1])).wrapping_add(40),
            fixed_len: 40,
            tos: first << 4 | second >> 4,
        })
    }
}

/// Returns the DS field of the outer header for an inner one.
///
/// Only ECN is copied: nothing else may tell the packets of one tunnel apart.
#[inline]
pub const fn ecn_encap(inner: u8) -> u8 {
    match inner & ECN_MASK {
        ECN_CE => ECN_ECT_0,
        ecn => ecn,
    }
}

/// Returns the DS field that the inner header of a received packet is to have, if it changes.
///
/// An inner packet of a transport that is not ECN-capable is left alone, even if the outer one was
/// marked.
#[inline]
pub const fn ecn_decap(outer: u8, inner: u8) -> Option<u8> {
    match (outer & ECN_MASK, inner & ECN_MASK) {
        (ECN_CE, ECN_ECT_0 | ECN_ECT_1) => Some(inner | ECN_CE),
        (ECN_ECT_1, ECN_ECT_0) => Some(inner & !ECN_MASK | ECN_ECT_1),
        _ => None,
    }
}

/// Replaces the DS field of a packet, given its beginning, and updates the header checksum.
#[cold]
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

#[cfg(test)]
mod tests {
    use std::{
        vec,
        vec::Vec, //
    };

    use proptest::prelude::*;

    use super::*;

    /// Returns an IPv4 packet without options, its checksum right.
    fn v4(tos: u8, total_len: u16, len: usize) -> Vec<u8> {
        let mut packet = vec![0; len.max(20)];

        packet[..20].copy_from_slice(&[
            0x45, tos, 0, 0, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ]);
        packet[2..4].copy_from_slice(&total_len.to_be_bytes());
        let sum = !sum(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.truncate(len);
        packet
    }

    /// Returns an IPv6 packet.
    fn v6(tos: u8, payload_len: u16, len: usize) -> Vec<u8> {
        let mut packet = vec![0; len.max(40)];

        packet[..8].copy_from_slice(&[0x60 | tos >> 4, tos << 4 | 0xa, 0xbc, 0xde, 0, 0, 17, 64]);
        packet[4..6].copy_from_slice(&payload_len.to_be_bytes());
        packet[8..24].fill(1);
        packet[24..40].fill(2);
        packet.truncate(len);
        packet
    }

    /// Returns the one's complement sum of the words of a header.
    fn sum(header: &[u8]) -> u16 {
        let sum: u32 = header
            .chunks(2)
            .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
            .sum();

        (sum % 0xffff) as u16
    }

    /// Parses a packet of which no more is at hand than must be.
    fn parse(packet: &[u8]) -> Result<Header, Refusal> {
        Header::parse(&packet[..packet.len().min(40)], packet.len())
    }

    #[test]
    fn reads_what_matters() {
        let header = parse(&v4(0xb9, 100, 112)).unwrap();

        assert_eq!(header.source, Addr::V4([10, 0, 0, 1]));
        assert_eq!(header.destination, Addr::V4([10, 0, 0, 2]));
        assert_eq!(header.total_len, 100);
        assert_eq!(header.tos, 0xb9);
        assert_eq!(Header::read(&v4(0xb9, 100, 112)), Some(header));

        let header = parse(&v6(0xb9, 60, 112)).unwrap();

        assert_eq!(header.source, Addr::V6([1; 16]));
        assert_eq!(header.destination, Addr::V6([2; 16]));
        assert_eq!(header.total_len, 100);
        assert_eq!(header.tos, 0xb9);
        assert_eq!(Header::read(&v6(0xb9, 60, 112)), Some(header));
    }

    #[test]
    fn refuses_other_types() {
        for len in 0..100 {
            for first in 0..=255u8 {
                let mut packet = vec![0; len];
                let enough = match first >> 4 {
                    4 => len >= 20,
                    6 => len >= 40,
                    _ => false,
                };

                if let Some(byte) = packet.first_mut() {
                    *byte = first;
                }
                assert_eq!(
                    parse(&packet) != Err(Refusal::Type),
                    enough,
                    "{len} {first:#x}"
                );
                assert_eq!(Header::read(&packet).is_some(), enough);
            }
        }
    }

    #[test]
    fn refuses_lies_about_size() {
        for len in [20, 21, 40, 100, 1500, 65535] {
            for claimed in [0, 19, 20, 21, 40, 41, 99, 100, 101, 1500, 65535u16] {
                let ok = claimed >= 20 && usize::from(claimed) <= len;

                assert_eq!(parse(&v4(0, claimed, len)).is_ok(), ok, "{len} {claimed}");
                if !ok {
                    assert_eq!(parse(&v4(0, claimed, len)), Err(Refusal::Size));
                }
            }
        }
        for len in [40, 41, 100, 1500, 65535, 65575] {
            for claimed in [0, 1, 60, 61, 1460, 65495, 65535u16] {
                let ok = usize::from(claimed) + 40 <= len;

                assert_eq!(parse(&v6(0, claimed, len)).is_ok(), ok, "{len} {claimed}");
                if !ok {
                    assert_eq!(parse(&v6(0, claimed, len)), Err(Refusal::Size));
                }
            }
        }
    }

    #[test]
    fn outer_header_shows_congestion_notification_alone() {
        for inner in 0..=255 {
            let expected = [0, ECN_ECT_1, ECN_ECT_0, ECN_ECT_0];

            assert_eq!(ecn_encap(inner), expected[usize::from(inner & 3)]);
        }
    }

    #[test]
    fn inner_header_learns_of_congestion() {
        // By the inner, then by the outer ECN: not-ECT, ECT(1), ECT(0), CE.
        let expected: [[u8; 4]; 4] = [[0, 0, 0, 0], [1, 1, 1, 3], [2, 1, 2, 3], [3, 3, 3, 3]];

        for inner in 0..=255u8 {
            for outer in 0..=255u8 {
                let ecn = expected[usize::from(inner & 3)][usize::from(outer & 3)];
                let changed = inner & !3 | ecn;

                assert_eq!(
                    ecn_decap(outer, inner),
                    (changed != inner).then_some(changed),
                    "{outer:#x} {inner:#x}"
                );
            }
        }
    }

    #[test]
    fn replaces_the_dsfield() {
        for old in 0..=255 {
            for new in 0..=255 {
                let mut packet = v4(old, 60, 60);
                set_dsfield(&mut packet, new);
                assert_eq!(packet, v4(new, 60, 60), "{old:#x} {new:#x}");

                let mut packet = v6(old, 20, 60);
                set_dsfield(&mut packet, new);
                assert_eq!(packet, v6(new, 20, 60), "{old:#x} {new:#x}");
            }
        }
    }

    #[test]
    fn carries_all_the_way() {
        for check in (0..600u16).chain(0xff00..0xffff) {
            let mut header = v4(0, 60, 20);

            // The identification makes up for the rest.
            header[4..6].fill(0);
            header[10..12].fill(0);
            let rest = u32::from(!check) + 0xffff - u32::from(sum(&header));
            header[4..6].copy_from_slice(&((rest % 0xffff) as u16).to_be_bytes());
            header[10..12].copy_from_slice(&check.to_be_bytes());
            assert_eq!(sum(&header), 0);

            for tos in 0..=255 {
                set_dsfield(&mut header, tos);
                assert_eq!(sum(&header), 0, "{check:#x} {tos:#x}");
            }
        }
    }

    #[test]
    fn leaves_alone_what_is_no_packet() {
        for packet in [&[] as &[u8], &[0x45; 11], &[0x65; 1], &[0x55; 60]] {
            let mut changed = packet.to_vec();

            set_dsfield(&mut changed, 3);
            assert_eq!(changed, packet);
        }
    }

    proptest! {
        #[test]
        fn checksums_stay_right(mut header: [u8; 20], new: u8) {
            header[0] = 0x45;
            header[10..12].fill(0);
            let check = !sum(&header);
            header[10..12].copy_from_slice(&check.to_be_bytes());
            prop_assert_eq!(sum(&header), 0);

            set_dsfield(&mut header, new);
            prop_assert_eq!(header[1], new);
            prop_assert_eq!(sum(&header), 0);
        }
    }
}
