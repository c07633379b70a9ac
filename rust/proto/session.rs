// SPDX-License-Identifier: GPL-2.0

//! Sessions: when one is to be renewed, when it has expired, and how a new one replaces it.

use crate::{
    handshake::Role,
    limits::{
        expired,
        KEEPALIVE_TIMEOUT,
        MAX_STAGED_PACKETS,
        NSEC_PER_SEC,
        REJECT_AFTER_MESSAGES,
        REJECT_AFTER_TIME,
        REKEY_AFTER_MESSAGES,
        REKEY_AFTER_TIME,
        REKEY_TIMEOUT, //
    }, //
};

/// Returns whether a handshake is due, after a message was sent in a session in which others still `might` be.
///
/// `sent` messages were sent in it. Only the initiator considers the age, so that not both sides start one.
#[inline]
pub fn keep_key_fresh_sending(
    might: bool,
    sent: u64,
    role: Role,
    born_ns: u64,
    now_ns: u64,
) -> bool {
    let is_old = role == Role::Initiator && expired(born_ns, REKEY_AFTER_TIME, now_ns);
    might && (is_old || sent > REKEY_AFTER_MESSAGES)
}

/// Returns whether a handshake is due, after a message was received, if messages still `might` be sent.
///
/// It is due shortly before the current session becomes too old to answer in. To be asked once per session.
#[inline]
pub fn keep_key_fresh_receiving(might: bool, role: Role, born_ns: u64, now_ns: u64) -> bool {
    const AGE: u64 = REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT;

    might && role == Role::Initiator && expired(born_ns, AGE, now_ns)
}

/// Returns whether a session is too old to be used, for sending or receiving.
#[inline]
pub fn is_too_old(born_ns: u64, now_ns: u64) -> bool {
    expired(born_ns, REJECT_AFTER_TIME, now_ns)
}

/// Returns whether messages may be sent in a session, in which they still might when this was last asked: if
/// not, it is for good. That it has nonces left is not asked here: see [`Counter`](crate::nonce::Counter).
#[inline]
pub fn may_send(might: bool, born_ns: u64, now_ns: u64) -> bool {
    might && !is_too_old(born_ns, now_ns)
}

/// Returns whether messages may be received in a session, in which they still might when this was last asked:
/// if not, it is for good. `highest` is the number of counters up to the highest one received.
#[inline]
pub fn may_receive(might: bool, born_ns: u64, highest: u64, now_ns: u64) -> bool {
    might && !is_too_old(born_ns, now_ns) && highest < REJECT_AFTER_MESSAGES
}

/// Returns whether another initiation may be sent, if the last handshake message was sent at
/// `last_sent_ns`.
#[inline]
pub fn may_initiate(last_sent_ns: u64, now_ns: u64) -> bool {
    expired(last_sent_ns, REKEY_TIMEOUT, now_ns)
}

/// Returns the time at which the last handshake message must have been sent for another to be allowed.
#[inline]
pub fn sent_long_enough_ago(now_ns: u64) -> u64 {
    now_ns.wrapping_sub((REKEY_TIMEOUT + 1) * NSEC_PER_SEC)
}

/// Returns how many of the oldest packets that wait for a session are dropped before others are added, given
/// how many wait. So a batch that is added is not cut short.
pub const fn staged_excess(waiting: usize) -> usize {
    waiting.saturating_sub(MAX_STAGED_PACKETS)
}

/// The session is not the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotNext;

/// The sessions of a peer, or handles to them.
///
/// All are good for receiving; only the current one is used for sending.
#[derive(Debug)]
pub struct Keypairs<K> {
    /// In use.
    pub current: Option<K>,
    /// In use until recently: messages of it may still be in flight.
    pub previous: Option<K>,
    /// To be used once the peer has confirmed it.
    pub next: Option<K>,
}

impl<K> Keypairs<K> {
    /// Adds a session, and returns those that it displaces.
    ///
    /// The initiator has received the response and may use the session at once; the current one becomes
    /// the previous one. If there is a next one, from a handshake in which we are the responder and that
    /// was not confirmed, that becomes the previous one instead.
    ///
    /// The responder has to wait for [`Self::confirm`].
    pub fn install(&mut self, new: K, role: Role) -> [Option<K>; 2] {
        match role {
            Role::Initiator => {
                let current = self.current.replace(new);

                match self.next.take() {
                    Some(next) => [self.previous.replace(next), current],
                    None => [core::mem::replace(&mut self.previous, current), None],
                }
            }
            Role::Responder => [self.next.replace(new), self.previous.take()],
        }
    }

