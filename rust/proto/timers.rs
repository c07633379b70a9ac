// SPDX-License-Identifier: GPL-2.0

//! Which event arms or stops which timer, and what is to be done when one fires.
//!
//! Each peer has five timers. The state of this machine is which of them are pending. The caller
//! keeps it: it is read through [`View`], and changed as [`Effects`] say. The caller must not arm
//! timers of a peer that was removed or whose interface is down.

use crate::limits::{
    KEEPALIVE_TIMEOUT,
    MAX_TIMER_HANDSHAKES,
    REJECT_AFTER_TIME,
    REKEY_TIMEOUT, //
};

/// The timers of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Sends an initiation again if there was no response for [`REKEY_TIMEOUT`] and jitter.
    RetransmitHandshake,
    /// Sends an empty packet if one was received and none sent since for [`KEEPALIVE_TIMEOUT`].
    SendKeepalive,
    /// Starts a new handshake if a packet was sent and none, not even an empty one, received since
    /// for [`KEEPALIVE_TIMEOUT`], [`REKEY_TIMEOUT`] and jitter.
    NewHandshake,
    /// Forgets all keys if there were no new ones for three times [`REJECT_AFTER_TIME`].
    ZeroKeyMaterial,
    /// Sends an empty packet if none went either way for as long as the user has set.
    PersistentKeepalive,
}

impl Timer {
    /// All of them, by their numbers.
    pub const ALL: [Self; 5] = [
        Self::RetransmitHandshake,
        Self::SendKeepalive,
        Self::NewHandshake,
        Self::ZeroKeyMaterial,
        Self::PersistentKeepalive,
    ];

    /// Number of timers.
    pub const COUNT: usize = Self::ALL.len();

    /// Returns the number of this timer, less than [`Self::COUNT`].
    #[inline]
    #[expect(clippy::as_conversions, reason = "that is what its variants are")]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// An occasion on which one or more events happen to a peer, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// One or more packets, data or empty, are about to be sent.
    Sending,
    /// One of them was data, and was sent successfully.
    DataSent,
    /// An initiation is about to be sent. The timer that repeats it is armed before, as the response,
    /// which stops it, may be there before sending returns.
    Initiating,
    /// No initiation could be made, for lack of memory.
    NotInitiated,
    /// A response is about to be sent; we may receive under its keys from now on.
    Responding,
    /// A response was received that gave us new keys.
    ResponseAccepted,
    /// The first packet under the keys of our response was received, before [`Self::Received`].
    Confirmed,
    /// A packet was received: data, empty or handshake. An initiation or response was processed.
    Received,
    /// It was data.
    DataReceived,
    /// No keepalive could be made, for lack of memory.
    NoKeepalive,
}

impl Occasion {
    /// Calls `happened` with each event of this occasion, in order.
    #[inline]
    pub fn each(self, mut happened: impl FnMut(Event)) {
        match self {
            Self::Sending => {
                happened(Event::AnyAuthenticatedPacketTraversal);
                happened(Event::AnyAuthenticatedPacketSent);
            }
            Self::DataSent => happened(Event::DataSent),
            Self::Initiating => {
                happened(Event::AnyAuthenticatedPacketTraversal);
                happened(Event::AnyAuthenticatedPacketSent);
                happened(Event::HandshakeInitiated);
            }
            Self::NotInitiated => happened(Event::HandshakeInitiated),
            Self::Responding => {
                happened(Event::SessionDerived);
                happened(Event::AnyAuthenticatedPacketTraversal);
                happened(Event::AnyAuthenticatedPacketSent);
            }
            Self::ResponseAccepted => {
                happened(Event::SessionDerived);
                happened(Event::HandshakeComplete);
            }
            Self::Confirmed => happened(Event::HandshakeComplete),
            Self::Received => {
                happened(Event::AnyAuthenticatedPacketReceived);
                happened(Event::AnyAuthenticatedPacketTraversal);
            }
            Self::DataReceived => happened(Event::DataReceived),
            Self::NoKeepalive => happened(Event::NoKeepalive),
        }
    }
}

