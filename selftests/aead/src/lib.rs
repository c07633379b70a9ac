// SPDX-License-Identifier: GPL-2.0

//! The assembly of `rust/kernel/crypto/chacha20poly1305/x8-x86_64.S` in user space, the same with a fault planted,
//! and what the tests of it share.

mod code;
mod memory;
mod random;

pub use self::{
    code::{
        planted,
        Code,
        Left,
        Message,
        Scratch,
        REAL, //
    },
    memory::{
        survives,
        Guarded, //
    },
    random::Random,
};

use chacha20::cipher::{
    KeyIvInit,
    StreamCipher, //
};
use chacha20poly1305::{
    aead::Aead,
    ChaCha20Poly1305,
    KeyInit, //
};
use std::io::Write;

/// Number of bytes of a tag.
pub const TAG_LEN: usize = 16;

/// The most messages that are taken at a time.
pub const LANES: usize = 8;

/// Returns whether this processor can run the code. If not, says so, even if the output of tests is captured.
pub fn available(test: &str) -> bool {
    let missing = code::missing();
    if let Some(feature) = missing {
        let _ = writeln!(
            std::io::stderr(),
            "{test}: skipped, as this processor has no {feature}"
        );
    }
    missing.is_none()
}

fn nonce_bytes(nonce: u64) -> [u8; 12] {
    let mut bytes = [0; 12];

    bytes[4..].copy_from_slice(&nonce.to_le_bytes());
    bytes
}

/// Encrypts a message, and puts the tag behind it, as another implementation does.
pub fn reference(key: &[u8; 32], nonce: u64, plain: &[u8]) -> Vec<u8> {
    ChaCha20Poly1305::new(key.into())
        .encrypt(&nonce_bytes(nonce).into(), plain)
        .expect("any message can be encrypted")
}

/// Returns the key stream from block 0 on.
pub fn key_stream(key: &[u8; 32], nonce: u64, len: usize) -> Vec<u8> {
    let mut stream = vec![0; len];

    chacha20::ChaCha20::new(key.into(), &nonce_bytes(nonce).into()).apply_keystream(&mut stream);
    stream
}
