// SPDX-License-Identifier: GPL-2.0

//! The MACs that end handshake messages, and the first of them.
//!
//! The first is keyed by the receiver's public key only; a message without a valid one is never
//! answered. The second is keyed by a [cookie](crate::cookie).

use crate::crypto::Suite;

/// Checks the first MAC of messages to us, which anybody can make who knows our public key.
///
/// It holds no secrets.
#[derive(Clone)]
pub struct FirstMac {
    /// Key of the first MAC of messages to us.
    key: [u8; 32],
}

impl FirstMac {
    /// Returns a check without a key yet.
    pub(crate) const fn zero() -> Self {
        Self { key: [0; 32] }
    }

    /// Returns the check for the receiver with that static public key.
    pub fn new<S: Suite>(public: &[u8; 32]) -> Self {
        let mut check = Self::zero();

        mac1_key::<S>(public, &mut check.key);
        check
    }

    /// Returns whether the first MAC of `message` is right.
    ///
    /// The MACs are the last 32 bytes of `message`.
    pub fn is_right<S: Suite>(&self, message: &[u8]) -> bool {
        let Some((body, mac1, _)) = split_macs(message) else {
            return false;
        };
        let mut mac = [0; 16];

        S::mac(&self.key, &[body], &mut mac);
        S::eq(&mac, mac1)
    }
}

/// Derives the key of the first MAC of messages to the receiver with that static public key.
pub(crate) fn mac1_key<S: Suite>(public: &[u8; 32], key: &mut [u8; 32]) {
    S::hash(&[b"mac1----", public], key);
}

/// Derives the key of cookie replies from the sender with that static public key.
pub(crate) fn cookie_key<S: Suite>(public: &[u8; 32], key: &mut [u8; 32]) {
    S::hash(&[b"cookie--", public], key);
}

/// Splits a handshake message into the part that the first MAC covers, the first MAC, and the second.
pub(crate) fn split_macs(message: &[u8]) -> Option<(&[u8], &[u8; 16], &[u8; 16])> {
    let (rest, mac2) = message.split_last_chunk()?;
    let (body, mac1) = rest.split_last_chunk()?;

    Some((body, mac1, mac2))
}

/// Mutable version of [`split_macs`].
pub(crate) fn split_macs_mut(
    message: &mut [u8],
) -> Option<(&mut [u8], &mut [u8; 16], &mut [u8; 16])> {
    let (rest, mac2) = message.split_last_chunk_mut()?;
    let (body, mac1) = rest.split_last_chunk_mut()?;

    Some((body, mac1, mac2))
}
