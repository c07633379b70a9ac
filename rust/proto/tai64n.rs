// SPDX-License-Identifier: GPL-2.0

//! Timestamps of handshake initiations.
//!
//! They are in the TAI64N format, see <https://cr.yp.to/libtai/tai64.html>, but only as precise as
//! the protocol needs.

/// The TAI64 label of 1970-01-01 00:00:00 UTC: 2^62, plus the ten leap seconds of that time.
const UNIX_EPOCH: u64 = 0x4000_0000_0000_000a;

/// Resolution in nanoseconds: the largest power of two below the 20 ms that must lie between two
/// initiations anyway.
const GRANULARITY: u32 = 1 << 24;

/// A point in time as 8 bytes of seconds and 4 of nanoseconds, both big endian.
///
/// The byte order makes comparing the bytes the same as comparing the times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub [u8; 12]);

impl Timestamp {
    /// Returns the timestamp for a Unix time, its nanoseconds rounded down to a multiple of 2^24.
    ///
    /// Rounding keeps the peer from measuring our clock.
    pub fn from_unix(secs: i64, nanos: u32) -> Self {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = UNIX_EPOCH.wrapping_add_signed(secs).to_be_bytes();
        let [n0, n1, n2, n3] = (nanos & !(GRANULARITY - 1)).to_be_bytes();

        Self([s0, s1, s2, s3, s4, s5, s6, s7, n0, n1, n2, n3])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(timestamp: Timestamp) -> (u64, u32) {
        let (secs, nanos) = timestamp.0.split_at(8);

        (
            u64::from_be_bytes(secs.try_into().unwrap()),
            u32::from_be_bytes(nanos.try_into().unwrap()),
        )
    }

    #[test]
    fn counts_seconds_from_the_label() {
        assert_eq!(
            Timestamp::from_unix(0, 0).0,
            [0x40, 0, 0, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0]
        );
        // The example of cr.yp.to/libtai/tai64.html: 1992-06-02 08:07:09 TAI, of which the leap
        // seconds since 1970 are not subtracted here.
        assert_eq!(
            parts(Timestamp::from_unix(0x2a2b_2c2d - 10, 0)).0,
            0x4000_0000_2a2b_2c2d
        );
        assert_eq!(parts(Timestamp::from_unix(-11, 0)).0, 0x3fff_ffff_ffff_ffff);
        // Nonsense, but not a panic.
        assert_eq!(
            parts(Timestamp::from_unix(i64::MIN, u32::MAX)).0,
            0xc000_0000_0000_000a
        );
    }

    #[test]
    fn rounds_nanoseconds_down() {
        for (nanos, rounded) in [
            (0, 0),
            (0x00ff_ffff, 0),
            (0x0100_0000, 0x0100_0000),
            (999_999_999, 0x3b00_0000),
        ] {
            assert_eq!(parts(Timestamp::from_unix(1, nanos)).1, rounded);
        }
    }

    #[test]
    fn is_ordered_by_time() {
        let times = [
            Timestamp::default(),
            Timestamp::from_unix(-1, 0),
            Timestamp::from_unix(0, 0),
            Timestamp::from_unix(0, 1 << 24),
            Timestamp::from_unix(1, 0),
            Timestamp::from_unix(255, 0),
            Timestamp::from_unix(256, 0),
        ];

        assert!(times.is_sorted_by(|a, b| a < b));
        // Two within one granule cannot be told apart.
        assert_eq!(Timestamp::from_unix(7, 1), Timestamp::from_unix(7, 2));
    }
}
