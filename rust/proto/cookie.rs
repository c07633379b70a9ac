// SPDX-License-Identifier: GPL-2.0

//! Cookies, and the second MAC of handshake messages.
//!
//! A responder under load demands proof that the source of a handshake message can receive at its
//! address, before it spends a Diffie-Hellman on it. It answers with a cookie, a MAC of that
//! source under a secret which it replaces every two minutes ([`Checker`]). The sender uses the
//! cookie as the key of the second MAC of its later messages ([`Maker`]). The first MAC is in
//! [`crate::mac`].

#[cfg(test)]
mod tests;

use crate::{
    crypto::Suite,
    identity::Identity,
    limits::{
        self,
        COOKIE_SECRET_LATENCY,
        COOKIE_SECRET_MAX_AGE, //
    },
    mac::{
        cookie_key,
        mac1_key,
        split_macs,
        split_macs_mut, //
    },
    secret::Secret,
    wire::{
        concat,
        CookieReply,
        Index, //
    }, //
};

/// The source of a message, as the input of the cookie's MAC.
pub struct Source {
    /// Address, then port, as on the wire.
    bytes: [u8; 18],
    /// How many of the bytes are used.
    len: usize,
}

impl Source {
    /// Returns the source with that IPv4 address and port.
    pub fn v4(addr: &[u8; 4], port: u16) -> Self {
        Self::new(addr, port)
    }

    /// Returns the source with that IPv6 address and port.
    pub fn v6(addr: &[u8; 16], port: u16) -> Self {
        Self::new(addr, port)
    }

    fn new(addr: &[u8], port: u16) -> Self {
        let port = port.to_be_bytes();

        Self {
            bytes: concat([addr, &port]),
            len: addr.len().saturating_add(port.len()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The side that issues cookies: one per interface.
pub struct Checker {
    /// Key of the MAC that is the cookie of a source.
    secret: Secret<32>,
    /// When `secret` was drawn, if ever.
    born_ns: Option<u64>,
}

impl Checker {
    /// Returns a checker that has no secret yet.
    pub const fn new() -> Self {
        Self {
            secret: Secret::zero(),
            born_ns: None,
        }
    }

    /// Makes this a copy of `other`, so that `other` need not be locked for long.
    pub fn copy_from(&mut self, other: &Self) {
        self.secret.copy_from(&other.secret);
        self.born_ns = other.born_ns;
    }

    /// Replaces the secret with random bytes that `fill` draws at `now_ns`, if there is none or it is
    /// too old. That invalidates all cookies.
    pub fn refresh(&mut self, fill: impl FnOnce(&mut [u8; 32]), now_ns: u64) {
        if self
            .born_ns
            .is_none_or(|born_ns| limits::expired(born_ns, COOKIE_SECRET_MAX_AGE, now_ns))
        {
            fill(self.secret.as_mut_bytes());
            self.born_ns = Some(now_ns);
        }
    }

    /// Returns whether there is a secret. Without one, everybody could make cookies.
    pub(crate) fn has_secret(&self) -> bool {
        self.born_ns.is_some()
    }

    /// Forgets the secret, which invalidates all cookies.
    pub fn forget(&mut self) {
        self.secret.wipe();
        self.born_ns = None;
    }

    /// Returns the cookie for a source.
    fn cookie<S: Suite>(&self, source: &Source) -> [u8; 16] {
        let mut cookie = [0; 16];

        S::mac(self.secret.as_bytes(), &[source.as_bytes()], &mut cookie);
        cookie
    }

    /// Returns whether the second MAC of `message` was made with the cookie for `source`.
    pub(crate) fn check_mac2<S: Suite>(&self, message: &[u8], source: &Source) -> bool {
        let Some((body, mac1, mac2)) = split_macs(message) else {
            return false;
        };
        let mut mac = [0; 16];

        S::mac(&self.cookie::<S>(source), &[body, mac1], &mut mac);
        S::eq(&mac, mac2)
    }

    /// Creates the cookie reply to `message`, which came from `source` and has the sender index `sender`.
    ///
    /// Returns `None` if it is too short for a handshake message.
    pub(crate) fn reply<S: Suite>(
        &self,
        identity: &Identity,
        message: &[u8],
        sender: Index,
        source: &Source,
        nonce: &[u8; 24],
    ) -> Option<CookieReply> {
        let (_, mac1, _) = split_macs(message)?;
        let mut reply = CookieReply {
            receiver: sender,
            nonce: *nonce,
            encrypted_cookie: [0; 32],
        };

        S::xseal(
            &mut reply.encrypted_cookie,
            &self.cookie::<S>(source),
            mac1,
            nonce,
            identity.cookie_key().as_bytes(),
        );
        Some(reply)
    }
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a cookie reply is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing was sent since the last one.
    NotAsked,
    /// It does not answer the message that was sent last.
    Invalid,
}

/// The side that uses cookies: one per peer.
pub struct Maker {
    /// Key of the first MAC.
    mac1_key: Secret<32>,
    /// Key of cookie replies.
    cookie_key: Secret<32>,
    /// The first MAC of the last message sent, unless a reply to it was accepted.
    unanswered: Option<[u8; 16]>,
    /// The last cookie received.
    cookie: Secret<16>,
    /// When it was received, if ever.
    cookie_born_ns: Option<u64>,
}

impl Maker {
    /// Returns the state for the peer with that static public key.
    pub fn new<S: Suite>(remote_static: &[u8; 32]) -> Self {
        let mut maker = Self {
            mac1_key: Secret::zero(),
            cookie_key: Secret::zero(),
            unanswered: None,
            cookie: Secret::zero(),
            cookie_born_ns: None,
        };

        mac1_key::<S>(remote_static, maker.mac1_key.as_mut_bytes());
        cookie_key::<S>(remote_static, maker.cookie_key.as_mut_bytes());
        maker
    }

    /// Writes the MACs, the last 32 bytes of `message`.
    ///
    /// The second is zero if there is no cookie, or none that the peer would still accept. A `message`
    /// too short to be a handshake message is left as it is.
    pub fn add_macs<S: Suite>(&mut self, message: &mut [u8], now_ns: u64) {
        const MAX_AGE: u64 = COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY;

        let Some((body, mac1, mac2)) = split_macs_mut(message) else {
            return;
        };

        S::mac(self.mac1_key.as_bytes(), &[body], mac1);
        self.unanswered = Some(*mac1);

        match self.cookie_born_ns {
            Some(born_ns) if !limits::expired(born_ns, MAX_AGE, now_ns) => {
                S::mac(self.cookie.as_bytes(), &[body, mac1], mac2);
            }
            _ => *mac2 = [0; 16],
        }
    }

    /// Forgets the cookie.
    pub fn forget(&mut self) {
        self.cookie.wipe();
        self.cookie_born_ns = None;
    }

    /// Accepts a cookie, at most once for each message sent.
    pub fn consume_reply<S: Suite>(
        &mut self,
        reply: &CookieReply,
        now_ns: u64,
    ) -> Result<(), Refusal> {
        let mac1 = self.unanswered.ok_or(Refusal::NotAsked)?;
        let mut cookie = Secret::<16>::zero();

        if !S::xopen(
            cookie.as_mut_bytes(),
            &reply.encrypted_cookie,
            &mac1,
            &reply.nonce,
            self.cookie_key.as_bytes(),
        ) {
            return Err(Refusal::Invalid);
        }

        self.cookie.copy_from(&cookie);
        self.cookie_born_ns = Some(now_ns);
        self.unanswered = None;
        Ok(())
    }
}