/// What happened to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A packet that is not empty was sent, successfully.
    DataSent,
    /// A packet that is not empty was received.
    DataReceived,
    /// No keepalive could be made: it is tried again.
    NoKeepalive,
    /// A packet is about to be sent: data, empty or handshake.
    AnyAuthenticatedPacketSent,
    /// A packet was received: data, empty or handshake.
    AnyAuthenticatedPacketReceived,
    /// An initiation is about to be sent.
    HandshakeInitiated,
    /// A response was received and processed, or the first packet under the keys of ours.
    HandshakeComplete,
    /// There are new keys: a response is about to be sent, or was received.
    SessionDerived,
    /// A packet is about to be sent, or was received: data, empty or handshake.
    AnyAuthenticatedPacketTraversal,
}

/// How long a timer is to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// Seconds.
    seconds: u32,
    /// Whether jitter is to be added, so that two peers do not collide forever.
    jitter: bool,
}

impl Delay {
    /// Until an initiation is sent again.
    const RETRANSMIT_HANDSHAKE: Self = Self::new(REKEY_TIMEOUT, true);
    /// Until received data is answered.
    const SEND_KEEPALIVE: Self = Self::new(KEEPALIVE_TIMEOUT, false);
    /// At least until a persistent keepalive that was not sent is tried again: a handshake is begun again
    /// before, with whatever that changes.
    const KEEPALIVE_AGAIN: Self = Self::new(REKEY_TIMEOUT + 1, false);
    /// Until silence is answered by a handshake.
    const NEW_HANDSHAKE: Self = Self::new(KEEPALIVE_TIMEOUT + REKEY_TIMEOUT, true);
    /// Until the keys are wiped.
    const ZERO_KEY_MATERIAL: Self = Self::new(3 * REJECT_AFTER_TIME, false);

    /// Returns the time until a keepalive after any packet: 0 stands for none.
    #[inline]
    fn persistent_keepalive(seconds: u16) -> Option<Self> {
        (seconds != 0).then(|| Self {
            seconds: seconds.into(),
            jitter: false,
        })
    }

    /// Returns the longer one, without jitter.
    fn max(self, other: Self) -> Self {
        Self {
            seconds: self.seconds.max(other.seconds),
            jitter: false,
        }
    }

    /// Makes a delay from constants of the protocol, which are small.
    const fn new(seconds: u64, jitter: bool) -> Self {
        let [.., a, b, c, d] = seconds.to_be_bytes();

        Self {
            seconds: u32::from_be_bytes([a, b, c, d]),
            jitter,
        }
    }

    /// Returns the delay in ticks, of which there are `hz` in a second.
    ///
    /// Jitter is less than a third of a second: `random_below` returns a random number below its argument.
    #[inline]
    pub fn ticks(self, hz: u32, random_below: impl FnOnce(u32) -> u32) -> u32 {
        let jitter = match self.jitter {
            true => random_below(hz / 3),
            false => 0,
        };

        self.seconds.saturating_mul(hz).saturating_add(jitter)
    }
}

/// What [`on`] and [`expired`] need to know of a peer.
pub trait View {
    /// Returns whether `timer` is armed and has not fired yet.
    fn is_pending(&self, timer: Timer) -> bool;

    /// Returns the interval of persistent keepalives in seconds, or 0 if they are off.
    fn persistent_keepalive(&self) -> u16;
}

/// What is to be done for an event, or before anything else when a timer fires, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Timer to stop.
    pub cancel: Option<Timer>,
    /// Whether to drop all packets that wait for a session.
    pub purge_staged: bool,
    /// Whether [`Timer::SendKeepalive`] is to be armed again when it fires, if that changes.
    pub need_another_keepalive: Option<bool>,
    /// Timer to start, or to restart.
    pub arm: Option<(Timer, Delay)>,
    /// Whether a handshake is complete: its time is to be recorded as that of the latest one, and the
    /// number of attempts and the last-minute initiation are to be reset.
    pub handshake_complete: bool,
}

impl Effects {
    /// Returns what to note of `need_another_keepalive`: that there is no need, or one, but not while down.
    #[inline]
    pub fn keepalive_again(&self, is_up: impl FnOnce() -> bool) -> Option<bool> {
        self.need_another_keepalive.filter(|need| !need || is_up())
    }

    /// Only stopping a timer.
    #[inline]
    fn cancel(timer: Timer) -> Self {
        Self {
            cancel: Some(timer),
            ..Self::default()
        }
    }

    /// Only starting a timer.
    #[inline]
    fn arm(timer: Timer, delay: Delay) -> Self {
        Self {
            arm: Some((timer, delay)),
            ..Self::default()
        }
    }
}