    /// Makes the next session the current one, if it is the one in which a packet was received, and
    /// returns the one that it displaces.
    ///
    /// # Errors
    ///
    /// [`NotNext`] if there is no next session or it is another. Nothing changed then.
    #[inline]
    pub fn confirm(&mut self, is_next: impl Fn(&K) -> bool) -> Result<Option<K>, NotNext> {
        let next = self.next.take_if(|next| is_next(next)).ok_or(NotNext)?;
        let current = self.current.replace(next);

        Ok(core::mem::replace(&mut self.previous, current))
    }

    /// Returns whether there is a session that is young enough to be used, given when each was born:
    /// if so, this is not the time to wipe all keys.
    pub fn are_young(&self, born_ns: impl Fn(&K) -> u64, now_ns: u64) -> bool {
        [&self.next, &self.current, &self.previous]
            .into_iter()
            .flatten()
            .any(|keypair| !is_too_old(born_ns(keypair), now_ns))
    }

    /// Returns those in which messages are sent, now or once the peer has confirmed them. With another static
    /// identity, none are any more.
    pub fn for_sending(&self) -> impl Iterator<Item = &K> {
        [&self.next, &self.current].into_iter().flatten()
    }

    /// Removes all sessions and returns them.
    pub fn clear(&mut self) -> [Option<K>; 3] {
        [self.next.take(), self.previous.take(), self.current.take()]
    }
}

