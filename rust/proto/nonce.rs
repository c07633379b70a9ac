// SPDX-License-Identifier: GPL-2.0

//! Nonces, each of which encrypts at most one message of its session.
//!
//! The security of a session rests on that, so the types enforce it rather than their callers: a
//! [`Nonce`] cannot be copied, and only [`Nonces`] hand one out; these cannot be copied either, and
//! only a [`Counter`] hands them out; and a counter never goes back, nor beyond
//! [`REJECT_AFTER_MESSAGES`]. A dropped nonce is lost. The key is not known here: the caller must see
//! to it that counter, nonces and key belong together.

use crate::limits::REJECT_AFTER_MESSAGES;

/// A number that several threads may change.
pub trait Shared {
    /// Returns the number.
    fn load(&self) -> u64;

    /// Makes the number `new` if it is `old`.
    ///
    /// # Errors
    ///
    /// What it is, if that is something else. Nothing changed then.
    fn compare_exchange(&self, old: u64, new: u64) -> Result<(), u64>;
}

/// The counter of the messages that are sent in a session.
pub struct Counter<S>(S);

impl<S: Shared> Counter<S> {
    /// Wraps a number, which must be zero and used by nothing else.
    pub const fn new(number: S) -> Self {
        Self(number)
    }

    /// Returns how many nonces were taken.
    #[inline]
    pub fn taken(&self) -> u64 {
        self.0.load()
    }

    /// Takes the nonces of `count` messages, or none if fewer are left: then the session cannot be used
    /// for sending any more.
    #[inline]
    pub fn take(&self, count: u64) -> Option<Nonces> {
        let mut next = self.0.load();
        loop {
            let end = next.checked_add(count)?;
            (end <= REJECT_AFTER_MESSAGES).then_some(())?;
            match self.0.compare_exchange(next, end) {
                Ok(()) => return Some(Nonces { next, end }),
                Err(now) => next = now,
            }
        }
    }
}

/// The nonces of some messages of a session, in order.
#[derive(Debug)]
pub struct Nonces {
    next: u64,
    end: u64,
}

impl Nonces {
    /// Returns how many are left.
    #[inline]
    pub fn left(&self) -> u64 {
        self.end.saturating_sub(self.next)
    }
}

impl Iterator for Nonces {
    type Item = Nonce;

    #[inline]
    fn next(&mut self) -> Option<Nonce> {
        if self.next >= self.end {
            return None;
        }
        let nonce = Nonce(self.next);
        self.next = self.next.checked_add(1)?;
        Some(nonce)
    }
}

/// The nonce of one message.
#[derive(Debug)]
pub struct Nonce(u64);

impl Nonce {
    /// Returns the number, to be written into the message and to encrypt it. No other message may use
    /// it.
    #[inline]
    pub fn spend(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        sync::atomic::{
            AtomicU64,
            Ordering::Relaxed, //
        },
        vec::Vec, //
    };

    impl Shared for &AtomicU64 {
        fn load(&self) -> u64 {
            AtomicU64::load(self, Relaxed)
        }

        fn compare_exchange(&self, old: u64, new: u64) -> Result<(), u64> {
            AtomicU64::compare_exchange(self, old, new, Relaxed, Relaxed).map(|_| ())
        }
    }

    /// Spends all that are left.
    fn spend(nonces: Nonces) -> Vec<u64> {
        nonces.map(Nonce::spend).collect()
    }

    #[test]
    fn count_from_zero() {
        let number = AtomicU64::new(0);
        let counter = Counter::new(&number);

        assert_eq!(spend(counter.take(3).unwrap()), [0, 1, 2]);
        assert_eq!(spend(counter.take(0).unwrap()), []);
        {
            let mut nonces = counter.take(2).unwrap();
            assert_eq!(nonces.left(), 2);
            assert_eq!(nonces.next().map(Nonce::spend), Some(3));
            assert_eq!(nonces.left(), 1);
        }
        // What is dropped is lost.
        assert_eq!(spend(counter.take(1).unwrap()), [5]);
        assert_eq!(counter.taken(), 6);
    }

    #[test]
    fn run_out() {
        let mut nonces = Counter::new(&AtomicU64::new(0)).take(1).unwrap();

        assert!(nonces.next().is_some());
        for _ in 0..3 {
            assert!(nonces.next().is_none());
            assert_eq!(nonces.left(), 0);
        }
    }

    #[test]
    fn end_where_a_session_does() {
        let number = AtomicU64::new(REJECT_AFTER_MESSAGES - 2);
        let counter = Counter::new(&number);

        assert!(counter.take(3).is_none());
        assert!(counter.take(u64::MAX).is_none());
        assert_eq!(spend(counter.take(1).unwrap()), [REJECT_AFTER_MESSAGES - 2]);
        assert_eq!(spend(counter.take(1).unwrap()), [REJECT_AFTER_MESSAGES - 1]);
        for count in [1, 2, 8191, 8192, 1 << 63, u64::MAX] {
            assert!(counter.take(count).is_none());
            assert_eq!(counter.taken(), REJECT_AFTER_MESSAGES);
        }
    }

    #[test]
    fn are_given_to_one_thread_each() {
        let number = AtomicU64::new(0);
        let number = &number;
        let mut all: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (1..=4)
                .map(|count| {
                    scope.spawn(move || -> Vec<u64> {
                        let counter = Counter::new(number);
                        let take = |_| spend(counter.take(count).unwrap());
                        (0..2000).flat_map(take).collect()
                    })
                })
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().unwrap();
            threads.into_iter().flat_map(join).collect()
        });

        all.sort_unstable();
        assert!(all.into_iter().eq(0..20_000));
    }

    proptest! {
        #[test]
        fn rise_and_stay_below_the_limit(
            start in prop_oneof![
                Just(0),
                any::<u64>(),
                (0..20_000u64).prop_map(|n| REJECT_AFTER_MESSAGES - n),
                (0..20_000u64).prop_map(|n| u64::MAX - n),
            ],
            counts in proptest::collection::vec(
                prop_oneof![4 => 0..200u64, 1 => any::<u64>()],
                1..40,
            ),
        ) {
            let number = AtomicU64::new(start);
            let counter = Counter::new(&number);
            let mut end = start;

            for count in counts {
                match counter.take(count) {
                    Some(mut nonces) => {
                        prop_assert_eq!(nonces.left(), count);
                        let first = nonces.next().map(Nonce::spend);
                        prop_assert_eq!(first, (count > 0).then_some(end));
                        end += count;
                        prop_assert!(end <= REJECT_AFTER_MESSAGES);
                    }
                    None => prop_assert!(u128::from(end) + u128::from(count)
                        > u128::from(REJECT_AFTER_MESSAGES)),
                }
                prop_assert_eq!(counter.taken(), end);
            }
        }
    }
}
