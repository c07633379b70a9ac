// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::segment::{
    Plan,
    Segmentation, //
};
use proptest::{
    collection::vec,
    prelude::*, //
};
use std::vec::Vec;

/// Segments of a connection, as the stack would segment a large packet.
fn segments(v6: bool, options: usize, size: usize, payload: &[u8], flags: u8) -> Vec<Vec<u8>> {
    let mut packet = Vec::new();
    if v6 {
        packet.extend([0x6a, 0xbc, 0xde, 0xf0, 0, 0, 6, 64]);
        packet.extend((0..32).map(|i| 0x20 + i));
    } else {
        packet.extend([0x45, 0x02, 0, 0, 0xff, 0xfe, 0x40, 0, 63, 6, 0, 0]);
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    }
    packet.extend([0x12, 0x34, 0x00, 0x50, 0xff, 0xff, 0xff, 0x00, 1, 2, 3, 4]);
    packet.extend([(5 + options as u8) << 4, flags, 0x12, 0x34, 0, 0, 0, 0]);
    packet.extend(core::iter::repeat_n(1, 4 * options));
    packet.extend(payload);
    let transport = if v6 { 40 } else { 20 };
    let how = Segmentation {
        tcp: true,
        size,
        transport,
        keep_cwr: true,
    };
    let plan = Plan::new(&packet, packet.len(), how).unwrap();
    (0..plan.count())
        .map(|index| {
            let part = plan.part(index).unwrap();
            let payload = &packet[part.offset..][..part.len];
            let mut out = std::vec![0; plan.headers_len()];
            assert!(plan.write_headers(index, Sum::new().with_bytes(payload), &mut out));
            out.extend(payload);
            out
        })
        .collect()
}

/// Three segments, the last of them shorter.
fn three() -> Vec<Vec<u8>> {
    segments(false, 3, 100, &[7; 250], 0x10)
}

/// Makes the network header's checksum right again.
fn repair(packet: &mut [u8]) {
    put(packet, 10, [0; 2]).unwrap();
    let checksum = Sum::new().with_bytes(&packet[..20]).checksum();
    put(packet, 10, checksum).unwrap();
}

/// Whether the second of [`three`] follows the first after a change of both.
fn follows(change: impl Fn(usize, &mut Vec<u8>)) -> bool {
    let mut packets = three();
    for (index, packet) in packets.iter_mut().enumerate() {
        change(index, packet);
    }
    let mut flow = Flow::start(&packets[0]).unwrap();
    flow.append(&packets[1])
}

proptest! {
    #[test]
    fn undoes_segmentation(
        v6: bool, options in 0..11usize, size in 1..1500usize,
        payload in vec(any::<u8>(), 1..5000), cwr: bool, last in 0..4u8,
    ) {
        prop_assume!(payload.len() > size);
        let flags = 0x10 | if cwr { 0x80 } else { 0 } | (last & 1) | (last & 2) << 2;
        let packets = segments(v6, options, size, &payload, flags);
        let mut flow = Flow::start(&packets[0]).unwrap();
        let headers_len = flow.headers_len();
        let mut got = packets[0][headers_len..].to_vec();
        for packet in &packets[1..] {
            prop_assert!(!flow.is_closed());
            prop_assert!(flow.append(packet));
            got.extend(&packet[headers_len..]);
        }
        prop_assert_eq!(&got, &payload);
        prop_assert_eq!(flow.is_closed(), payload.len() % size != 0 || last != 0);
        prop_assert_eq!(usize::from(flow.count()), packets.len());
        prop_assert_eq!(flow.size(), size);
        prop_assert_eq!(flow.has_cwr(), cwr);

        // Segmented again, it is what it was.
        let mut large = flow.headers().to_vec();
        let transport = flow.layout.ip;
        large.extend(&got);
        let how = Segmentation { tcp: true, size, transport, keep_cwr: true };
        let plan = Plan::new(&large, large.len(), how).unwrap();
        for (index, packet) in packets.iter().enumerate() {
            let part = plan.part(index).unwrap();
            let payload = &large[part.offset..][..part.len];
            let mut out = std::vec![0; plan.headers_len()];
            prop_assert!(plan.write_headers(index, Sum::new().with_bytes(payload), &mut out));
            out.extend(payload);
            prop_assert_eq!(&out, packet);
        }
        // The stack completes the checksum from that of the pseudo header.
        let body = &large[transport..];
        let sum = Sum::new().with_bytes(body).checksum();
        let mut complete = large.clone();
        put(&mut complete, transport + 16, sum).unwrap();
        let addresses = if v6 { &complete[8..40] } else { &complete[12..20] };
        let sum = Sum::new()
            .with_bytes(addresses)
            .with_word(6)
            .with_word(body.len() as u16)
            .with_bytes(&complete[transport..]);
        prop_assert_eq!(sum.to_bytes(), [0xff; 2]);
        prop_assert!(v6 || Sum::new().with_bytes(&large[..20]).to_bytes() == [0xff; 2]);
    }

    #[test]
    fn takes_any_bytes(a in vec(any::<u8>(), 0..200), b in vec(any::<u8>(), 0..200)) {
        if let Some(mut flow) = Flow::start(&a) {
            let _ = flow.append(&b);
            let _ = flow.headers();
        }
    }
}

