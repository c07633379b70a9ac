// SPDX-License-Identifier: GPL-2.0

//! Something that behaves like cryptography but is none, for fuzzers, which would spend all their time
//! in curves.
//!
//! Whoever does not know a key does not get its results by accident; whoever wants to, does. The group
//! is that of integers modulo a prime of 61 bits, and everything else is a hash without any merit.

use crate::crypto::Suite;

const TAG_LEN: usize = 16;
/// The modulus of the group: a Mersenne prime.
const MODULUS: u64 = (1 << 61) - 1;
/// A generator of that group.
const GENERATOR: u64 = 37;

/// [`Suite`] in name only.
pub struct Quick;

impl Suite for Quick {
    fn hash(parts: &[&[u8]], out: &mut [u8; 32]) {
        digest(1, &[], parts, out);
    }

    fn mac(key: &[u8], parts: &[&[u8]], out: &mut [u8; 16]) {
        digest(2, key, parts, out);
    }

    fn seal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; 32]) {
        seal(dst, src, ad, &nonce.to_le_bytes(), key);
    }

    fn open(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; 32]) -> bool {
        open(dst, src, ad, &nonce.to_le_bytes(), key)
    }

    fn xseal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8; 24], key: &[u8; 32]) {
        seal(dst, src, ad, nonce, key);
    }

    fn xopen(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8; 24], key: &[u8; 32]) -> bool {
        open(dst, src, ad, nonce, key)
    }

    fn x25519(out: &mut [u8; 32], secret: &[u8; 32], public: &[u8; 32]) -> bool {
        let (element, rest) = public.split_first_chunk().expect("32 bytes");
        let shared = power(u64::from_le_bytes(*element), exponent(secret));

        // So that all of a public key matters, as it does with a curve.
        *out = [0; 32];
        out[..8].copy_from_slice(&shared.to_le_bytes());
        shared > 1 && rest.iter().all(|byte| *byte == 0)
    }

    fn x25519_public(out: &mut [u8; 32], secret: &[u8; 32]) -> bool {
        *out = [0; 32];
        out[..8].copy_from_slice(&power(GENERATOR, exponent(secret)).to_le_bytes());
        *secret != [0; 32]
    }

    fn eq(a: &[u8], b: &[u8]) -> bool {
        a == b
    }
}

/// Returns a secret as a number, made of what clamping leaves.
fn exponent(secret: &[u8; 32]) -> u64 {
    let words = secret.chunks(8).map(|word| {
        let word = word.try_into().expect("8 bytes");
        u64::from_le_bytes(word)
    });
    // The bits that clamping changes do not matter.
    let mixed = words.fold(0, |sum, word| mix(sum ^ (word << 2 >> 5)));

    // Odd and not 1, and no longer than it takes to be somebody's own.
    mixed >> 32 | 3
}

/// Returns a power in the group.
fn power(base: u64, mut exponent: u64) -> u64 {
    let mut result = 1;
    let mut square = base % MODULUS;

    while exponent != 0 {
        if exponent & 1 != 0 {
            result = product(result, square);
        }
        square = product(square, square);
        exponent >>= 1;
    }
    result
}

/// Returns a product in the group.
fn product(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let sum = (product as u64 & MODULUS) + (product >> 61) as u64;

    sum % MODULUS
}

/// Returns another number for each number, none of whose bits can be told from one of the first.
fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// The state of a hash: two words, of which each step changes both.
struct State([u64; 2]);

impl State {
    fn absorb(&mut self, word: u64) {
        let [a, b] = self.0;
        let a = (a ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let a = a ^ a >> 32;

        self.0 = [
            a,
            b.rotate_left(23)
                .wrapping_add(a)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15),
        ];
    }

    /// Absorbs the concatenation of `parts`, and its length.
    fn absorb_all(&mut self, parts: &[&[u8]]) {
        // What does not make up a word yet, and how many bits that are.
        let mut pending = 0;
        let mut bits = 0;

        for part in parts.iter().flat_map(|part| part.chunks(8)) {
            let mut word = [0; 8];
            match part.first_chunk() {
                Some(whole) => word = *whole,
                None => word[..part.len()].copy_from_slice(part),
            }
            pending |= u128::from(u64::from_le_bytes(word)) << bits;
            bits += 8 * part.len();
            if bits >= 64 {
                self.absorb(pending as u64);
                pending >>= 64;
                bits -= 64;
            }
        }
        if bits > 0 {
            self.absorb(pending as u64);
        }
        self.absorb(parts.iter().map(|part| part.len() as u64).sum());
    }

    fn squeeze(&mut self) -> u64 {
        self.absorb(0);
        self.0[0] ^ self.0[1]
    }
}

fn digest(domain: u64, key: &[u8], parts: &[&[u8]], out: &mut [u8]) {
    let mut state = State([domain, mix(domain)]);

    state.absorb_all(&[key]);
    state.absorb_all(parts);
    for word in out.chunks_mut(8) {
        let bytes = state.squeeze().to_le_bytes();
        word.copy_from_slice(&bytes[..word.len()]);
    }
}

/// Encrypts or decrypts.
fn stream(text: &mut [u8], nonce: &[u8], key: &[u8; 32]) {
    let mut state = State([3, 5]);

    state.absorb_all(&[key, nonce]);
    for word in text.chunks_mut(8) {
        let bytes = state.squeeze().to_le_bytes();
        word.iter_mut()
            .zip(bytes)
            .for_each(|(to, byte)| *to ^= byte);
    }
}

fn tag(text: &[u8], ad: &[u8], nonce: &[u8], key: &[u8; 32]) -> [u8; TAG_LEN] {
    let mut tag = [0; TAG_LEN];
    let len = (ad.len() as u64).to_le_bytes();

    digest(4, key, &[nonce, &len, ad, text], &mut tag);
    tag
}

fn seal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8], key: &[u8; 32]) {
    if dst.len() != src.len() + TAG_LEN {
        return;
    }

    let (text, end) = dst.split_at_mut(src.len());

    text.copy_from_slice(src);
    stream(text, nonce, key);
    end.copy_from_slice(&tag(text, ad, nonce, key));
}

fn open(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8], key: &[u8; 32]) -> bool {
    if dst.len() + TAG_LEN != src.len() {
        return false;
    }

    let (text, end) = src.split_at(dst.len());

    dst.copy_from_slice(text);
    stream(dst, nonce, key);
    tag(text, ad, nonce, key) == end
}
