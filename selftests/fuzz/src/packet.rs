// SPDX-License-Identifier: GPL-2.0

//! Packets, made and taken apart as plainly as can be.

/// Returns the checksum of RFC 1071, word by word.
pub fn checksum<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u16 {
    let mut sum = 0u64;

    for part in parts {
        for pair in part.chunks(2) {
            sum += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Returns the checksum of a TCP segment or UDP datagram, whose own is counted too.
pub fn transport_checksum(packet: &[u8], transport: usize, protocol: u8) -> u16 {
    let addresses = if packet[0] >> 4 == 4 {
        &packet[12..20]
    } else {
        &packet[8..40]
    };
    let len = (packet.len() - transport) as u32;

    checksum([
        addresses,
        &len.to_be_bytes(),
        &[0, 0, 0, protocol],
        &packet[transport..],
    ])
}

/// Writes a number in network byte order.
pub fn put(packet: &mut [u8], offset: usize, value: u16) {
    packet[offset..offset + 2].copy_from_slice(&value.to_be_bytes());
}

/// Reads a number in network byte order.
pub fn get(packet: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes([packet[offset], packet[offset + 1]])
}

/// What is TCP, as a number of IP.
pub const TCP: u8 = 6;
/// What is UDP, as a number of IP.
pub const UDP: u8 = 17;

/// Where the headers of a TCP or UDP packet end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// IPv4, and not IPv6.
    pub v4: bool,
    /// TCP, and not UDP.
    pub tcp: bool,
    /// Where the transport header begins.
    pub transport: usize,
    /// Where the payload begins.
    pub payload: usize,
}

impl Layout {
    /// Finds the headers of a packet that is no fragment and has no extension headers.
    pub fn of(packet: &[u8]) -> Option<Self> {
        let v4 = match packet.first()? >> 4 {
            4 => true,
            6 => false,
            _ => return None,
        };
        let transport = match v4 {
            true => usize::from(packet[0] & 15) * 4,
            false => 40,
        };
        if transport < 20 || packet.len() < transport {
            return None;
        }
        if v4 && get(packet, 6) & 0x3fff != 0 {
            return None;
        }
        let tcp = match packet[if v4 { 9 } else { 6 }] {
            TCP => true,
            UDP => false,
            _ => return None,
        };
        let len = match tcp {
            true => usize::from(packet.get(transport + 12)? >> 4) * 4,
            false => 8,
        };
        let payload = transport + len;
        if tcp && len < 20 || packet.len() < payload {
            return None;
        }
        Some(Self {
            v4,
            tcp,
            transport,
            payload,
        })
    }

    /// Makes lengths and checksums of a packet right.
    pub fn complete(&self, packet: &mut [u8]) {
        let len = packet.len();

        if self.v4 {
            put(packet, 2, len as u16);
            put(packet, 10, 0);
            let sum = checksum([&packet[..self.transport]]);
            put(packet, 10, sum);
        } else {
            put(packet, 4, (len - 40) as u16);
        }
        if self.tcp {
            put(packet, self.transport + 16, 0);
            let sum = transport_checksum(packet, self.transport, TCP);
            put(packet, self.transport + 16, sum);
        } else {
            put(packet, self.transport + 4, (len - self.transport) as u16);
            put(packet, self.transport + 6, 0);
            let sum = transport_checksum(packet, self.transport, UDP);
            // No checksum is what zero means.
            put(
                packet,
                self.transport + 6,
                if sum == 0 { 0xffff } else { sum },
            );
        }
    }
}

/// Segments a packet with its payload, `size` bytes of that at a time, as its sender would have.
pub fn segment(packet: &[u8], size: usize, keep_cwr: bool) -> Option<Vec<Vec<u8>>> {
    let layout = Layout::of(packet)?;
    let (headers, payload) = packet.split_at(layout.payload);
    if size == 0 || payload.len() <= size || headers.len() + size > 65535 {
        return None;
    }
    let parts: Vec<_> = payload.chunks(size).collect();
    let last = parts.len() - 1;

    let segment = |(index, part): (usize, &&[u8])| {
        let mut segment = [headers, part].concat();
        if layout.v4 {
            let id = get(headers, 4).wrapping_add(index as u16);
            put(&mut segment, 4, id);
        }
        if layout.tcp {
            let tcp = &mut segment[layout.transport..];
            let seq = u32::from_be_bytes(tcp[4..8].try_into().expect("4 bytes"));
            let seq = seq.wrapping_add((index * size) as u32);
            tcp[4..8].copy_from_slice(&seq.to_be_bytes());
            if index < last {
                tcp[13] &= !0x09;
            }
            if index > 0 && !keep_cwr {
                tcp[13] &= !0x80;
            }
        }
        layout.complete(&mut segment);
        segment
    };
    Some(parts.iter().enumerate().map(segment).collect())
}
