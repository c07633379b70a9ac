// SPDX-License-Identifier: GPL-2.0

//! Hashes at the edge of what they can be, which chance does not find.

use num_bigint::BigUint;
use wg_aead::{
    available,
    key_stream,
    planted,
    reference,
    Code,
    Message,
    Random,
    Scratch,
    LANES,
    REAL,
    TAG_LEN, //
};

/// Returns a text of one block whose hash, before `s` is added, is `hash`.
fn text_for(key: &[u8; 32], nonce: u64, hash: u64) -> Option<Vec<u8>> {
    let stream = key_stream(key, nonce, 80);
    let prime = (BigUint::from(1u8) << 130) - 5u8;
    let mask = BigUint::from(0x0ffffffc_0ffffffc_0ffffffc_0fffffff_u128);
    let r = BigUint::from_bytes_le(&stream[..16]) & mask;
    let inverse = r.modpow(&(&prime - 2u8), &prime);

    // hash = ((block + 2^128) r + 16 * 2^64 + 2^128) r
    let last = (BigUint::from(16u8) << 64) + (BigUint::from(1u8) << 128);
    let sum: BigUint = (BigUint::from(hash) * &inverse + &prime - last % &prime) % &prime;
    let block: BigUint = (sum * &inverse + &prime - (BigUint::from(1u8) << 128)) % &prime;
    let mut block = block.to_bytes_le();
    if block.len() > 16 {
        return None;
    }
    block.resize(16, 0);
    Some(
        block
            .iter()
            .zip(&stream[64..])
            .map(|(a, b)| a ^ b)
            .collect(),
    )
}

/// Whether hashes that are 0 to 7 modulo the prime are right: some of them are what is left if it is
/// subtracted.
fn smallest(code: &Code) -> bool {
    let mut random = Random::new(20);
    let mut right = true;

    for hash in 0..8 {
        let key = random.key();
        let texts: Vec<_> = (0..)
            .filter_map(|nonce| Some((nonce, text_for(&key, nonce, hash)?)))
            .take(LANES)
            .collect();
        let mut places: Vec<_> = texts
            .iter()
            .map(|(_, text)| [&text[..], &[0; TAG_LEN]].concat())
            .collect();
        let messages: Vec<_> = texts
            .iter()
            .zip(&mut places)
            .map(|((nonce, text), place)| Message {
                src: place.as_ptr(),
                dst: place.as_mut_ptr(),
                len: text.len(),
                nonce: *nonce,
                key: &key,
            })
            .collect();

        // SAFETY: The messages are valid, and the processor was asked.
        unsafe { code.seal(&messages, &mut *Scratch::new()) };
        for ((nonce, text), place) in texts.iter().zip(&places) {
            let stream = key_stream(&key, *nonce, 32);
            let tag = u128::from_le_bytes(place[text.len()..].try_into().unwrap());
            let s = u128::from_le_bytes(stream[16..].try_into().unwrap());

            // That the texts are what they should be, first.
            let sealed = reference(&key, *nonce, text);
            assert_eq!(sealed[16..], s.wrapping_add(hash.into()).to_le_bytes());
            right &= tag == s.wrapping_add(hash.into()) && *place == sealed;
        }
    }
    right
}

#[test]
fn hashes_at_the_prime() {
    if available("hashes_at_the_prime") {
        assert!(smallest(&REAL));
    }
}

/// What this would not notice.
#[test]
fn faults_are_noticed() {
    if available("faults_are_noticed") {
        assert!(!smallest(&planted("prime")));
    }
}