impl<K> Default for Keypairs<K> {
    fn default() -> Self {
        Self {
            current: None,
            previous: None,
            next: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = NSEC_PER_SEC;

    #[test]
    fn one_young_session_is_enough() {
        let now_ns = 1000 * SECOND;
        let old = now_ns - 180 * SECOND;
        let are_young = |current, previous, next| {
            let keypairs = Keypairs {
                current,
                previous,
                next,
            };
            keypairs.are_young(|born_ns| *born_ns, now_ns)
        };

        assert!(!are_young(None, None, None));
        assert!(!are_young(Some(old), Some(old), Some(old)));
        assert!(are_young(Some(old + 1), None, Some(old)));
        assert!(are_young(Some(old), Some(old + 1), None));
        assert!(are_young(None, Some(old), Some(old + 1)));
    }

    #[test]
    fn sender_renews_by_age_and_count() {
        let fresh = keep_key_fresh_sending;

        for role in [Role::Initiator, Role::Responder] {
            assert!(!fresh(true, 0, role, 7, 7));
            assert!(!fresh(true, 1 << 60, role, 7, 120 * SECOND + 6));
            assert!(fresh(true, (1 << 60) + 1, role, 7, 7));
            assert!(!fresh(false, (1 << 60) + 1, role, 7, 120 * SECOND + 7));
        }
        assert!(fresh(true, 0, Role::Initiator, 7, 120 * SECOND + 7));
        assert!(!fresh(true, 0, Role::Responder, 7, 1000 * SECOND));
    }

    #[test]
    fn receiver_renews_by_age() {
        let fresh = keep_key_fresh_receiving;

        assert!(!fresh(true, Role::Initiator, 7, 165 * SECOND + 6));
        assert!(fresh(true, Role::Initiator, 7, 165 * SECOND + 7));
        assert!(!fresh(false, Role::Initiator, 7, 165 * SECOND + 7));
        assert!(!fresh(true, Role::Responder, 7, 1000 * SECOND));
    }

    #[test]
    fn sessions_end() {
        assert!(!is_too_old(7, 180 * SECOND + 6));
        assert!(is_too_old(7, 180 * SECOND + 7));
        for age in [0, 180 * SECOND - 1, 180 * SECOND] {
            let young = age < 180 * SECOND;

            assert_eq!(may_send(true, 7, 7 + age), young);
            assert!(!may_send(false, 7, 7 + age));
            assert_eq!(may_receive(true, 7, 0, 7 + age), young);
            assert_eq!(
                may_receive(true, 7, REJECT_AFTER_MESSAGES - 1, 7 + age),
                young
            );
            assert!(!may_receive(true, 7, REJECT_AFTER_MESSAGES, 7 + age));
            assert!(!may_receive(false, 7, 0, 7 + age));
        }
    }

    #[test]
    fn more_than_128_packets_do_not_wait_for_more() {
        for waiting in 0..=128 {
            assert_eq!(staged_excess(waiting), 0);
        }
        assert_eq!(staged_excess(129), 1);
        assert_eq!(staged_excess(1000), 872);
    }

    #[test]
    fn nothing_is_sent_in_the_previous_session() {
        for bits in 0..8 {
            let sessions = keypairs(bits);

            assert!(sessions
                .for_sending()
                .eq(sessions.next.iter().chain(&sessions.current)));
        }
    }

    #[test]
    fn initiations_are_far_between() {
        assert!(!may_initiate(7, 5 * SECOND + 6));
        assert!(may_initiate(7, 5 * SECOND + 7));
        for now in [0, 3, SECOND, 1000 * SECOND] {
            assert!(may_initiate(sent_long_enough_ago(now), now));
            // By a second more than need be, for those whose clock is coarse.
            assert!(may_initiate(
                sent_long_enough_ago(now),
                now.wrapping_sub(SECOND)
            ));
        }
    }

    /// Returns the sessions of which each bit tells whether there is one: 1 is the previous, 2 the
    /// current, and 3 the next.
    fn keypairs(bits: u32) -> Keypairs<u32> {
        Keypairs {
            previous: (bits & 1 != 0).then_some(1),
            current: (bits & 2 != 0).then_some(2),
            next: (bits & 4 != 0).then_some(3),
        }
    }

    /// Asserts that nothing got lost: what was there is there or was returned.
    fn check(before: Keypairs<u32>, new: Option<u32>, after: &Keypairs<u32>, gone: &[Option<u32>]) {
        let mut before =
            [before.previous, before.current, before.next, new].map(|k| k.unwrap_or(0));
        let mut now = [0; 6];
        let after = [after.previous, after.current, after.next];

        for (to, from) in now.iter_mut().zip(after.iter().chain(gone)) {
            *to = from.unwrap_or(0);
        }
        before.sort_unstable();
        now.sort_unstable();
        assert_eq!(now[2..], before);
    }

    #[test]
    fn initiator_uses_a_session_at_once() {
        for bits in 0..8 {
            let mut keypairs_ = keypairs(bits);
            let gone = keypairs_.install(4, Role::Initiator);
            let before = keypairs(bits);

            assert_eq!(keypairs_.current, Some(4));
            assert_eq!(keypairs_.next, None);
            assert_eq!(keypairs_.previous, before.next.or(before.current));
            check(before, Some(4), &keypairs_, &gone);
        }
    }

    #[test]
    fn responder_waits_for_confirmation() {
        for bits in 0..8 {
            let mut keypairs_ = keypairs(bits);
            let gone = keypairs_.install(4, Role::Responder);
            let before = keypairs(bits);

            assert_eq!(keypairs_.current, before.current);
            assert_eq!(keypairs_.next, Some(4));
            assert_eq!(keypairs_.previous, None);
            check(before, Some(4), &keypairs_, &gone);
        }
    }

    #[test]
    fn confirmation_moves_all_on() {
        for bits in 0..8 {
            let mut keypairs_ = keypairs(bits);
            let before = keypairs(bits);

            for other in [1, 2, 4] {
                assert_eq!(keypairs_.confirm(|&k| k == other), Err(NotNext));
            }
            check(before, None, &keypairs_, &[]);

            let before = keypairs(bits);
            let gone = keypairs_.confirm(|&k| k == 3);
            if before.next.is_none() {
                assert_eq!(gone, Err(NotNext));
                continue;
            }
            assert_eq!(gone, Ok(before.previous));
            assert_eq!(keypairs_.current, Some(3));
            assert_eq!(keypairs_.next, None);
            assert_eq!(keypairs_.previous, before.current);
        }
    }

    #[test]
    fn all_can_be_removed() {
        for bits in 0..8 {
            let mut keypairs_ = keypairs(bits);
            let gone = keypairs_.clear();

            check(keypairs(bits), None, &keypairs_, &gone);
            assert_eq!(
                keypairs_.next.or(keypairs_.previous).or(keypairs_.current),
                None
            );
        }
        assert_eq!(Keypairs::<u32>::default().clear(), [None; 3]);
    }
}
