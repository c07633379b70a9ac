// SPDX-License-Identifier: GPL-2.0

use super::*;
use proptest::{
    collection::vec,
    prelude::*, //
};
use std::vec::Vec;

/// How IPv4 packets without options are to be segmented.
const V4_TCP: Segmentation = Segmentation {
    tcp: true,
    size: 100,
    transport: 20,
    keep_cwr: false,
};

/// A packet with nothing but headers that say what it is.
fn headers(v6: bool, tcp: bool, ip_options: usize, tcp_options: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let protocol = if tcp { 6 } else { 17 };
    if v6 {
        bytes.extend([0x6a, 0xbc, 0xde, 0xf0, 0, 0, protocol, 64]);
        bytes.extend((0..32).map(|i| 0x20 + i));
    } else {
        let words = 5 + ip_options as u8;
        bytes.extend([0x40 | words, 0x02, 0, 0, 0xff, 0xfe, 0x40, 0, 63, protocol]);
        bytes.extend([0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend(core::iter::repeat_n(1, 4 * ip_options));
    }
    bytes.extend([0x12, 0x34, 0x00, 0x50]);
    if tcp {
        bytes.extend([0xff, 0xff, 0xff, 0x00, 1, 2, 3, 4]);
        bytes.extend([(5 + tcp_options as u8) << 4, 0xd9, 0x12, 0x34, 0, 0, 0, 0]);
        bytes.extend(core::iter::repeat_n(1, 4 * tcp_options));
    } else {
        bytes.extend([0; 4]);
    }
    bytes
}

/// Returns the segment with its payload.
fn segment(plan: &Plan, packet: &[u8], index: usize) -> Vec<u8> {
    let part = plan.part(index).unwrap();
    let payload = &packet[part.offset..][..part.len];
    let mut out = std::vec![0xaa; plan.headers_len()];
    assert!(plan.write_headers(index, Sum::new().with_bytes(payload), &mut out));
    out.extend(payload);
    out
}

/// Whether the sum over a pseudo header and what follows is that of something intact.
fn is_intact(segment: &[u8], transport: usize) -> bool {
    let v4 = segment[0] >> 4 == 4;
    let (addresses, protocol) = match v4 {
        true => (&segment[12..20], segment[9]),
        false => (&segment[8..40], segment[6]),
    };
    let body = &segment[transport..];
    let sum = Sum::new()
        .with_bytes(addresses)
        .with_word(protocol.into())
        .with_word(body.len() as u16)
        .with_bytes(body);
    let header = Sum::new().with_bytes(&segment[..transport]);
    sum.to_bytes() == [0xff; 2] && (!v4 || header.to_bytes() == [0xff; 2])
}

proptest! {
    #[test]
    fn segments_are_intact_and_complete(
        v6: bool, tcp: bool, keep_cwr: bool,
        ip_options in 0..3usize, tcp_options in 0..11usize,
        size in 1..1500usize, payload in vec(any::<u8>(), 2..5000),
    ) {
        let ip_options = if v6 { 0 } else { ip_options };
        let mut packet = headers(v6, tcp, ip_options, tcp_options);
        let headers_len = packet.len();
        packet.extend(&payload);
        let transport = if v6 { 40 } else { 20 + 4 * ip_options };
        let how = Segmentation { tcp, size, transport, keep_cwr };
        let plan = Plan::new(&packet, packet.len(), how);
        if payload.len() <= size {
            prop_assert!(plan.is_none());
            return Ok(());
        }
        let plan = plan.unwrap();
        prop_assert_eq!(plan.count(), payload.len().div_ceil(size));
        prop_assert_eq!(plan.headers_len(), headers_len);

        let mut put_together: Vec<u8> = Vec::new();
        for index in 0..plan.count() {
            let segment = segment(&plan, &packet, index);
            prop_assert!(is_intact(&segment, transport), "segment {index}");
            let (first, last) = (index == 0, index + 1 == plan.count());
            let told = u16::from_be_bytes(match v6 {
                true => [segment[4], segment[5]],
                false => [segment[2], segment[3]],
            });
            prop_assert_eq!(usize::from(told), segment.len() - if v6 { 40 } else { 0 });
            if !v6 {
                let id = u16::from_be_bytes([segment[4], segment[5]]);
                prop_assert_eq!(id, 0xfffe_u16.wrapping_add(index as u16));
            }
            let transport = &segment[transport..];
            if tcp {
                let seq = u32::from_be_bytes(transport[4..8].try_into().unwrap());
                prop_assert_eq!(seq, 0xffff_ff00_u32.wrapping_add((index * size) as u32));
                let mut flags = 0xd9;
                if !last { flags &= !0x09; }
                if !first && !keep_cwr { flags &= !0x80; }
                prop_assert_eq!(transport[13], flags);
                prop_assert_eq!(&transport[8..13], &packet[headers_len - 4 * tcp_options - 12..][..5]);
            } else {
                let told = u16::from_be_bytes([transport[4], transport[5]]);
                prop_assert_eq!(usize::from(told), transport.len());
                prop_assert_ne!([transport[6], transport[7]], [0; 2]);
            }
            put_together.extend(&segment[headers_len..]);
        }
        prop_assert_eq!(put_together, payload);
    }

    #[test]
    fn takes_any_bytes(head in vec(any::<u8>(), 0..200), len in 0..70000usize, tcp: bool,
                       size in 0..2000usize, transport in 0..80usize, index in 0..100usize) {
        let how = Segmentation { tcp, size, transport, keep_cwr: false };
        if let Some(plan) = Plan::new(&head, len, how) {
            let mut out = [0; MAX_HEADERS];
            let written = plan.write_headers(index, Sum::new(), &mut out);
            prop_assert_eq!(written, index < plan.count());
        }
    }
}

#[test]
fn refuses_what_it_does_not_know() {
    let mut packet = headers(false, true, 0, 0);
    packet.extend([0; 300]);
    let plan = |packet: &[u8], how| Plan::new(packet, packet.len(), how);
    assert!(plan(&packet, V4_TCP).is_some());
    assert!(plan(&packet, Segmentation { size: 0, ..V4_TCP }).is_none());
    assert!(plan(
        &packet,
        Segmentation {
            tcp: false,
            ..V4_TCP
        }
    )
    .is_none());
    assert!(plan(
        &packet,
        Segmentation {
            transport: 24,
            ..V4_TCP
        }
    )
    .is_none());

    for (offset, value) in [(0, 0x44), (0, 0x55), (6, 0x20), (7, 1), (9, 17), (32, 0x40)] {
        let mut packet = packet.clone();
        packet[offset] = value;
        assert!(plan(&packet, V4_TCP).is_none(), "{offset} {value:#x}");
    }

    let mut packet = headers(true, true, 0, 0);
    packet.extend([0; 300]);
    let how = Segmentation {
        transport: 40,
        ..V4_TCP
    };
    assert!(plan(&packet, how).is_some());
    packet[6] = 0;
    assert!(plan(&packet, how).is_none());
}

#[test]
fn nothing_is_written_where_there_is_no_room() {
    let mut packet = headers(false, true, 0, 0);
    packet.extend([0; 300]);
    let plan = Plan::new(&packet, packet.len(), V4_TCP).unwrap();
    assert!(!plan.write_headers(0, Sum::new(), &mut [0; 39]));
    assert!(plan.write_headers(2, Sum::new(), &mut [0; 40]));
    assert!(!plan.write_headers(3, Sum::new(), &mut [0; 40]));
}
