// SPDX-License-Identifier: GPL-2.0

use super::*;

/// A peer of which some timers are pending.
struct Peer {
    pending: [bool; Timer::COUNT],
    persistent_keepalive: u16,
}

impl View for Peer {
    fn is_pending(&self, timer: Timer) -> bool {
        self.pending[timer.index()]
    }

    fn persistent_keepalive(&self) -> u16 {
        self.persistent_keepalive
    }
}

/// Returns every peer, as far as it is of interest.
fn peers() -> impl Iterator<Item = Peer> {
    [0, 1, 6, 7, 25, u16::MAX].into_iter().flat_map(|seconds| {
        (0..1 << Timer::COUNT).map(move |bits: u32| Peer {
            pending: core::array::from_fn(|i| bits >> i & 1 != 0),
            persistent_keepalive: seconds,
        })
    })
}

fn seconds(seconds: u32) -> Delay {
    Delay {
        seconds,
        jitter: false,
    }
}

fn jittery(seconds: u32) -> Delay {
    Delay {
        seconds,
        jitter: true,
    }
}

#[test]
fn timers_have_places() {
    for (i, timer) in Timer::ALL.into_iter().enumerate() {
        assert_eq!(timer.index(), i);
    }
}

#[test]
fn delays_are_in_ticks() {
    let most = |limit| limit - 1;

    assert_eq!(Delay::new(10, false), seconds(10));
    assert_eq!(Delay::new(5, true), jittery(5));
    for hz in [100, 250, 300, 1000] {
        assert_eq!(jittery(5).ticks(hz, |_| 0), 5 * hz);
        assert_eq!(jittery(5).ticks(hz, most), 5 * hz + hz / 3 - 1);
        assert_eq!(seconds(10).ticks(hz, |_| panic!("no jitter")), 10 * hz);
        assert_eq!(seconds(u32::from(u16::MAX)).ticks(hz, most), 65_535 * hz);
    }
}

#[test]
fn occasions_are_of_events_in_order() {
    use Event::*;

    for (occasion, events) in [
        (
            Occasion::Sending,
            &[AnyAuthenticatedPacketTraversal, AnyAuthenticatedPacketSent][..],
        ),
        (Occasion::DataSent, &[DataSent]),
        (
            Occasion::Initiating,
            &[
                AnyAuthenticatedPacketTraversal,
                AnyAuthenticatedPacketSent,
                HandshakeInitiated,
            ],
        ),
        (
            Occasion::Responding,
            &[
                SessionDerived,
                AnyAuthenticatedPacketTraversal,
                AnyAuthenticatedPacketSent,
            ],
        ),
        (
            Occasion::ResponseAccepted,
            &[SessionDerived, HandshakeComplete],
        ),
        (Occasion::Confirmed, &[HandshakeComplete]),
        (
            Occasion::Received,
            &[
                AnyAuthenticatedPacketReceived,
                AnyAuthenticatedPacketTraversal,
            ],
        ),
        (Occasion::DataReceived, &[DataReceived]),
    ] {
        let mut happened = std::vec::Vec::new();

        occasion.each(|event| happened.push(event));
        assert_eq!(happened, events, "{occasion:?}");
    }
}

#[test]
fn sent_data_wants_an_answer() {
    for peer in peers() {
        let expected = if peer.pending[2] {
            Effects::default()
        } else {
            Effects::arm(Timer::NewHandshake, jittery(15))
        };

        assert_eq!(on(Event::DataSent, &peer), expected);
    }
}

#[test]
fn received_data_is_answered() {
    for peer in peers() {
        let expected = if peer.pending[1] {
            Effects {
                need_another_keepalive: Some(true),
                ..Effects::default()
            }
        } else {
            Effects::arm(Timer::SendKeepalive, seconds(10))
        };

        assert_eq!(on(Event::DataReceived, &peer), expected);
    }
}

