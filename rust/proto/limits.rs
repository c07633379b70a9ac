// SPDX-License-Identifier: GPL-2.0

//! The constants of the protocol, under the names that its paper gives them, and expiry.
//!
//! Times are in seconds unless their name says otherwise.

/// Nanoseconds in a second.
pub const NSEC_PER_SEC: u64 = 1_000_000_000;

/// Bits in the bitmap of the replay window.
pub const COUNTER_BITS_TOTAL: usize = 8192;

/// How far behind the newest counter another one is still accepted.
///
/// One word of the bitmap is redundant, as it is the one to be cleared next.
#[expect(clippy::as_conversions, reason = "`From` is not const")]
pub const COUNTER_WINDOW_SIZE: u64 = COUNTER_BITS_TOTAL as u64 - usize::BITS as u64;

/// Messages sent with one key after which a rekey is due.
pub const REKEY_AFTER_MESSAGES: u64 = 1 << 60;

/// Messages after which a key is no longer used.
pub const REJECT_AFTER_MESSAGES: u64 = u64::MAX - COUNTER_WINDOW_SIZE - 1;

/// Time to wait for a response before another initiation is sent.
pub const REKEY_TIMEOUT: u64 = 5;

/// Age of a key at which the initiator rekeys when it sends.
pub const REKEY_AFTER_TIME: u64 = 120;

/// Age at which a key is no longer used.
pub const REJECT_AFTER_TIME: u64 = 180;

/// Time after which received data is answered by a keepalive, if nothing else was sent.
pub const KEEPALIVE_TIMEOUT: u64 = 10;

/// Initiations that are accepted from one peer per second.
pub const INITIATIONS_PER_SECOND: u64 = 50;

/// Maximum number of peers of one interface.
pub const MAX_PEERS: usize = 1 << 20;

/// Handshake attempts after which no more are made without new data.
pub const MAX_TIMER_HANDSHAKES: u32 = 18;

/// Age at which the secret that cookies are made from is replaced.
pub const COOKIE_SECRET_MAX_AGE: u64 = 120;

/// By how much earlier the receiver of a cookie stops using it than its secret is replaced.
pub const COOKIE_SECRET_LATENCY: u64 = 5;

/// Maximum number of handshake messages of one interface that wait to be processed.
pub const MAX_QUEUED_INCOMING_HANDSHAKES: usize = 4096;

/// Maximum number of cookie replies of one interface that wait to be processed, besides these.
pub const MAX_QUEUED_COOKIE_REPLIES: usize = 256;

/// Maximum number of packets of one peer that wait for a key.
pub const MAX_STAGED_PACKETS: usize = 128;

/// Maximum number of batches of packets that wait to be encrypted, or decrypted.
pub const MAX_QUEUED_PACKETS: usize = 1024;

/// Returns whether something created at `birth_ns` is at least `seconds` old at `now_ns`.
///
/// `birth_ns` may lie before the epoch of the clock, that is, be a wrapped negative number.
#[inline]
pub const fn expired(birth_ns: u64, seconds: u64, now_ns: u64) -> bool {
    reached(
        birth_ns.wrapping_add(seconds.wrapping_mul(NSEC_PER_SEC)),
        now_ns,
    )
}

/// Returns whether `now_ns` is at or after `deadline_ns`.
#[inline]
pub const fn reached(deadline_ns: u64, now_ns: u64) -> bool {
    now_ns.wrapping_sub(deadline_ns) <= u64::MAX >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = NSEC_PER_SEC;

    #[test]
    fn counters_have_room_for_the_window() {
        let window = if usize::BITS == 64 { 8128 } else { 8160 };

        assert_eq!(COUNTER_WINDOW_SIZE, window);
        assert_eq!(REJECT_AFTER_MESSAGES, u64::MAX - window - 1);
    }

    #[test]
    fn interfaces_have_limits() {
        assert_eq!(MAX_PEERS, 1_048_576);
        assert_eq!(MAX_STAGED_PACKETS, 128);
        assert_eq!(MAX_QUEUED_PACKETS, 1024);
        assert_eq!(MAX_QUEUED_INCOMING_HANDSHAKES, 4096);
        assert_eq!(MAX_QUEUED_COOKIE_REPLIES, 256);
    }

    #[test]
    fn expires_to_the_nanosecond() {
        assert!(!expired(7, 5, 7));
        assert!(!expired(7, 5, 5 * SECOND + 6));
        assert!(expired(7, 5, 5 * SECOND + 7));
        assert!(expired(7, 5, 5 * SECOND + 8));
        assert!(expired(7, 0, 7));
    }

    #[test]
    fn expires_if_born_before_the_clock() {
        let birth = SECOND.wrapping_sub(6 * SECOND);

        assert!(expired(birth, 5, SECOND));
        assert!(expired(birth, 5, 0));
        assert!(!expired(birth, 6, SECOND - 1));
    }

    #[test]
    fn does_not_expire_if_born_in_the_future() {
        assert!(!expired(10 * SECOND, 5, 0));
        assert!(!expired(10 * SECOND, 0, 10 * SECOND - 1));
    }

    #[test]
    fn reaches_a_deadline() {
        assert!(reached(3, 3));
        assert!(reached(3, 4));
        assert!(!reached(4, 3));
        assert!(reached(u64::MAX, 0));
        assert!(!reached(0, u64::MAX));
        // Half of all times are before, and half after.
        assert!(reached(0, u64::MAX >> 1));
        assert!(!reached(0, 1 << 63));
    }
}
