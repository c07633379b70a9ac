// SPDX-License-Identifier: GPL-2.0

//! Time stamps of handshake initiations.
//!
//! They are in the TAI64N format, see <https://cr.yp.to/libtai/tai64.html>, but only as exact as
//! the protocol needs them.

/// TAI64's label of 1970-01-01 00:00:00 UTC: 2^62, and the ten leap seconds of then.
const UNIX_EPOCH: u64 = 0x4000_0000_0000_000a;

/// The nanoseconds that are told apart: the largest power of two below the 20 ms that must lie
/// between two initiations anyway.
const GRANULARITY: u32 = 1 << 24;

/// A point in time as 8 bytes of seconds and 4 of nanoseconds, both big endian.
///
/// The byte order makes comparing the bytes the same as comparing the times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub [u8; 12]);

impl Timestamp {
    /// Returns the time stamp for a Unix time, its nanoseconds rounded down to a multiple of 2^24.
    ///
    /// Rounding keeps the peer from measuring our clock.
    pub fn from_unix(secs: i64, nanos: u32) -> Self {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = UNIX_EPOCH.wrapping_add_signed(secs).to_be_bytes();
        let [n0, n1, n2, n3] = (nanos & !(GRANULARITY - 1)).to_be_bytes();

        Self([s0, s1, s2, s3, s4, s5, s6, s7, n0, n1, n2, n3])
    }
}