#[test]
fn what_differs_does_not_follow() {
    assert!(follows(|_, _| {}));
    // Differences of the second packet: TOS, TTL, DF, addresses; ports, acknowledgement, window,
    // options.
    for offset in [1, 8, 6, 12, 16, 20, 22, 28, 34, 45] {
        let changed = |index, packet: &mut Vec<u8>| {
            if index == 1 {
                packet[offset] ^= 0x40;
                repair(packet);
            }
        };
        assert!(!follows(changed), "{offset}");
    }
    // The same differences in both packets are none.
    for offset in [1, 8, 6, 12, 16, 20, 22, 28, 34, 45] {
        let changed = |_, packet: &mut Vec<u8>| {
            packet[offset] ^= 0x40;
            repair(packet);
        };
        assert!(follows(changed), "{offset}");
    }
    // A gap in numbers: identification, sequence.
    for offset in [5, 27] {
        let changed = |index, packet: &mut Vec<u8>| {
            if index == 1 {
                packet[offset] ^= 1;
                repair(packet);
            }
        };
        assert!(!follows(changed), "{offset}");
    }
    // Flags: SYN, RST, URG never, ECE and CWR if both have them.
    for flag in [0x02, 0x04, 0x20, 0x40, 0x80] {
        let one = |index, packet: &mut Vec<u8>| packet[33] |= if index == 1 { flag } else { 0 };
        assert!(!follows(one), "{flag:#x}");
        if flag >= 0x40 {
            assert!(follows(|_, packet| packet[33] |= flag), "{flag:#x}");
        } else {
            let mut packet = three().swap_remove(0);
            packet[33] |= flag;
            assert!(Flow::start(&packet).is_none(), "{flag:#x}");
        }
    }
}

#[test]
fn what_is_damaged_is_left_to_the_stack() {
    // A wrong checksum of the network header, a length that is not the packet's, a fragment,
    // another protocol, a data offset that is too small or too large.
    for (offset, value) in [
        (10, 0x55),
        (3, 1),
        (6, 0x60),
        (9, 17),
        (32, 0x40),
        (32, 0xf0),
    ] {
        let mut packet = three().swap_remove(0);
        packet.truncate(20 + 32 + 3);
        put(&mut packet, 2, 55u16.to_be_bytes()).unwrap();
        packet[offset] = value;
        if offset != 10 {
            repair(&mut packet);
        }
        assert!(Flow::start(&packet).is_none(), "{offset}");
    }
    // No payload; FIN or PSH, after which nothing is to be waited for.
    let mut packet = three().swap_remove(0);
    packet.truncate(20 + 32);
    put(&mut packet, 2, 52u16.to_be_bytes()).unwrap();
    repair(&mut packet);
    assert!(Flow::start(&packet).is_none());
    for flag in [1, 8] {
        let mut packet = three().swap_remove(0);
        packet[33] |= flag;
        assert!(Flow::start(&packet).is_none());
    }
}

#[test]
fn a_shorter_one_is_the_last() {
    let packets = three();
    let mut flow = Flow::start(&packets[0]).unwrap();
    assert!(flow.append(&packets[1]) && !flow.is_closed());
    assert!(flow.append(&packets[2]) && flow.is_closed());
    assert!(!flow.append(&packets[2]));
    // One that is longer than the first does not follow.
    let mut flow = Flow::start(&segments(false, 3, 99, &[7; 250], 0x10)[0]).unwrap();
    let mut longer = packets[1].clone();
    longer[27] = 99;
    assert!(!flow.append(&longer));
}

#[test]
fn does_not_grow_beyond_what_a_header_can_say() {
    let packets = segments(false, 0, 1400, &[0; 100_000], 0x10);
    let mut flow = Flow::start(&packets[0]).unwrap();
    let count = 1 + packets[1..]
        .iter()
        .take_while(|packet| flow.append(packet))
        .count();
    assert_eq!(count, (65535 - 40) / 1400);
    assert_eq!(get(flow.headers(), 2), Some((40 + count * 1400) as u16));
}
