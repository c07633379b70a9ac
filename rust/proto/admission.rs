// SPDX-License-Identifier: GPL-2.0

//! Which handshake messages are let in.
//!
//! There are two checks. Before a message costs memory, [`may_wait`] rejects senders that do not know
//! our public key. Before it costs a Diffie-Hellman, [`admit`] demands a cookie under load, and limits
//! the rate of each source.

#[cfg(test)]
mod tests;

use crate::{
    cookie::{
        Checker,
        Source, //
    },
    crypto::Suite,
    identity::Identity,
    mac::FirstMac,
    wire::{
        CookieReply,
        Index,
        Kind, //
    }, //
};

/// What is to be done with a handshake message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is processed.
    Process,
    /// Its sender is sent a cookie, to be proven by the next message.
    Challenge(CookieReply),
    /// It is dropped.
    Refuse,
}

/// What [`admit`] asks for, if it has to.
pub trait Host {
    /// Returns whether we are under load: there are too many handshake messages.
    fn is_under_load(&mut self) -> bool;

    /// Copies the cookie checker, its secret [not too old](Checker::refresh), to `copy`.
    fn copy_checker(&mut self, copy: &mut Checker);

    /// Returns whether the source may have another message processed now.
    fn allows(&mut self) -> bool;

    /// Fills the nonce of a cookie reply with random bytes.
    fn fill(&mut self, nonce: &mut [u8; 24]);
}

/// Returns whether a message of that `kind` is to be queued.
///
/// `first_mac` is of our identity, if we have one; `is_known` tells whether an index is in use by us.
pub fn may_wait<S: Suite>(
    kind: Kind,
    message: &[u8],
    first_mac: Option<&FirstMac>,
    is_known: impl FnOnce(Index) -> bool,
) -> bool {
    match kind {
        Kind::Initiation | Kind::Response => {
            first_mac.is_some_and(|own| own.is_right::<S>(message))
        }
        Kind::CookieReply => {
            let reply = message.first_chunk().and_then(CookieReply::from_bytes);

            reply.is_some_and(|reply| is_known(reply.receiver))
        }
        Kind::Data => false,
    }
}

/// Decides on an initiation or a response that was [queued](may_wait).
///
/// `sender` is the index at its sender, and `identity` is ours.
pub fn admit<S: Suite>(
    identity: &Identity,
    message: &[u8],
    sender: Index,
    source: &Source,
    host: &mut impl Host,
) -> Admission {
    if !host.is_under_load() {
        return Admission::Process;
    }

    let mut checker = Checker::new();

    host.copy_checker(&mut checker);
    if !checker.has_secret() {
        return Admission::Refuse;
    }
    if checker.check_mac2::<S>(message, source) {
        return match host.allows() {
            true => Admission::Process,
            false => Admission::Refuse,
        };
    }

    let mut nonce = [0; 24];

    host.fill(&mut nonce);
    checker
        .reply::<S>(identity, message, sender, source, &nonce)
        .map_or(Admission::Refuse, Admission::Challenge)
}
