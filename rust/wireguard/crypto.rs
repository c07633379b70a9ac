// SPDX-License-Identifier: GPL-2.0

//! The kernel's cryptographic library behind the protocol's traits.

use wg_kernel::{
    crypto::{
        self,
        blake2s,
        chacha20poly1305,
        curve25519, //
    },
    prelude::*, //
};
use wg_proto::{
    crypto::Suite,
    handshake,
    identity, //
};

/// The primitives that the protocol needs, from `lib/crypto`.
pub(crate) struct Kernel;

/// Our static identity, shared by all peers of a device.
pub(crate) type Identity = Arc<identity::Identity>;

/// The handshake with one peer.
pub(crate) type Handshake = handshake::Handshake<Identity>;

/// An initiation that claims to be from a peer.
pub(crate) type Claim = handshake::Claim<Identity>;

impl Suite for Kernel {
    fn hash(parts: &[&[u8]], out: &mut [u8; 32]) {
        blake2s::hash(parts, out);
    }

    fn mac(key: &[u8], parts: &[&[u8]], out: &mut [u8; 16]) {
        blake2s::mac(key, parts, out);
    }

    fn seal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; 32]) {
        chacha20poly1305::seal(dst, src, ad, nonce, key);
    }

    fn open(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; 32]) -> bool {
        chacha20poly1305::open(dst, src, ad, nonce, key)
    }

    fn xseal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8; 24], key: &[u8; 32]) {
        chacha20poly1305::xseal(dst, src, ad, nonce, key);
    }

    fn xopen(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8; 24], key: &[u8; 32]) -> bool {
        chacha20poly1305::xopen(dst, src, ad, nonce, key)
    }

    fn x25519(out: &mut [u8; 32], secret: &[u8; 32], public: &[u8; 32]) -> bool {
        curve25519::x25519(out, secret, public)
    }

    fn x25519_public(out: &mut [u8; 32], secret: &[u8; 32]) -> bool {
        curve25519::x25519_public(out, secret)
    }

    fn eq(a: &[u8], b: &[u8]) -> bool {
        crypto::eq(a, b)
    }
}
