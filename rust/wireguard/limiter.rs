// SPDX-License-Identifier: GPL-2.0

//! The load of handshakes, and the limit of their rate, over all devices.

use wg_kernel::prelude::*;
use wg_proto::ratelimit::{
    self,
    Bucket,
    Load, //
};

/// How many sources are checked at a time when idle ones are forgotten.
const SWEEP: usize = 512;

/// A source of handshake messages: the namespace of the interface, the family, and the address, of which only
/// the upper half counts for IPv6.
type Source = (usize, bool, u64);

/// What the rate limit says of a handshake message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its source has sent too many, or there are too many sources.
    Refused,
    /// It is let in.
    Allowed,
    /// It is let in, and its source is new, to be forgotten by [`Limiter::sweep`] once it is idle.
    AllowedNew,
}

/// Tells whether there is a load, and which sources are let in then.
#[pin_data]
pub(crate) struct Limiter {
    /// When there were too many handshake messages, in the form of [`Load`].
    load: Atomic<u64>,
    #[pin]
    sources: SpinLockBh<Sources>,
    max_sources: usize,
}

/// The sources that the limiter knows.
struct Sources {
    buckets: RBTree<Source, Bucket>,
    count: usize,
    /// Where to continue the search for idle ones.
    cursor: Source,
}

impl Limiter {
    /// Creates an initialiser for a limiter that knows no source yet.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            load: Atomic::new(0),
            sources <- new_spinlock_bh!(
                Sources {
                    buckets: RBTree::new(),
                    count: 0,
                    cursor: (0, false, 0),
                },
                "Limiter::sources"
            ),
            max_sources: ratelimit::max_sources(wg_kernel::mm::total_ram()),
        })
    }

    /// Returns whether handshakes arrive faster than they are answered, on any device, given how many of them
    /// wait on one. Notes it if so, for a second.
    pub(crate) fn is_under_load(&self, queued: usize, now_ns: u64) -> bool {
        let before = Load {
            last_ns: self.load.load(Relaxed),
        };
        let mut load = before;
        let high = load.is_high(queued, now_ns);
        // Another CPU that stores at this moment stores much the same. Usually there is nothing to store.
        if load != before {
            self.load.store(load.last_ns, Relaxed);
        }
        high
    }

    /// Asks the rate limit for a handshake message from `source`.
    pub(crate) fn ask(&self, namespace: usize, source: &SocketAddr, now_ns: u64) -> Verdict {
        let key = match source {
            SocketAddr::V4 { addr, .. } => (namespace, false, ratelimit::source_v4(addr)),
            SocketAddr::V6 { addr, .. } => (namespace, true, ratelimit::source_v6(addr)),
        };
        let mut sources = self.sources.lock();
        if let Some(bucket) = sources.buckets.get_mut(&key) {
            return match bucket.allow(now_ns) {
                true => Verdict::Allowed,
                false => Verdict::Refused,
            };
        }
        if sources.count >= self.max_sources {
            return Verdict::Refused;
        }
        let bucket = Bucket::new(now_ns);
        let inserted = sources
            .buckets
            .try_create_and_insert(key, bucket, GFP_ATOMIC)
            .is_ok();
        if !inserted {
            return Verdict::Refused;
        }
        sources.count = sources.count.wrapping_add(1);
        Verdict::AllowedNew
    }

    /// Forgets some idle sources, and returns the jiffies until the next time, if any are left.
    pub(crate) fn sweep(&self, now_ns: u64) -> Option<usize> {
        let mut sources = self.sources.lock();
        let complete = sources.sweep(now_ns);
        // If there is more to do, continue at the next tick; else check again when they may be idle.
        let next = if complete { time::HZ } else { 1 };
        (sources.count > 0).then_some(next)
    }
}

impl Sources {
    /// Forgets idle sources among the next [`SWEEP`], and returns whether those were the last.
    fn sweep(&mut self, now_ns: u64) -> bool {
        let mut cursor = self.cursor;
        for _ in 0..SWEEP {
            let next = self.buckets.cursor_lower_bound(&cursor);
            let Some((&key, bucket)) = next.as_ref().map(|next| next.current()) else {
                self.cursor = (0, false, 0);
                return true;
            };
            if bucket.is_idle(now_ns) {
                self.buckets.remove(&key);
                self.count = self.count.wrapping_sub(1);
            }
            let (namespace, family, addr) = key;
            cursor = match addr.checked_add(1) {
                Some(addr) => (namespace, family, addr),
                None if !family => (namespace, true, 0),
                None => (namespace.wrapping_add(1), false, 0),
            };
        }
        self.cursor = cursor;
        false
    }
}
