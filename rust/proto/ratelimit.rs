// SPDX-License-Identifier: GPL-2.0

//! The rate limit of handshakes by source, which applies under load.

use crate::limits::{
    expired,
    MAX_QUEUED_INCOMING_HANDSHAKES,
    NSEC_PER_SEC, //
};

/// Handshakes per second that a source may request.
const PACKETS_PER_SECOND: u64 = 20;
/// Handshakes that a source may request in a burst.
const PACKETS_BURSTABLE: u64 = 5;
/// Sources that may be remembered per bucket of the table that they would be found in.
const SOURCES_PER_BUCKET: usize = 8;

/// Tokens that a handshake costs: a token is a nanosecond.
const PACKET_COST: u64 = NSEC_PER_SEC / PACKETS_PER_SECOND;
/// Tokens that can be saved up.
const TOKEN_MAX: u64 = PACKET_COST * PACKETS_BURSTABLE;

/// The tokens of one source.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// When tokens were last added.
    last_ns: u64,
    /// Tokens.
    tokens: u64,
}

impl Bucket {
    /// Returns the bucket of a new source, whose first packet was allowed.
    pub const fn new(now_ns: u64) -> Self {
        Self {
            last_ns: now_ns,
            tokens: TOKEN_MAX - PACKET_COST,
        }
    }

    /// Returns whether another packet is allowed, and takes its tokens if so.
    pub fn allow(&mut self, now_ns: u64) -> bool {
        let tokens = self
            .tokens
            .saturating_add(now_ns.saturating_sub(self.last_ns))
            .min(TOKEN_MAX);
        let left = tokens.checked_sub(PACKET_COST);

        self.last_ns = now_ns;
        self.tokens = left.unwrap_or(tokens);
        left.is_some()
    }

    /// Returns whether the source has been silent for long enough to be forgotten.
    pub const fn is_idle(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.last_ns) > NSEC_PER_SEC
    }
}

/// Returns the table's key for a source, given its IPv4 address.
pub const fn source_v4(addr: &[u8; 4]) -> u64 {
    let [a, b, c, d] = *addr;

    u64::from_be_bytes([0, 0, 0, 0, a, b, c, d])
}

/// Returns the table's key for a source, given its IPv6 address: its /64, as a single host usually
/// has all of that.
pub const fn source_v6(addr: &[u8; 16]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *addr;

    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Returns how many sources may be remembered on a machine with `memory` bytes.
pub fn max_sources(memory: u64) -> usize {
    buckets(memory).saturating_mul(SOURCES_PER_BUCKET)
}

/// Returns how many buckets a table would have on a machine with `memory` bytes, a power of two.
fn buckets(memory: u64) -> usize {
    if memory > 1 << 30 {
        return 8192;
    }

    // One for each 16 KiB times the size of a pointer.
    let bytes_of_each = 16384usize.saturating_mul(size_of::<usize>());
    usize::try_from(memory)
        .unwrap_or(0)
        .checked_div(bytes_of_each)
        .unwrap_or(0)
        .checked_next_power_of_two()
        .unwrap_or(0)
        .max(16)
}

/// Whether we are under load: there are so many handshakes that cookies are required.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// When there were too many; 0 for long ago.
    pub last_ns: u64,
}

impl Load {
    /// Number of queued handshakes from which on we are under load.
    const MANY: usize = MAX_QUEUED_INCOMING_HANDSHAKES / 8;

    /// Returns whether we are under load, or were less than a second ago.
    pub fn is_high(&mut self, queued: usize, now_ns: u64) -> bool {
        if queued >= Self::MANY {
            self.last_ns = now_ns;
            return true;
        }
        if self.last_ns != 0 && expired(self.last_ns, 1, now_ns) {
            self.last_ns = 0;
        }
        self.last_ns != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = NSEC_PER_SEC / 1000;

    #[test]
    fn allows_a_burst_and_then_a_rate() {
        // The case that the C driver tests itself with: milliseconds to wait, and the answer.
        let steps = [
            (0, true),
            (0, true),
            (0, true),
            (0, true),
            (0, false),
            (50, true),
            (0, false),
            (100, true),
            (0, true),
            (0, false),
        ];
        let mut now = 12345;
        let mut bucket = Bucket::new(now);

        for (i, (wait, allowed)) in steps.into_iter().enumerate() {
            now += wait * MILLISECOND;
            assert_eq!(bucket.allow(now), allowed, "step {i}");
        }
    }

    #[test]
    fn allows_the_rate_for_ever() {
        let mut bucket = Bucket::new(0);
        let allowed = (1..=100_000)
            .filter(|n| bucket.allow(n * MILLISECOND))
            .count();

        assert_eq!(allowed, 4 + 100 * 20);
    }

    #[test]
    fn saves_no_more_than_a_burst() {
        let mut bucket = Bucket::new(0);

        for now in [1000 * NSEC_PER_SEC, u64::MAX] {
            assert!((0..5).all(|_| bucket.allow(now)));
            assert!(!bucket.allow(now));
        }
        // A clock that goes back is of no use to anybody.
        assert!(!bucket.allow(0));
        assert!(!bucket.allow(MILLISECOND * 49));
        assert!(bucket.allow(MILLISECOND * 50));
    }

    #[test]
    fn is_idle_after_a_second() {
        let mut bucket = Bucket::new(7);

        assert!(!bucket.is_idle(7));
        assert!(!bucket.is_idle(NSEC_PER_SEC + 7));
        assert!(bucket.is_idle(NSEC_PER_SEC + 8));
        bucket.allow(NSEC_PER_SEC + 8);
        assert!(!bucket.is_idle(NSEC_PER_SEC + 8));
        assert!(!bucket.is_idle(0));
    }

    #[test]
    fn tells_sources_apart() {
        let addr = |last: u8| core::array::from_fn(|i| if i == 15 { last } else { i as u8 });

        assert_eq!(source_v4(&[1, 2, 3, 4]), 0x0102_0304);
        assert_eq!(source_v6(&addr(1)), 0x0001_0203_0405_0607);
        assert_eq!(source_v6(&addr(1)), source_v6(&addr(2)));
    }

    #[test]
    fn table_fits_the_machine() {
        let pointer = size_of::<usize>() as u64;

        assert_eq!(buckets(0), 16);
        assert_eq!(buckets(16 * 16384 * pointer), 16);
        assert_eq!(buckets(17 * 16384 * pointer), 32);
        assert_eq!(buckets((1 << 30) + 1), 8192);
        assert_eq!(buckets(u64::MAX), 8192);
        assert_eq!(max_sources(u64::MAX), 65536);
    }

    #[test]
    fn load_lasts_a_second() {
        let mut load = Load::default();

        assert!(!load.is_high(511, 1));
        assert!(load.is_high(512, 5));
        assert!(load.is_high(0, NSEC_PER_SEC + 4));
        assert!(!load.is_high(0, NSEC_PER_SEC + 5));
        assert_eq!(load, Load::default());
        assert!(load.is_high(4096, 3 * NSEC_PER_SEC));
        assert!(load.is_high(513, 7 * NSEC_PER_SEC));
        assert!(load.is_high(511, 7 * NSEC_PER_SEC + 1));
    }
}
