// SPDX-License-Identifier: GPL-2.0

//! Nothing is sent without need.

use wg_proto::wire::Kind;
use wg_selftests::pair::{
    Sent,
    World,
    A,
    B,
    SECOND, //
};

/// Ten minutes.
const LONG: u64 = 600 * SECOND;

#[test]
fn keepalives_are_not_answered() {
    let mut world = World::connected(1);

    assert!(world.reaches(A, SECOND));
    assert!(world.reaches(B, SECOND));
    let start = world.now;
    world.run(LONG);
    // A answers B's packet, and nobody anything else.
    assert_eq!(world.keepalives(A, start).len(), 1);
    assert_eq!(world.sent(A, start, |_| true).len(), 1);
    assert_eq!(world.sent(B, start, |_| true), []);
}

#[test]
fn idle_session_is_not_renewed() {
    let mut world = World::connected(2);
    let start = world.now;

    world.run(LONG);
    assert_eq!(world.sent(A, start, |_| true), []);
    assert_eq!(world.sent(B, start, |_| true), []);
}

#[test]
fn persistent_keepalive_of_the_initiator_renews() {
    for both in [false, true] {
        let mut world = World::connected(3);
        let start = world.now;

        world.act(A, |device| device.set_persistent_keepalive(0, 25));
        if both {
            world.act(B, |device| device.set_persistent_keepalive(0, 25));
        }
        world.run(LONG);
        let initiations = world.initiations(A, start);
        assert!((4..=5).contains(&initiations.len()), "{initiations:?}");
        for pair in initiations.windows(2) {
            assert!(pair[1] - pair[0] >= 120 * SECOND);
        }
        assert_eq!(world.initiations(B, start), []);
        assert_eq!(world.sent(B, start, Sent::is_data), []);
        assert!(world.agree());
    }
}

#[test]
fn persistent_keepalive_of_the_responder_renews() {
    let mut world = World::connected(4);
    let start = world.now;

    // The initiator renews at 165 s, as it does not send itself.
    world.act(B, |device| device.set_persistent_keepalive(0, 5));
    world.run(LONG);
    let initiations = world.initiations(A, start);
    assert_eq!(initiations.len(), 3, "{initiations:?}");
    for pair in initiations.windows(2) {
        assert!((165 * SECOND..171 * SECOND).contains(&(pair[1] - pair[0])));
    }
    assert_eq!(world.initiations(B, start), []);
}

#[test]
fn steady_traffic_needs_no_keepalives() {
    let mut world = World::connected(5);
    let start = world.now;

    for _ in 0..60 {
        world.send(A);
        world.send(B);
        world.run(SECOND);
    }
    assert_eq!(
        world.log.iter().filter(|sent| sent.is_keepalive()).count(),
        1
    );
    assert_eq!(world.sent(A, start, |sent| sent.kind != Kind::Data), []);
    assert_eq!(world.devices[A].counters, Default::default());
}

#[test]
fn one_way_traffic_is_answered_every_ten_seconds() {
    let mut world = World::connected(6);
    let start = world.now;

    for _ in 0..110 {
        world.send(A);
        world.run(SECOND);
    }
    assert_eq!(world.keepalives(B, start).len(), 10);
    assert_eq!(world.keepalives(A, start), []);
    assert_eq!(world.initiations(A, start), []);
}