/// Returns what is to be done for `event`.
#[inline]
pub fn on<V: View + ?Sized>(event: Event, peer: &V) -> Effects {
    match event {
        Event::DataSent if !peer.is_pending(Timer::NewHandshake) => {
            Effects::arm(Timer::NewHandshake, Delay::NEW_HANDSHAKE)
        }
        Event::DataSent => Effects::default(),
        Event::DataReceived if !peer.is_pending(Timer::SendKeepalive) => {
            Effects::arm(Timer::SendKeepalive, Delay::SEND_KEEPALIVE)
        }
        Event::DataReceived => Effects {
            need_another_keepalive: Some(true),
            ..Effects::default()
        },
        Event::NoKeepalive => Effects::arm(Timer::SendKeepalive, Delay::SEND_KEEPALIVE),
        Event::AnyAuthenticatedPacketSent => Effects::cancel(Timer::SendKeepalive),
        Event::AnyAuthenticatedPacketReceived => Effects::cancel(Timer::NewHandshake),
        Event::HandshakeInitiated => {
            Effects::arm(Timer::RetransmitHandshake, Delay::RETRANSMIT_HANDSHAKE)
        }
        Event::HandshakeComplete => Effects {
            handshake_complete: true,
            ..Effects::cancel(Timer::RetransmitHandshake)
        },
        Event::SessionDerived => Effects::arm(Timer::ZeroKeyMaterial, Delay::ZERO_KEY_MATERIAL),
        Event::AnyAuthenticatedPacketTraversal => {
            match Delay::persistent_keepalive(peer.persistent_keepalive()) {
                None => Effects::default(),
                Some(delay) => Effects::arm(Timer::PersistentKeepalive, delay),
            }
        }
    }
}

/// What is to be done when a timer fires, besides its [`Effects`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Store this number of attempts, forget the source address (it may be the cause of the failure),
    /// and send an initiation, without changing the number of attempts.
    RetryHandshake {
        /// Attempts at this handshake after the first.
        attempts: u32,
    },
    /// Nothing: there are no more attempts at a handshake.
    GiveUp,
    /// Send an empty packet.
    SendKeepalive,
    /// Forget the source address, and send an initiation, the first of its series: the number of
    /// attempts is reset to 0.
    NewHandshake,
    /// Wipe all keys and the state of the handshake, unless one of the sessions is new: see
    /// [`Keypairs::are_young`](crate::session::Keypairs::are_young).
    ZeroKeyMaterial,
    /// Nothing: the user has turned it off.
    Nothing,
}

/// Returns what is to be done when `timer` fires.
///
/// `attempts` is the number of attempts at this handshake after the first; `need_another_keepalive`
/// is as an event has set it.
pub fn expired<V: View + ?Sized>(
    timer: Timer,
    attempts: u32,
    need_another_keepalive: bool,
    peer: &V,
) -> (Effects, Expired) {
    match timer {
        Timer::RetransmitHandshake if attempts > MAX_TIMER_HANDSHAKES => {
            let zero_pending = peer.is_pending(Timer::ZeroKeyMaterial);
            let effects = Effects {
                purge_staged: true,
                // For what is left of the handshake.
                arm: (!zero_pending).then_some((Timer::ZeroKeyMaterial, Delay::ZERO_KEY_MATERIAL)),
                ..Effects::cancel(Timer::SendKeepalive)
            };
            (effects, Expired::GiveUp)
        }
        Timer::RetransmitHandshake => {
            let attempts = attempts.saturating_add(1);
            (Effects::default(), Expired::RetryHandshake { attempts })
        }
        // A keepalive that is not sent, for want of a session or of memory, does not stop the timer that was
        // armed again.
        Timer::SendKeepalive if need_another_keepalive => {
            let effects = Effects {
                need_another_keepalive: Some(false),
                ..Effects::arm(timer, Delay::SEND_KEEPALIVE)
            };
            (effects, Expired::SendKeepalive)
        }
        Timer::SendKeepalive => (Effects::default(), Expired::SendKeepalive),
        Timer::NewHandshake => (Effects::default(), Expired::NewHandshake),
        Timer::ZeroKeyMaterial => (Effects::default(), Expired::ZeroKeyMaterial),
        Timer::PersistentKeepalive => {
            match Delay::persistent_keepalive(peer.persistent_keepalive()) {
                None => (Effects::default(), Expired::Nothing),
                Some(delay) => {
                    let delay = delay.max(Delay::KEEPALIVE_AGAIN);
                    (Effects::arm(timer, delay), Expired::SendKeepalive)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
