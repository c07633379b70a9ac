// SPDX-License-Identifier: GPL-2.0

//! Segmentation of GSO packets.
//!
//! The stack passes a bulk transfer on in GSO packets, usually of up to 64 KB, whose headers are a template.
//! [`Plan`] makes the headers of each segment: the fields that differ and the checksums.

use crate::checksum::Sum;

/// Maximum length of the headers of a packet that is planned here.
pub const MAX_HEADERS: usize = 60 + 60;

/// Bytes of an IPv4 header without options.
pub(crate) const IPV4_LEN: usize = 20;
/// Bytes of an IPv6 header without extensions.
pub(crate) const IPV6_LEN: usize = 40;
/// Bytes of a TCP header without options.
pub(crate) const TCP_LEN: usize = 20;
/// Bytes of a UDP header.
const UDP_LEN: usize = 8;

/// Protocol number of TCP.
pub(crate) const TCP: u8 = 6;
/// Protocol number of UDP.
const UDP: u8 = 17;

/// TCP flags that only the last segment has: FIN and PSH.
const LAST_ONLY: u8 = 0x09;
/// TCP flag that only the first segment has: CWR.
const FIRST_ONLY: u8 = 0x80;
/// The more-fragments flag and the fragment offset.
pub(crate) const FRAGMENT: u16 = 0x3fff;

/// How the stack wants a packet to be segmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// Whether it is a TCP segment; otherwise it is a UDP datagram.
    pub tcp: bool,
    /// Maximum bytes of payload of a segment (`gso_size`).
    pub size: usize,
    /// Where the transport header begins.
    pub transport: usize,
    /// Whether every segment keeps CWR, as with accurate ECN, and not only the first.
    pub keep_cwr: bool,
}

/// The segments of a GSO packet.
#[derive(Clone, Copy)]
pub struct Plan {
    headers: [u8; MAX_HEADERS],
    headers_len: usize,
    payload_len: usize,
    count: usize,
    how: Segmentation,
}

/// A part of a packet's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins, from the start of the packet.
    pub offset: usize,
    /// How many bytes it has.
    pub len: usize,
}

impl Plan {
    /// Plans the segments of a packet of `len` bytes, of which `head` is the beginning: at least
    /// [`MAX_HEADERS`] bytes, or all of it.
    ///
    /// Returns [`None`] if this cannot segment it: it has extension headers, is a fragment, or is no
    /// larger than one segment.
    pub fn new(head: &[u8], len: usize, how: Segmentation) -> Option<Self> {
        let protocol = if how.tcp { TCP } else { UDP };
        let (ip_len, next) = match *head.first()? >> 4 {
            4 => {
                let words = usize::from(*head.first()? & 0xf);
                let fragment = u16::from_be_bytes([*head.get(6)?, *head.get(7)?]);
                if words < IPV4_LEN / 4 || fragment & FRAGMENT != 0 {
                    return None;
                }
                (words.checked_mul(4)?, *head.get(9)?)
            }
            6 => (IPV6_LEN, *head.get(6)?),
            _ => return None,
        };
        if next != protocol || ip_len != how.transport {
            return None;
        }
        let transport_len = if how.tcp {
            let words = usize::from(*head.get(ip_len.checked_add(12)?)? >> 4);
            words.checked_mul(4).filter(|len| *len >= TCP_LEN)?
        } else {
            UDP_LEN
        };
        let headers_len = ip_len.checked_add(transport_len)?;
        let payload_len = len.checked_sub(headers_len)?;
        let most = headers_len.checked_add(how.size)?;
        if how.size == 0 || payload_len <= how.size || most > usize::from(u16::MAX) {
            return None;
        }

        let mut headers = [0; MAX_HEADERS];
        copy(headers.get_mut(..headers_len)?, head.get(..headers_len)?);
        Some(Self {
            headers,
            headers_len,
            payload_len,
            // Rounded up, as neither is zero.
            count: payload_len
                .wrapping_sub(1)
                .checked_div(how.size)?
                .wrapping_add(1),
            how,
        })
    }

    /// Returns the number of segments, at least two.
    #[inline]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns how many bytes of headers each segment has.
    #[inline]
    pub fn headers_len(&self) -> usize {
        self.headers_len
    }

    /// Returns the part of the payload that a segment carries.
    #[inline]
    pub fn part(&self, index: usize) -> Option<Part> {
        let start = index.checked_mul(self.how.size)?;
        let left = self
            .payload_len
            .checked_sub(start)
            .filter(|left| *left > 0)?;
        Some(Part {
            offset: start.checked_add(self.headers_len)?,
            len: left.min(self.how.size),
        })
    }

