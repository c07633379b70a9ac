// SPDX-License-Identifier: GPL-2.0

//! The constants of the protocol, by the names of the paper, and the age of things.

/// Counters behind the newest one that a receiver still accepts: see [`crate::replay`].
pub const WINDOW: u64 = 8192 - if usize::BITS == 64 { 64 } else { 32 };

/// Messages after which a session is renewed.
pub const REKEY_AFTER_MESSAGES: u64 = 1 << 60;
/// Counter from which on a session is unusable.
pub const REJECT_AFTER_MESSAGES: u64 = u64::MAX - WINDOW - 1;
/// Seconds between two initiations to one peer.
pub const REKEY_TIMEOUT: u64 = 5;
/// Seconds after which the initiator of a session renews it.
pub const REKEY_AFTER_TIME: u64 = 120;
/// Seconds after which a session is unusable.
pub const REJECT_AFTER_TIME: u64 = 180;
/// Seconds after which what was received is answered, if only by an empty packet.
pub const KEEPALIVE_TIMEOUT: u64 = 10;
/// Initiations a second that a peer may send.
pub const INITIATIONS_PER_SECOND: u64 = 50;
/// Peers of one interface.
pub const MAX_PEERS: usize = 1 << 20;
/// Retransmissions of an initiation, less one, before giving up.
pub const MAX_TIMER_HANDSHAKES: u32 = 18;
/// Seconds for which a secret makes cookies.
pub const COOKIE_SECRET_MAX_AGE: u64 = 120;
/// Seconds that a cookie is considered stale earlier by its user than by its maker.
pub const COOKIE_SECRET_LATENCY: u64 = 5;
/// Handshake messages that may wait to be looked at.
pub const MAX_QUEUED_INCOMING_HANDSHAKES: usize = 4096;
/// Packets that may wait for the handshake of their peer.
pub const MAX_STAGED_PACKETS: usize = 128;
/// Packets that may wait in one queue.
pub const MAX_QUEUED_PACKETS: usize = 1024;

/// Nanoseconds in a second.
const NSEC_PER_SEC: u64 = 1_000_000_000;

/// Returns whether what was born at `birth_ns` is at least `seconds` old.
///
/// Instants may wrap around.
#[inline]
pub const fn expired(birth_ns: u64, seconds: u64, now_ns: u64) -> bool {
    let death_ns = birth_ns.wrapping_add(seconds.wrapping_mul(NSEC_PER_SEC));

    // The sign bit of the difference.
    now_ns.wrapping_sub(death_ns) >> 63 == 0
}
