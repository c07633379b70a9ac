// SPDX-License-Identifier: GPL-2.0

//! Merging TCP segments into a GSO packet, as GRO does.
//!
//! The inverse of [`segment`](crate::segment), under the conditions that the kernel has for it:
//! consecutive segments of a TCP connection, which differ only in fields that are computed anew when
//! the GSO packet is segmented again.

use crate::{
    checksum::Sum,
    segment::{
        complete_ip,
        copy,
        get,
        put,
        FRAGMENT,
        IPV4_LEN,
        IPV6_LEN,
        MAX_HEADERS,
        TCP,
        TCP_LEN, //
    }, //
};

/// TCP flags that the last segment may have, which the GSO packet then has, too: FIN, PSH.
const LAST: u8 = 0x09;
/// TCP flags that no segment may have: SYN, RST, URG.
const NEVER: u8 = 0x26;
/// TCP flag CWR.
const CWR: u8 = 0x80;

/// Maximum length of a GSO packet.
const MAX_LEN: usize = 65535;

/// A GSO packet that segments are added to.
pub struct Flow {
    headers: [u8; MAX_HEADERS],
    layout: Layout,
    /// Bytes of payload of each segment except the last.
    size: usize,
    payload_len: usize,
    count: u16,
    closed: bool,
}

/// Where the headers of a TCP segment end.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Layout {
    /// End of the network header.
    ip: usize,
    /// End of the transport header.
    tcp: usize,
}

impl Flow {
    /// Starts with a packet, if others may follow it.
    #[inline]
    pub fn start(packet: &[u8]) -> Option<Self> {
        let layout = Layout::of(packet)?;
        let payload_len = packet.len().checked_sub(layout.tcp)?;
        let flags = *packet.get(layout.ip.checked_add(13)?)?;
        if payload_len == 0 || flags & (NEVER | LAST) != 0 {
            return None;
        }
        let mut headers = [0; MAX_HEADERS];
        copy(headers.get_mut(..layout.tcp)?, packet.get(..layout.tcp)?);
        Some(Self {
            headers,
            layout,
            size: payload_len,
            payload_len,
            count: 1,
            closed: false,
        })
    }

    /// Appends a packet if it is the next segment; its headers, which are as long as those of the first,
    /// are no longer needed then.
    #[inline]
    pub fn append(&mut self, packet: &[u8]) -> bool {
        self.try_append(packet).is_some()
    }

    #[inline]
    fn try_append(&mut self, packet: &[u8]) -> Option<()> {
        let len = packet.len().checked_sub(self.layout.tcp)?;
        let payload_len = self.payload_len.checked_add(len)?;
        let fits = self.layout.tcp.checked_add(payload_len)? <= MAX_LEN;
        if self.closed || len == 0 || len > self.size || !fits {
            return None;
        }
        if Layout::of(packet)? != self.layout {
            return None;
        }
        let ours = self.headers.get(..self.layout.tcp)?;
        let (ip, tcp) = ours.split_at_checked(self.layout.ip)?;
        let (new_ip, new_tcp) = packet
            .get(..self.layout.tcp)?
            .split_at_checked(self.layout.ip)?;
        if !self.follows_ip(ip, new_ip)? || !self.follows_tcp(tcp, new_tcp)? {
            return None;
        }

        let new_flags = *new_tcp.get(13)? & LAST;
        *self.headers.get_mut(self.layout.ip.checked_add(13)?)? |= new_flags;
        self.closed = len < self.size || new_flags != 0;
        self.payload_len = payload_len;
        self.count = self.count.checked_add(1)?;
        Some(())
    }

    /// Returns whether a network header may follow ours.
    #[inline]
    fn follows_ip(&self, ours: &[u8], new: &[u8]) -> Option<bool> {
        let same = |from: usize, to: usize| ours.get(from..to) == new.get(from..to);
        if ours.len() == IPV4_LEN {
            let id = get(ours, 4)?.wrapping_add(self.count);
            Some(same(0, 2) && same(6, 10) && same(12, 20) && get(new, 4)? == id)
        } else {
            Some(same(0, 4) && same(6, 40))
        }
    }

