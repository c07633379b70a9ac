// SPDX-License-Identifier: GPL-2.0

//! How many handshakes a source may ask for, once there are too many of them.

use crate::limits::{
    expired,
    MAX_QUEUED_INCOMING_HANDSHAKES,
    NSEC_PER_SEC, //
};

/// Handshakes a second that a source may ask for.
pub const PACKETS_PER_SECOND: u64 = 20;
/// Handshakes that a source may ask for at once.
pub const PACKETS_BURSTABLE: u64 = 5;
/// Sources that may be remembered, for each bucket of the table that they are found by.
pub const SOURCES_PER_BUCKET: usize = 8;

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
    /// Returns the bucket of a source from which the first packet came, and was allowed.
    pub const fn new(now_ns: u64) -> Self {
        Self {
            last_ns: now_ns,
            tokens: TOKEN_MAX - PACKET_COST,
        }
    }

    /// Allows another packet, or does not.
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

    /// Returns whether the source was silent for so long that it may be forgotten.
    pub const fn is_idle(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.last_ns) > NSEC_PER_SEC
    }
}

/// Returns what stands for a source in the table, given its IPv4 address.
pub const fn source_v4(addr: &[u8; 4]) -> u64 {
    let [a, b, c, d] = *addr;

    u64::from_be_bytes([0, 0, 0, 0, a, b, c, d])
}

/// Returns what stands for a source in the table, given its IPv6 address: its /64, as that is what
/// somebody usually has.
pub const fn source_v6(addr: &[u8; 16]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *addr;

    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Returns how many buckets the table is to have in a machine with `memory` bytes, a power of two.
pub fn buckets(memory: u64) -> usize {
    if memory > 1 << 30 {
        return 8192;
    }

    // One for each 16 KiB that a pointer takes a share of.
    let bytes_of_each = 16384usize.saturating_mul(size_of::<usize>());
    usize::try_from(memory)
        .unwrap_or(0)
        .checked_div(bytes_of_each)
        .unwrap_or(0)
        .checked_next_power_of_two()
        .unwrap_or(0)
        .max(16)
}

/// Whether there are so many handshakes that they have to show cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// When there were too many; 0 for long ago.
    pub last_ns: u64,
}

impl Load {
    /// Handshakes in the queue from which on there are too many.
    pub const MANY: usize = MAX_QUEUED_INCOMING_HANDSHAKES / 8;

    /// Returns whether there are too many handshakes, or were less than a second ago.
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
