// SPDX-License-Identifier: GPL-2.0

//! Segmentation, against a sender that makes each packet anew.

#![no_main]

use wg_fuzz::{
    fuzz_target,
    packet::{
        segment,
        Layout,
        TCP,
        UDP, //
    },
    Bytes, //
};
use wg_proto::{
    checksum::Sum,
    segment::{
        Plan,
        Segmentation,
        MAX_HEADERS, //
    }, //
};

/// Makes a packet: mostly one that can be segmented.
fn compose(bytes: &mut Bytes<'_>) -> (Vec<u8>, usize) {
    let (v4, tcp) = (bytes.flag(), bytes.flag());
    let mut packet = bytes.up_to(if v4 { 20 } else { 40 }).to_vec();
    let transport = if v4 {
        let options = bytes.below(12).saturating_sub(6);
        packet.resize(20, 0);
        packet[0] = 0x45 + options as u8;
        packet[6] &= 0xc0;
        packet[7] = 0;
        packet[9] = if tcp { TCP } else { UDP };
        packet.resize(20 + 4 * options, 1);
        packet.len()
    } else {
        packet.resize(40, 0);
        packet[0] = packet[0] & 0xf | 0x60;
        packet[6] = if tcp { TCP } else { UDP };
        40
    };
    let header = bytes.up_to(if tcp { 20 } else { 8 });
    packet.extend(header);
    if tcp {
        let options = bytes.below(11);
        packet.resize(transport + 20, 0);
        packet[transport + 12] = ((5 + options) << 4) as u8;
        packet.resize(transport + 20 + 4 * options, 2);
    } else {
        packet.resize(transport + 8, 0);
    }
    // Something is wrong with some of them.
    if bytes.u8() >= 0xf0 {
        let at = bytes.below(packet.len());
        packet[at] = bytes.u8();
    }
    (packet, transport)
}

/// Appends a payload, which is short if there would be too many segments to make.
fn fill(packet: &mut Vec<u8>, bytes: &mut Bytes<'_>, size: usize) {
    let len = match bytes.u8() {
        short @ ..=0xdf => usize::from(short),
        0xe0..=0xfd => usize::from(bytes.u16() & 0xfff),
        _ => usize::from(bytes.u16()).min(65535 - packet.len()),
    };
    let len = len.min(16 * size + 1);
    let pattern = bytes.up_to(len.min(16)).to_vec();
    let byte = |i: usize| pattern.get(i % pattern.len().max(1)).copied();

    packet.extend((0..len).map(|i| byte(i).unwrap_or(0).wrapping_add((i / 16) as u8)));
}

/// Returns what the plan makes of a packet of which the head is all that it sees.
fn planned(packet: &[u8], how: Segmentation) -> Option<Vec<Vec<u8>>> {
    let plan = Plan::new(&packet[..packet.len().min(MAX_HEADERS)], packet.len(), how)?;
    let mut segments = Vec::new();

    assert!(plan.count() >= 2);
    for index in 0..plan.count() {
        let part = plan.part(index).unwrap();
        let payload = &packet[part.offset..part.offset + part.len];
        let mut segment = vec![0xaa; plan.headers_len()];
        let sum = Sum::new().with_bytes(payload);

        // Without room for the headers nothing is said to be done.
        let len = segment.len();
        assert!(!plan.write_headers(index, sum, &mut segment[..len - 1]));
        assert!(plan.write_headers(index, sum, &mut segment));
        segment.extend(payload);
        segments.push(segment);
    }
    assert_eq!(plan.part(plan.count()), None);
    assert!(!plan.write_headers(plan.count(), Sum::new(), &mut [0; MAX_HEADERS]));
    Some(segments)
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes::new(data);
    let (keep_cwr, wild) = (bytes.flag(), bytes.u8());
    let size = match bytes.u8() {
        small @ ..=0xdf => usize::from(small),
        _ => bytes.u16().into(),
    };
    let (mut packet, mut transport) = compose(&mut bytes);
    let mut tcp = Layout::of(&packet).is_some_and(|layout| layout.tcp);

    fill(&mut packet, &mut bytes, size);
    match wild {
        // The stack is not right in what it says of the packet.
        0xf0..=0xf3 => transport = bytes.u8().into(),
        0xf4..=0xf7 => tcp = !tcp,
        0xf8..=0xff => packet = bytes.rest().to_vec(),
        _ => {}
    }
    let how = Segmentation {
        tcp,
        size,
        transport,
        keep_cwr,
    };
    let agrees = Layout::of(&packet)
        .is_some_and(|layout| layout.tcp == tcp && layout.transport == transport);
    let expected = match agrees {
        true => segment(&packet, size, keep_cwr),
        false => None,
    };

    // Not `assert_eq`, which would print all of it.
    let got = planned(&packet, how);
    assert_eq!(got.as_ref().map(Vec::len), expected.as_ref().map(Vec::len));
    for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
        assert_eq!(got, expected);
    }
});