    /// Returns whether a TCP header may follow ours.
    #[inline]
    fn follows_tcp(&self, ours: &[u8], new: &[u8]) -> Option<bool> {
        let same = |from: usize, to: usize| ours.get(from..to) == new.get(from..to);
        let seq = |header: &[u8]| {
            let field = header.get(4..)?.first_chunk()?;
            Some(u32::from_be_bytes(*field))
        };
        let next = seq(ours)?.wrapping_add(u32::try_from(self.payload_len).ok()?);
        let flags = (*ours.get(13)? ^ *new.get(13)?) & !LAST;
        Some(
            seq(new)? == next
                && flags == 0
                && same(0, 4)
                && same(8, 13)
                && same(14, 16)
                && same(18, ours.len()),
        )
    }

    /// Returns whether no further packet can follow.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns the number of packets.
    #[inline]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Returns how many bytes of payload each has, except the last.
    #[inline]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns how many bytes of headers each has.
    #[inline]
    pub fn headers_len(&self) -> usize {
        self.layout.tcp
    }

    /// Returns whether CWR is set, in which case all its packets have it.
    #[inline]
    pub fn has_cwr(&self) -> bool {
        let flags = self
            .headers
            .get(self.layout.ip..)
            .and_then(|tcp| tcp.get(13));
        flags.is_some_and(|flags| flags & CWR != 0)
    }

    /// Returns the headers of the first packet, or, if there are several, of the GSO packet. The TCP
    /// checksum of the latter covers the pseudo header only (`CHECKSUM_PARTIAL`).
    #[inline]
    pub fn headers(&mut self) -> &[u8] {
        if self.count > 1 {
            let _ = self.complete();
        }
        self.headers.get(..self.layout.tcp).unwrap_or_default()
    }

    fn complete(&mut self) -> Option<()> {
        let headers = self.headers.get_mut(..self.layout.tcp)?;
        let (ip, tcp) = headers.split_at_mut_checked(self.layout.ip)?;
        let tcp_len = u16::try_from(tcp.len().checked_add(self.payload_len)?).ok()?;
        let pseudo = complete_ip(ip, TCP, tcp_len, Sum::new())?;
        put(tcp, 16, pseudo.to_bytes())
    }
}

impl Layout {
    /// Finds the headers of a TCP packet that is as long as its header says, without IP options.
    #[inline]
    fn of(packet: &[u8]) -> Option<Self> {
        let ip = match *packet.first()? {
            0x45 => {
                let header = packet.get(..IPV4_LEN)?;
                let whole = get(header, 6)? & FRAGMENT == 0;
                let intact = Sum::new().with_bytes(header).to_bytes() == [0xff; 2];
                let len = usize::from(get(header, 2)?);
                if *header.get(9)? != TCP || !whole || !intact || len != packet.len() {
                    return None;
                }
                IPV4_LEN
            }
            first if first >> 4 == 6 => {
                let len = usize::from(get(packet, 4)?).checked_add(IPV6_LEN)?;
                if *packet.get(6)? != TCP || len != packet.len() {
                    return None;
                }
                IPV6_LEN
            }
            _ => return None,
        };
        let words = usize::from(*packet.get(ip.checked_add(12)?)? >> 4);
        let tcp_len = words.checked_mul(4).filter(|len| *len >= TCP_LEN)?;
        let flags = *packet.get(ip.checked_add(13)?)?;
        let tcp = ip.checked_add(tcp_len)?;
        (tcp <= packet.len() && flags & NEVER == 0).then_some(Self { ip, tcp })
    }
}

#[cfg(test)]
#[path = "merge/tests.rs"]
mod tests;
