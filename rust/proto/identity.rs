// SPDX-License-Identifier: GPL-2.0

//! Our static identity.

use crate::{
    crypto::Suite,
    mac::{
        cookie_key,
        FirstMac, //
    },
    secret::Secret, //
};

/// Our static key pair, and the keys that are derived from it.
///
/// It does not change once it is shared: another private key makes another identity.
pub struct Identity {
    /// Private key, clamped.
    private: Secret<32>,
    /// Public key.
    public: [u8; 32],
    /// Checks the first MAC of messages to us.
    first_mac: FirstMac,
    /// Key of our cookie replies.
    cookie_key: Secret<32>,
}

impl Identity {
    /// Returns an identity without keys, to be [initialized](Self::initialize) in place.
    pub const fn zero() -> Self {
        Self {
            private: Secret::zero(),
            public: [0; 32],
            first_mac: FirstMac::zero(),
            cookie_key: Secret::zero(),
        }
    }

    /// Makes this the identity of a private key.
    ///
    /// Returns `None`, and leaves the identity as it was, if the key is all zero.
    pub fn initialize<S: Suite>(&mut self, private: &[u8; 32]) -> Option<()> {
        self.public = public_key::<S>(private)?;
        *self.private.as_mut_bytes() = *private;
        clamp(self.private.as_mut_bytes());
        self.first_mac = FirstMac::new::<S>(&self.public);
        cookie_key::<S>(&self.public, self.cookie_key.as_mut_bytes());
        Some(())
    }

    /// Returns the private key, clamped.
    pub fn private(&self) -> &[u8; 32] {
        self.private.as_bytes()
    }

    /// Returns the public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// Returns the check of the first MAC of messages to us.
    pub fn first_mac(&self) -> &FirstMac {
        &self.first_mac
    }

    /// Returns the private key as a [`Secret`].
    pub(crate) fn private_key(&self) -> &Secret<32> {
        &self.private
    }

    /// Returns the key of our cookie replies.
    pub(crate) fn cookie_key(&self) -> &Secret<32> {
        &self.cookie_key
    }
}

/// Returns the public key of a private one, or `None` if that is all zero.
fn public_key<S: Suite>(private: &[u8; 32]) -> Option<[u8; 32]> {
    let mut public = [0; 32];

    if S::eq(private, &[0; 32]) || !S::x25519_public(&mut public, private) {
        return None;
    }
    Some(public)
}

/// Clamps random bytes to a private key of Curve25519 (RFC 7748, section 5).
pub(crate) fn clamp(private: &mut [u8; 32]) {
    let [first, .., last] = private;

    *first &= 248;
    *last = *last & 127 | 64;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        suite::RustCrypto,
        vectors, //
    };

    fn identity(private: &[u8; 32]) -> Option<Identity> {
        let mut identity = Identity::zero();

        identity.initialize::<RustCrypto>(private)?;
        Some(identity)
    }

    #[test]
    fn has_the_known_public_key() {
        for [private, public] in vectors::X25519_PUBLIC.iter().chain(&[
            [vectors::INITIATOR, vectors::INITIATOR_PUBLIC],
            [vectors::RESPONDER, vectors::RESPONDER_PUBLIC],
        ]) {
            assert_eq!(public_key::<RustCrypto>(private), Some(*public));
            assert_eq!(identity(private).unwrap().public(), public);
        }
    }

    #[test]
    fn keeps_the_private_key_clamped() {
        let ones = identity(&[0xff; 32]).unwrap();
        let mut clamped = [0xff; 32];

        clamped[0] = 0xf8;
        clamped[31] = 0x7f;
        assert_eq!(ones.private(), &clamped);

        // Clamping does not change the public key.
        let again = identity(&clamped).unwrap();

        assert_eq!(again.private(), &clamped);
        assert_eq!(again.public(), ones.public());

        let mut lowest = [0; 32];

        lowest[0] = 1;
        clamped = [0; 32];
        clamped[31] = 0x40;
        assert_eq!(identity(&lowest).unwrap().private(), &clamped);
    }

    #[test]
    fn there_is_none_of_zeros() {
        assert!(identity(&[0; 32]).is_none());
        assert!(public_key::<RustCrypto>(&[0; 32]).is_none());
    }

    #[test]
    fn checks_the_first_mac() {
        let responder = identity(&vectors::RESPONDER).unwrap();
        let other = identity(&vectors::INITIATOR).unwrap();
        let message = vectors::INITIATION;

        assert!(responder.first_mac().is_right::<RustCrypto>(&message));
        assert!(other.first_mac().is_right::<RustCrypto>(&vectors::RESPONSE));
        assert!(!other.first_mac().is_right::<RustCrypto>(&message));
        assert!(!responder
            .first_mac()
            .is_right::<RustCrypto>(&vectors::RESPONSE));

        for (position, _) in message.iter().enumerate() {
            let mut message = message;

            message[position] ^= 0x10;
            // It covers all but the second.
            assert_eq!(
                responder.first_mac().is_right::<RustCrypto>(&message),
                position >= 132
            );
        }
        for len in 0..message.len() {
            assert!(!responder
                .first_mac()
                .is_right::<RustCrypto>(&message[..len]));
        }
    }
}
