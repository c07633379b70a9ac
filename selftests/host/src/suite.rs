// SPDX-License-Identifier: GPL-2.0

//! Cryptography for tests, by means of crates that have nothing to do with the kernel's.

use blake2::{
    digest::{
        consts::U16,
        Digest,
        FixedOutput,
        KeyInit,
        Update, //
    },
    Blake2s256,
    Blake2sMac, //
};
use chacha20poly1305::{
    aead::AeadInPlace,
    ChaCha20Poly1305,
    XChaCha20Poly1305, //
};

use crate::crypto::Suite;

const TAG_LEN: usize = 16;

/// [`Suite`] by means of the RustCrypto and dalek crates.
pub struct RustCrypto;

impl Suite for RustCrypto {
    fn hash(parts: &[&[u8]], out: &mut [u8; 32]) {
        let mut state = Blake2s256::new();

        for part in parts {
            Update::update(&mut state, part);
        }
        *out = state.finalize_fixed().into();
    }

    fn mac(key: &[u8], parts: &[&[u8]], out: &mut [u8; 16]) {
        let mut state =
            <Blake2sMac<U16> as KeyInit>::new_from_slice(key).expect("a key of 1 to 32 bytes");

        for part in parts {
            state.update(part);
        }
        *out = state.finalize_fixed().into();
    }

    fn seal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; 32]) {
        let cipher = ChaCha20Poly1305::new(key.into());

        seal(&cipher, dst, src, ad, &wide(nonce));
    }

    fn open(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; 32]) -> bool {
        let cipher = ChaCha20Poly1305::new(key.into());

        open(&cipher, dst, src, ad, &wide(nonce))
    }

    fn xseal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8; 24], key: &[u8; 32]) {
        let cipher = XChaCha20Poly1305::new(key.into());

        seal(&cipher, dst, src, ad, nonce);
    }

    fn xopen(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8; 24], key: &[u8; 32]) -> bool {
        let cipher = XChaCha20Poly1305::new(key.into());

        open(&cipher, dst, src, ad, nonce)
    }

    fn x25519(out: &mut [u8; 32], secret: &[u8; 32], public: &[u8; 32]) -> bool {
        *out = x25519_dalek::x25519(*secret, *public);
        *out != [0; 32]
    }

    fn x25519_public(out: &mut [u8; 32], secret: &[u8; 32]) -> bool {
        *out = x25519_dalek::x25519(*secret, x25519_dalek::X25519_BASEPOINT_BYTES);
        *secret != [0; 32]
    }

    // In constant time only in so far as tests care.
    fn eq(a: &[u8], b: &[u8]) -> bool {
        a == b
    }
}

/// Returns the nonce of ChaCha20-Poly1305 that stands for a number.
fn wide(nonce: u64) -> [u8; 12] {
    (u128::from(nonce) << 32).to_le_bytes()[..12]
        .try_into()
        .expect("12 bytes")
}

fn seal<C: AeadInPlace>(cipher: &C, dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8]) {
    if dst.len() != src.len() + TAG_LEN {
        return;
    }

    let (text, tag) = dst.split_at_mut(src.len());

    text.copy_from_slice(src);
    tag.copy_from_slice(
        &cipher
            .encrypt_in_place_detached(nonce.into(), ad, text)
            .expect("a short text"),
    );
}

fn open<C: AeadInPlace>(cipher: &C, dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8]) -> bool {
    if dst.len() + TAG_LEN != src.len() {
        return false;
    }

    let (text, tag) = src.split_at(dst.len());

    dst.copy_from_slice(text);
    cipher
        .decrypt_in_place_detached(nonce.into(), ad, dst, tag.into())
        .is_ok()
}