    /// Writes the headers of a segment to the start of `out`, given the sum of its payload.
    ///
    /// Returns whether there is such a segment, and room for its headers.
    #[inline]
    pub fn write_headers(&self, index: usize, payload: Sum, out: &mut [u8]) -> bool {
        self.try_write(index, payload, out).is_some()
    }

    #[inline]
    fn try_write(&self, index: usize, payload: Sum, out: &mut [u8]) -> Option<()> {
        let out = out.get_mut(..self.headers_len)?;
        copy(out, self.headers.get(..self.headers_len)?);
        let part_len = self.part(index)?.len;
        let (ip, transport) = out.split_at_mut_checked(self.how.transport)?;
        // In range, or there would be no plan.
        let transport_len = u16::try_from(transport.len().checked_add(part_len)?).ok()?;

        if *ip.first()? >> 4 == 4 {
            let id = get(ip, 4)?.wrapping_add(low_half(index));
            put(ip, 4, id.to_be_bytes())?;
        }
        let pseudo = complete_ip(ip, self.protocol(), transport_len, payload)?;
        if self.how.tcp {
            self.patch_tcp(index, transport)?;
            put(transport, 16, [0; 2])?;
            let checksum = pseudo.with_bytes(transport).checksum();
            put(transport, 16, checksum)
        } else {
            put(transport, 4, transport_len.to_be_bytes())?;
            put(transport, 6, [0; 2])?;
            // Zero would mean that there is no checksum.
            let checksum = match pseudo.with_bytes(transport).checksum() {
                [0, 0] => [0xff; 2],
                checksum => checksum,
            };
            put(transport, 6, checksum)
        }
    }

    /// Sets the fields of a TCP header that differ between segments, except for the checksum.
    #[inline]
    fn patch_tcp(&self, index: usize, header: &mut [u8]) -> Option<()> {
        let fields = header.first_chunk_mut::<TCP_LEN>()?;
        let [_, _, _, _, s0, s1, s2, s3, _, _, _, _, _, flags, ..] = fields;
        let passed = u32::try_from(index.checked_mul(self.how.size)?).ok()?;
        let seq = u32::from_be_bytes([*s0, *s1, *s2, *s3]).wrapping_add(passed);
        [*s0, *s1, *s2, *s3] = seq.to_be_bytes();
        if index.checked_add(1)? < self.count {
            *flags &= !LAST_ONLY;
        }
        if index > 0 && !self.how.keep_cwr {
            *flags &= !FIRST_ONLY;
        }
        Some(())
    }

    /// Returns the number of the transport protocol.
    #[inline]
    fn protocol(&self) -> u8 {
        if self.how.tcp {
            TCP
        } else {
            UDP
        }
    }
}

/// Completes the header of an IP packet that `len` more bytes follow: the length, and the checksum.
///
/// Adds the pseudo header of the transport protocol to `sum`.
#[inline]
pub(crate) fn complete_ip(ip: &mut [u8], protocol: u8, len: u16, sum: Sum) -> Option<Sum> {
    let addresses = if *ip.first()? >> 4 == 4 {
        let total_len = u16::try_from(ip.len()).ok()?.checked_add(len)?;
        put(ip, 2, total_len.to_be_bytes())?;
        put(ip, 10, [0; 2])?;
        let checksum = Sum::new().with_bytes(ip).checksum();
        put(ip, 10, checksum)?;
        ip.get(12..20)?
    } else {
        put(ip, 4, len.to_be_bytes())?;
        ip.get(8..40)?
    };
    let protocol = u16::from(protocol);
    Some(sum.with_bytes(addresses).with_word(protocol).with_word(len))
}

/// Copies as many bytes as fit.
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Reads a 16-bit field.
#[inline]
pub(crate) fn get(bytes: &[u8], offset: usize) -> Option<u16> {
    let field = bytes.get(offset..)?.first_chunk()?;
    Some(u16::from_be_bytes(*field))
}

/// Writes a 16-bit field.
#[inline]
pub(crate) fn put(bytes: &mut [u8], offset: usize, value: [u8; 2]) -> Option<()> {
    *bytes.get_mut(offset..)?.first_chunk_mut()? = value;
    Some(())
}

/// Returns the low 16 bits of a number.
#[inline]
const fn low_half(number: usize) -> u16 {
    let [low, high, ..] = number.to_le_bytes();
    u16::from_le_bytes([low, high])
}

#[cfg(test)]
#[path = "segment/tests.rs"]
mod tests;
