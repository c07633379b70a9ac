// SPDX-License-Identifier: GPL-2.0

//! Who we are.

use crate::{
    cookie::{
        cookie_key,
        mac1_key,
        split_macs, //
    },
    crypto::Suite,
    secret::Secret, //
};

/// Our static key pair, and what follows from it.
///
/// It does not change: another private key is another identity.
pub struct Identity {
    /// Private key, clamped.
    private: Secret<32>,
    /// Public key.
    public: [u8; 32],
    /// Key of the first MAC of messages to us.
    mac1_key: Secret<32>,
    /// Key of our cookie replies.
    cookie_key: Secret<32>,
}

impl Identity {
    /// Returns the identity of a private key, or `None` if that is all zero.
    pub fn new<S: Suite>(private: &[u8; 32]) -> Option<Self> {
        let mut identity = Self {
            private: Secret::zero(),
            public: public_key::<S>(private)?,
            mac1_key: Secret::zero(),
            cookie_key: Secret::zero(),
        };

        *identity.private.as_mut_bytes() = *private;
        clamp(identity.private.as_mut_bytes());
        mac1_key::<S>(&identity.public, &mut identity.mac1_key);
        cookie_key::<S>(&identity.public, &mut identity.cookie_key);
        Some(identity)
    }

    /// Returns the private key, clamped.
    pub fn private(&self) -> &[u8; 32] {
        self.private.as_bytes()
    }

    /// Returns the public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// Returns whether the first MAC of `message` is right.
    ///
    /// The MACs are the last 32 bytes of `message`.
    pub fn check_mac1<S: Suite>(&self, message: &[u8]) -> bool {
        let Some((body, mac1, _)) = split_macs(message) else {
            return false;
        };
        let mut mac = [0; 16];

        S::mac(self.mac1_key.as_bytes(), &[body], &mut mac);
        S::eq(&mac, mac1)
    }

    /// Returns the private key as it is kept.
    pub(super) fn private_key(&self) -> &Secret<32> {
        &self.private
    }

    /// Returns the key of our cookie replies.
    pub(crate) fn cookie_key(&self) -> &Secret<32> {
        &self.cookie_key
    }
}

/// Returns the public key of a private one, or `None` if that is all zero.
pub fn public_key<S: Suite>(private: &[u8; 32]) -> Option<[u8; 32]> {
    let mut public = [0; 32];

    if S::eq(private, &[0; 32]) || !S::x25519_public(&mut public, private) {
        return None;
    }
    Some(public)
}

/// Makes random bytes a private key of Curve25519 (RFC 7748, section 5).
pub(super) fn clamp(private: &mut [u8; 32]) {
    let [first, .., last] = private;

    *first &= 248;
    *last = *last & 127 | 64;
}
