// SPDX-License-Identifier: GPL-2.0

//! Headers of the packets that are carried, ECN, and sums.

#![no_main]

use wg_fuzz::{
    fuzz_target,
    packet::{
        checksum,
        get,
        put, //
    },
    Bytes, //
};
use wg_proto::{
    allowed_ips::Addr,
    checksum::Sum,
    ip::{
        ecn_decap,
        ecn_encap,
        set_dsfield,
        Header,
        Refusal, //
    }, //
};

/// What RFC 791 and RFC 8200 say of a packet: source, destination, length, DS field.
type Fields = (Addr, Addr, u32, u8);

/// Reads a header by the offsets of the RFCs.
fn reference(packet: &[u8]) -> Option<Fields> {
    let v4 = |at: usize| Addr::V4(packet[at..at + 4].try_into().unwrap());
    let v6 = |at: usize| Addr::V6(packet[at..at + 16].try_into().unwrap());

    match packet.first()? >> 4 {
        4 if packet.len() >= 20 => Some((v4(12), v4(16), get(packet, 2).into(), packet[1])),
        6 if packet.len() >= 40 => {
            let class = (get(packet, 0) >> 4) as u8;
            Some((v6(8), v6(24), u32::from(get(packet, 4)) + 40, class))
        }
        _ => None,
    }
}

fn fields(header: &Header) -> Fields {
    (
        header.source,
        header.destination,
        header.total_len,
        header.tos,
    )
}

/// Asserts what is made of a received packet of `len` bytes, of which these are at hand.
fn check_header(head: &[u8], len: usize) {
    let expected = reference(head);
    let parsed = Header::parse(head, len);
    let v4 = head.first().is_some_and(|first| first >> 4 == 4);

    assert_eq!(Header::read(head).as_ref().map(fields), expected);
    match expected {
        None => assert_eq!(parsed, Err(Refusal::Type)),
        Some((_, _, total, _)) if total as usize > len || v4 && total < 20 => {
            assert_eq!(parsed, Err(Refusal::Size));
        }
        Some(expected) => assert_eq!(fields(&parsed.unwrap()), expected),
    }
}

/// Asserts that a new DS field changes that and the checksum.
fn check_dsfield(packet: &[u8], tos: u8) {
    let mut changed = packet.to_vec();
    set_dsfield(&mut changed, tos);
    let mut expected = packet.to_vec();

    match packet.first().map(|first| first >> 4) {
        Some(4) if packet.len() >= 12 => {
            // What is wrong with the sum stays as wrong as it was.
            let before = u32::from(get(packet, 0)) + u32::from(get(packet, 10));
            let after = u32::from(get(&changed, 0)) + u32::from(get(&changed, 10));
            assert_eq!(before % 0xffff, after % 0xffff);
            expected[1] = tos;
            expected[10..12].copy_from_slice(&changed[10..12]);
        }
        Some(6) if packet.len() >= 2 => {
            let word = get(packet, 0) & 0xf00f | u16::from(tos) << 4;
            put(&mut expected, 0, word);
        }
        _ => {}
    }
    assert_eq!(changed, expected);
    if packet.len() < 20 || packet[0] != 0x45 {
        return;
    }

    // And a sum that is right stays right.
    let mut packet = packet.to_vec();
    put(&mut packet, 10, 0);
    let sum = checksum([&packet[..20]]);
    put(&mut packet, 10, sum);
    set_dsfield(&mut packet, tos);
    assert_eq!(checksum([&packet[..20]]), 0);
}

/// Asserts what RFC 6040 says: its figure 4 for what arrives, by the inner, then by the outer codepoint.
fn check_ecn(outer: u8, inner: u8) {
    const NOT: u8 = 0;
    const ECT1: u8 = 1;
    const ECT0: u8 = 2;
    const CE: u8 = 3;
    const ARRIVING: [[u8; 4]; 4] = [
        // In the column of CE the RFC drops the packet, and Linux leaves it.
        [NOT, NOT, NOT, NOT],
        [ECT1, ECT1, ECT1, CE],
        [ECT0, ECT1, ECT0, CE],
        [CE, CE, CE, CE],
    ];
    let expected = inner & !3 | ARRIVING[usize::from(inner & 3)][usize::from(outer & 3)];

    assert_eq!(ecn_decap(outer, inner).unwrap_or(inner), expected);
    // It says so if, and only if, there is something to change.
    assert_eq!(ecn_decap(outer, inner).is_some(), expected != inner);
    // Compatibility is not what a sender wants, and no other bit may be seen outside.
    assert_eq!(
        ecn_encap(inner),
        [NOT, ECT1, ECT0, ECT0][usize::from(inner & 3)]
    );
}

/// Asserts that bytes in parts have the sum that they have as a whole.
fn check_sum(packet: &[u8], cut: usize, word: u16) {
    let (a, b) = packet.split_at((cut & !1).min(packet.len()));
    let sum = Sum::new().with_word(word).with_bytes(a).with_bytes(b);
    let expected = checksum([&word.to_be_bytes()[..], a, b]);

    assert_eq!(u16::from_be_bytes(sum.checksum()), expected);
    assert_eq!(u16::from_be_bytes(sum.to_bytes()), !expected);
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes::new(data);
    let (outer, tos, cut, len) = (bytes.u8(), bytes.u8(), bytes.u8(), bytes.u16());
    let mut packet = bytes.rest().to_vec();

    check_ecn(outer, tos);
    check_sum(&packet, cut.into(), len);
    check_dsfield(&packet, tos);
    for version in [0x45, 0x60 | outer >> 4] {
        let head = &packet[..packet.len().min(40)];
        check_header(head, packet.len());
        check_header(head, usize::from(len).max(head.len()));
        if let Some(first) = packet.first_mut() {
            *first = version;
        }
        check_dsfield(&packet, tos);
    }
});