#[test]
fn any_packet_is_an_answer() {
    for peer in peers() {
        assert_eq!(
            on(Event::AnyAuthenticatedPacketSent, &peer),
            Effects::cancel(Timer::SendKeepalive)
        );
        assert_eq!(
            on(Event::AnyAuthenticatedPacketReceived, &peer),
            Effects::cancel(Timer::NewHandshake)
        );
    }
}

#[test]
fn any_packet_puts_off_the_persistent_keepalive() {
    for peer in peers() {
        let expected = match peer.persistent_keepalive {
            0 => Effects::default(),
            n => Effects::arm(Timer::PersistentKeepalive, seconds(n.into())),
        };

        assert_eq!(on(Event::AnyAuthenticatedPacketTraversal, &peer), expected);
    }
}

#[test]
fn handshakes_are_retried_until_complete() {
    for peer in peers() {
        assert_eq!(
            on(Event::HandshakeInitiated, &peer),
            Effects::arm(Timer::RetransmitHandshake, jittery(5))
        );
        assert_eq!(
            on(Event::HandshakeComplete, &peer),
            Effects {
                cancel: Some(Timer::RetransmitHandshake),
                handshake_complete: true,
                ..Effects::default()
            }
        );
        assert_eq!(
            on(Event::SessionDerived, &peer),
            Effects::arm(Timer::ZeroKeyMaterial, seconds(540))
        );
    }
}

#[test]
fn gives_up_after_twenty_initiations() {
    for peer in peers() {
        let mut attempts = 0;
        let mut initiations = 1;

        while let (effects, Expired::RetryHandshake { attempts: next }) =
            expired(Timer::RetransmitHandshake, attempts, true, &peer)
        {
            assert_eq!(effects, Effects::default());
            assert_eq!(next, attempts + 1);
            attempts = next;
            initiations += 1;
        }
        assert_eq!(initiations, 20);

        // What has waited for it goes with it, and is not to be followed by a keepalive.
        let effects = Effects {
            cancel: Some(Timer::SendKeepalive),
            purge_staged: true,
            arm: (!peer.pending[3]).then_some((Timer::ZeroKeyMaterial, seconds(540))),
            ..Effects::default()
        };
        for attempts in [attempts, u32::MAX] {
            assert_eq!(
                expired(Timer::RetransmitHandshake, attempts, false, &peer),
                (effects, Expired::GiveUp)
            );
        }
    }
}

#[test]
fn a_keepalive_that_could_not_be_made_is_tried_again() {
    for peer in peers() {
        assert_eq!(
            on(Event::NoKeepalive, &peer),
            Effects::arm(Timer::SendKeepalive, seconds(10))
        );
    }
}

#[test]
fn answers_once_more_if_needed() {
    for peer in peers() {
        assert_eq!(
            expired(Timer::SendKeepalive, 0, false, &peer),
            (Effects::default(), Expired::SendKeepalive)
        );
        let again = Effects {
            need_another_keepalive: Some(false),
            ..Effects::arm(Timer::SendKeepalive, seconds(10))
        };
        assert_eq!(
            expired(Timer::SendKeepalive, 0, true, &peer),
            (again, Expired::SendKeepalive)
        );
    }
}

#[test]
fn acts_on_the_other_timers() {
    for peer in peers() {
        for other in [false, true] {
            let expired = |timer| expired(timer, 20, other, &peer);

            assert_eq!(
                expired(Timer::NewHandshake),
                (Effects::default(), Expired::NewHandshake)
            );
            assert_eq!(
                expired(Timer::ZeroKeyMaterial),
                (Effects::default(), Expired::ZeroKeyMaterial)
            );
            let again = |n| {
                (
                    Effects::arm(Timer::PersistentKeepalive, seconds(n)),
                    Expired::SendKeepalive,
                )
            };
            assert_eq!(
                expired(Timer::PersistentKeepalive),
                match peer.persistent_keepalive {
                    0 => (Effects::default(), Expired::Nothing),
                    n => again(u32::from(n).max(6)),
                }
            );
        }
    }
}
