// SPDX-License-Identifier: GPL-2.0

//! Merging: a packet is merged if, and only if, it is what segmentation makes of the whole.

#![no_main]

use wg_fuzz::{
    fuzz_target,
    packet::{
        checksum,
        get,
        put,
        segment,
        transport_checksum,
        Layout,
        TCP, //
    },
    Bytes, //
};
use wg_proto::merge::Flow;

/// Makes a TCP segment.
fn compose(bytes: &mut Bytes<'_>, payload: usize) -> Vec<u8> {
    let v4 = bytes.flag();
    let mut packet = bytes.up_to(if v4 { 20 } else { 40 }).to_vec();
    let transport = if v4 { 20 } else { 40 };

    packet.resize(transport, 0);
    if v4 {
        packet[0] = 0x45;
        packet[6] &= 0xc0;
        packet[7] = 0;
        packet[9] = TCP;
    } else {
        packet[0] = packet[0] & 0xf | 0x60;
        packet[6] = TCP;
    }
    packet.extend(bytes.up_to(20));
    packet.resize(transport + 20, 0);
    let options = bytes.below(11);
    packet[transport + 12] = ((5 + options) << 4) as u8;
    packet[transport + 13] &= !0x2f;
    packet.resize(transport + 20 + 4 * options, 2);
    packet.resize(packet.len() + payload, bytes.u8());
    complete(&mut packet);
    packet
}

/// Makes lengths and checksums right, if it is a packet.
fn complete(packet: &mut [u8]) {
    if let Some(layout) = Layout::of(packet) {
        layout.complete(packet);
    }
}

/// Returns the segment that follows one.
fn next(packet: &[u8], payload: usize) -> Option<Vec<u8>> {
    let layout = Layout::of(packet).filter(|layout| layout.tcp)?;
    let mut next = packet[..layout.payload].to_vec();
    let seq = layout.transport + 4;
    let number = u32::from_be_bytes(next[seq..seq + 4].try_into().unwrap());
    let number = number.wrapping_add((packet.len() - layout.payload) as u32);

    next[seq..seq + 4].copy_from_slice(&number.to_be_bytes());
    if layout.v4 {
        let id = get(&next, 4).wrapping_add(1);
        put(&mut next, 4, id);
    }
    next.extend((0..payload).map(|i| i as u8));
    complete(&mut next);
    Some(next)
}

/// Returns whether a packet can be one of several: an intact TCP segment with data.
fn is_eligible(packet: &[u8]) -> bool {
    let Some(layout) = Layout::of(packet).filter(|layout| layout.tcp) else {
        return false;
    };
    let intact = if layout.v4 {
        layout.transport == 20
            && checksum([&packet[..20]]) == 0
            && usize::from(get(packet, 2)) == packet.len()
    } else {
        usize::from(get(packet, 4)) + 40 == packet.len()
    };
    let flags = packet[layout.transport + 13];
    // SYN, RST, URG.
    intact && flags & 0x26 == 0 && packet.len() > layout.payload
}

/// Puts packets together: the headers of the first, with FIN and PSH of the last.
fn join(packets: &[Vec<u8>]) -> Option<Vec<u8>> {
    let layout = Layout::of(&packets[0])?;
    let mut whole = packets[0].clone();

    for packet in &packets[1..] {
        whole.extend(packet.get(layout.payload..)?);
    }
    let flags = packets.last()?.get(layout.transport + 13)? & 9;
    whole[layout.transport + 13] |= flags;
    Some(whole)
}

/// Returns a packet as it is compared: there are two zeros in one's complement, and the TCP checksum is
/// not looked at, as the stack has verified it.
fn comparable(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();

    if let Some(layout) = Layout::of(&packet).filter(|layout| layout.tcp) {
        put(&mut packet, layout.transport + 16, 0);
        if layout.v4 && get(&packet, 10) == 0xffff {
            put(&mut packet, 10, 0);
        }
    }
    packet
}

/// Returns whether these packets are what segmentation makes of them all.
fn are_segments(packets: &[Vec<u8>]) -> bool {
    let Some(whole) = join(packets) else {
        return false;
    };
    let layout = Layout::of(&packets[0]).unwrap();
    let size = packets[0].len() - layout.payload;
    let cwr = packets[0][layout.transport + 13] & 0x80 != 0;

    whole.len() <= 65535
        && packets.iter().all(|packet| is_eligible(packet))
        && segment(&whole, size, cwr).is_some_and(|segments| {
            let got = segments.iter().map(|packet| comparable(packet));
            got.eq(packets.iter().map(|packet| comparable(packet)))
        })
}

