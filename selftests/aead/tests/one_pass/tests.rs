// SPDX-License-Identifier: GPL-2.0

//! What is asserted.

use super::{
    one_pass::{
        open,
        open_small,
        pays_off,
        seal,
        BEFORE,
        BEHIND, //
    },
    TAG_LEN, //
};
use crate::library::{
    change,
    When, //
};
use wg_aead::Random;

const KEY: [u8; 32] = [7; 32];

/// What is where nothing may be written.
const UNTOUCHED: u8 = 0xa5;

/// A message that is sealed, with what is in front of it.
fn sealed(random: &mut Random, len: usize, nonce: u64) -> (Vec<u8>, Vec<u8>) {
    let plain = random.bytes(len);
    let mut packet = random.bytes(BEFORE);
    packet.extend(wg_aead::reference(&KEY, nonce, &plain));
    (plain, packet)
}

/// Opens the message of a packet, and returns what comes of it.
fn opened(packet: &[u8], nonce: u64) -> (Option<bool>, Vec<u8>) {
    let len = packet.len() - BEFORE - TAG_LEN;
    let mut out = vec![UNTOUCHED; BEFORE + len];
    // SAFETY: There are as many bytes, and as many before them.
    let result = unsafe {
        open(
            out.as_mut_ptr().add(BEFORE),
            packet.as_ptr().add(BEFORE),
            len as u32,
            nonce,
            &KEY,
        )
    };
    assert!(out[..BEFORE].iter().all(|byte| *byte == UNTOUCHED));
    (result, out.split_off(BEFORE))
}

#[test]
fn messages_are_those_of_rustcrypto() {
    let mut random = Random::new(1);
    for len in (1..600).chain([1419, 1420, 1452, 4096]) {
        let nonce = random.number();
        let (plain, packet) = sealed(&mut random, len, nonce);
        assert_eq!(opened(&packet, nonce), (Some(true), plain.clone()));
        if len <= 256 {
            let mut here = packet.clone();
            // SAFETY: There are as many bytes, and as many before them.
            let authentic =
                unsafe { open_small(here.as_mut_ptr().add(BEFORE), len as u32, nonce, &KEY) };
            assert!(authentic);
            assert_eq!(here[BEFORE..BEFORE + len], plain);
            assert_eq!(here[..BEFORE], packet[..BEFORE]);
        }
        let mut made = packet[..BEFORE].to_vec();
        made.extend(&plain);
        made.extend([0; BEHIND]);
        // SAFETY: There is as much room on either side.
        unsafe { seal(made.as_mut_ptr().add(BEFORE), len as u32, nonce, &KEY) };
        assert_eq!(made[..packet.len()], packet);

        let wrong = random.below(len + TAG_LEN);
        let mut forged = packet;
        forged[BEFORE + wrong] ^= 1 << (nonce % 8);
        assert_eq!(opened(&forged, nonce).0, Some(false));
    }
}

/// Whenever it changes, and whichever of its bytes, no message is taken for authentic or forged that may be neither.
#[test]
fn a_change_in_front_is_noticed() {
    let mut random = Random::new(2);
    for at in 0..BEFORE {
        for when in [When::Before, When::After] {
            let (plain, packet) = sealed(&mut random, 333, 5);
            change(packet.as_ptr().wrapping_add(at), when);
            let (result, out) = opened(&packet, 5);
            // Of the block, only the first half matters.
            if at < BEFORE / 2 {
                assert_eq!(result, None, "byte {at}, {when:?}");
            } else {
                assert_eq!(
                    (result, out),
                    (Some(true), plain.clone()),
                    "byte {at}, {when:?}"
                );
            }
            // Once it has settled, the message is as good as ever.
            assert_eq!(opened(&packet, 5), (Some(true), plain));
        }
    }
}

/// Where vector code takes 512 bytes at a time, a block more costs another round of it for these lengths alone.
#[test]
fn another_round_does_not_pay_off() {
    for len in 0..4096 {
        assert_eq!(
            pays_off(len),
            (len + 64).div_ceil(512) == len.div_ceil(512) && len > 0
        );
    }
}