/// Asserts that the merged packet is what a sender with offloads would have given out.
fn check_merged(flow: &mut Flow, packets: &[Vec<u8>]) {
    let layout = Layout::of(&packets[0]).unwrap();
    let expected = join(packets).unwrap();
    let mut merged = flow.headers().to_vec();

    assert_eq!(flow.headers_len(), layout.payload);
    assert_eq!(merged.len(), layout.payload);
    assert_eq!(usize::from(flow.count()), packets.len());
    assert_eq!(flow.size(), packets[0].len() - layout.payload);
    let flags = packets[0][layout.transport + 13];
    assert_eq!(flow.has_cwr(), flags & 0x80 != 0);
    merged.extend(&expected[layout.payload..]);
    if packets.len() == 1 {
        assert_eq!(merged, packets[0]);
        return;
    }

    // CHECKSUM_PARTIAL: that of the pseudo header is there, and the rest is added.
    let sum = checksum([&merged[layout.transport..]]);
    put(&mut merged, layout.transport + 16, sum);
    assert_eq!(transport_checksum(&merged, layout.transport, TCP), 0);
    let mut expected = expected;
    layout.complete(&mut expected);
    assert_eq!(comparable(&merged), comparable(&expected));
}

/// Changes a packet, and mostly makes it intact again.
fn damage(packet: &mut Vec<u8>, bytes: &mut Bytes<'_>) {
    match bytes.u8() {
        how @ 0x60..=0xcf if !packet.is_empty() => {
            let at = bytes.below(packet.len().min(120));
            packet[at] ^= match how & 7 {
                0 => bytes.u8(),
                bit => 1 << bit,
            };
            if how < 0xb0 {
                complete(packet);
            }
        }
        0xd0..=0xdf => {
            let len = bytes.below(packet.len().max(1));
            packet.truncate(len);
            complete(packet);
        }
        // FIN or PSH.
        0xe0..=0xef => {
            if let Some(layout) = Layout::of(packet).filter(|layout| layout.tcp) {
                packet[layout.transport + 13] |= bytes.u8() & 0x09;
                layout.complete(packet);
            }
        }
        0xf0..=0xf1 => *packet = bytes.up_to(80).to_vec(),
        _ => {}
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes::new(data);
    let size = match bytes.u8() {
        small @ ..=0xf7 => usize::from(small & 63),
        0xf8..=0xfb => 1200 + usize::from(bytes.u8()),
        _ => usize::from(bytes.u16()).min(60_000),
    };
    let mut first = compose(&mut bytes, size);

    damage(&mut first, &mut bytes);
    let flow = Flow::start(&first);
    let last = Layout::of(&first)
        .filter(|layout| layout.tcp)
        .is_some_and(|layout| first[layout.transport + 13] & 0x09 != 0);
    assert_eq!(flow.is_some(), is_eligible(&first) && !last);
    let Some(mut flow) = flow else {
        return;
    };

    let mut packets = vec![first];
    for _ in 0..12 {
        if bytes.is_empty() {
            break;
        }
        let len = match bytes.u8() {
            0xf0 => size + 1,
            shorter @ 0xf1..=0xff => size.saturating_sub((shorter - 0xf0).into()),
            _ => size,
        };
        let Some(mut packet) = next(packets.last().unwrap(), len) else {
            return;
        };
        damage(&mut packet, &mut bytes);
        packets.push(packet);
        let expected = are_segments(&packets);
        let got = flow.append(packets.last().unwrap());
        assert_eq!(got, expected, "{packets:x?}");
        if !got {
            packets.pop();
        }
        // Whoever asks whether it is closed gets no other answer than by trying.
        let whole = packets
            .iter()
            .all(|packet| packet.len() == packets[0].len());
        let layout = Layout::of(&packets[0]).unwrap();
        let ended = packets.last().unwrap()[layout.transport + 13] & 0x09 != 0;
        assert_eq!(flow.is_closed(), !whole || ended);
    }
    check_merged(&mut flow, &packets);
});
