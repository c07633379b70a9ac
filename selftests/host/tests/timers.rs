// SPDX-License-Identifier: GPL-2.0

//! Who sends what, and when: every timer, on a link that is as bad as it must be.

use wg_proto::{
    limits::REKEY_AFTER_MESSAGES,
    wire::Kind, //
};
use wg_selftests::pair::{
    World,
    A,
    B,
    MS,
    SECOND, //
};

/// How long a message takes.
const DELAY: u64 = 10 * MS;

/// Asserts that `at` is so many seconds after `from`, and jitter.
#[track_caller]
fn assert_jittery(from: u64, at: u64, seconds: u64) {
    let jitter = at - from - seconds * SECOND;

    assert!(jitter < 333 * MS, "{jitter}");
}

#[test]
fn unanswered_initiations_are_retried() {
    let mut world = World::new(1);

    world.link.cut(|_| true);
    world.send(A);
    world.run(50 * SECOND);

    let initiations = world.initiations(A, 0);
    assert_eq!(initiations[0], 0);
    assert!(initiations.len() >= 10);
    for pair in initiations.windows(2) {
        assert_jittery(pair[0], pair[1], 5);
    }
    let mut gaps: Vec<_> = initiations
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    gaps.dedup();
    assert!(gaps.len() > 5, "no jitter");

    // Each retry forgets the source address, which may be the cause of the trouble.
    let peer = &world.devices[A].peers[0];
    assert_eq!(peer.source_cleared as usize, initiations.len() - 1);
    assert_eq!(peer.attempts as usize, initiations.len() - 1);
}

#[test]
fn twenty_initiations_are_enough() {
    let mut world = World::new(2);

    world.link.cut(|_| true);
    for _ in 0..3 {
        world.send(A);
    }
    world.run(200 * SECOND);

    let initiations = world.initiations(A, 0);
    let last = initiations[19];
    assert_eq!(initiations.len(), 20);
    assert!((95 * SECOND..102 * SECOND).contains(&last));
    assert_eq!(world.devices[A].counters.tx_dropped, 3);
    assert!(world.devices[A].peers[0].staged.is_empty());

    // What is left of the last one is forgotten 540 s after having given up.
    assert_eq!(world.devices[A].indices(), 1);
    world.run_until(last + 545 * SECOND);
    assert_eq!(world.devices[A].indices(), 1);
    world.run_until(last + 546 * SECOND);
    assert_eq!(world.devices[A].indices(), 0);
    assert_eq!(world.log.len(), 20);

    // New data begins anew.
    let now = world.now;
    world.send(A);
    world.run(200 * SECOND);
    assert_eq!(world.initiations(A, now).len(), 20);
}

#[test]
fn giving_up_ends_passive_keepalives() {
    let mut world = World::connected(3);

    world.run(5 * SECOND);
    let start = world.now;
    world.link.cut(|sent| sent.kind == Kind::Response);
    world.current(A).sent.set(REKEY_AFTER_MESSAGES);
    world.send(A);
    world.run(3 * SECOND);
    assert_eq!(world.initiations(A, start).len(), 1);
    while world.devices[A].peers[0].attempts < 19 {
        world.run(SECOND);
    }
    let count = world.initiations(A, start).len();

    // An answer would be due after having given up, in a session that still lives.
    let now = world.now;
    assert!(now - world.born(A) < 150 * SECOND);
    assert!(world.reaches(B, SECOND));
    world.run(15 * SECOND);
    assert_eq!(world.initiations(A, start).len(), count);
    assert_eq!(world.keepalives(A, now), []);
}

#[test]
fn persistent_keepalive_begins_anew() {
    let mut world = World::new(4);

    world.link.cut(|_| true);
    world.act(A, |device| device.set_persistent_keepalive(0, 25));
    world.run(550 * SECOND);

    let initiations = world.initiations(A, 0);
    for series in initiations.chunks_exact(20).collect::<Vec<_>>().windows(2) {
        assert_eq!(series[1][0], series[0][19] + 25 * SECOND);
    }
    assert!(initiations.len() >= 80);
    assert_eq!(world.devices[A].counters.tx_dropped, 4);
}

#[test]
fn received_data_is_answered_after_ten_seconds() {
    let mut world = World::connected(5);
    let start = world.now;

    world.send(A);
    world.run(60 * SECOND);
    assert_eq!(world.keepalives(B, start), [start + DELAY + 10 * SECOND]);
    // An answer is not answered.
    assert_eq!(world.keepalives(A, start), []);
    assert_eq!(world.devices[A].counters, Default::default());
}

#[test]
fn one_answer_serves_all_data_before_it() {
    let mut world = World::connected(6);
    let start = world.now;

    for _ in 0..8 {
        world.send(A);
        world.run(SECOND);
    }
    world.run(60 * SECOND);
    // To send it is to have sent, after which nothing is due any more.
    assert_eq!(world.keepalives(B, start), [start + DELAY + 10 * SECOND]);

    let start = world.now;
    world.send(A);
    world.run(60 * SECOND);
    assert_eq!(world.keepalives(B, start).len(), 1);
}

#[test]
fn data_is_an_answer() {
    let mut world = World::connected(7);
    let start = world.now;

    world.send(A);
    world.run(9 * SECOND);
    world.send(B);
    world.run(9 * SECOND);
    assert_eq!(world.keepalives(B, start), []);
    // Which in turn is answered.
    world.run(60 * SECOND);
    assert_eq!(world.keepalives(B, start), []);
    assert_eq!(world.keepalives(A, start), [start + DELAY + 19 * SECOND]);
}

#[test]
fn silence_is_answered_by_a_handshake() {
    let mut world = World::connected(8);
    let start = world.now;

    world.link.cut(|sent| sent.from == B);
    world.send(A);
    world.run(7 * SECOND);
    // That more is sent does not put it off.
    world.send(A);
    world.run(7 * SECOND);
    assert_eq!(world.initiations(A, start), []);
    world.run(2 * SECOND);
    let initiations = world.initiations(A, start);
    assert_eq!(initiations.len(), 1);
    assert_jittery(start, initiations[0], 15);
    assert_eq!(world.devices[A].peers[0].source_cleared, 1);

    world.link.heal();
    world.run(10 * SECOND);
    assert!(world.agree());
    assert_eq!(world.received(B).len(), 2);
}

#[test]
fn an_empty_packet_breaks_silence() {
    let mut world = World::connected(9);
    let start = world.now;

    world.send(A);
    world.run(100 * SECOND);
    assert_eq!(world.initiations(A, start), []);
}

#[test]
fn keys_are_forgotten() {
    let mut world = World::connected(17);
    let born = [A, B].map(|device| world.born(device));

    for device in [B, A] {
        // The responder was first.
        world.run_until(born[device] + 540 * SECOND - MS);
        assert_eq!(world.devices[device].indices(), 1);
        world.run(MS);
        assert_eq!(world.devices[device].indices(), 0);
        assert!(world.devices[device].peers[0].keypairs.current.is_none());
    }
    world.send(A);
    world.run(SECOND);
    assert!(world.agree());
}

#[test]
fn new_keys_put_off_forgetting() {
    let mut world = World::connected(18);
    let first = world.born(A);

    world.run_until(first + 500 * SECOND);
    world.send(A);
    world.run(SECOND);
    let second = world.born(A);
    assert!(second > first);
    world.run_until(second + 540 * SECOND - MS);
    assert_eq!(world.current(A).born - World::BOOT, second);
    world.run(MS);
    assert_eq!(world.devices[A].indices(), 0);
}

#[test]
fn persistent_keepalive_follows_any_packet() {
    let mut world = World::connected(19);
    let start = world.now;

    // At once, and then after each interval.
    world.act(A, |device| device.set_persistent_keepalive(0, 12));
    assert_eq!(world.keepalives(A, start), [start]);
    world.run(30 * SECOND);
    let mut expected = vec![start, start + 12 * SECOND, start + 24 * SECOND];
    assert_eq!(world.keepalives(A, start), expected);

    // Sending puts it off; so does what is received 10 s later, an answer.
    world.send(A);
    world.run(25 * SECOND);
    expected.push(start + (30 + 10 + 12) * SECOND + 2 * DELAY);
    assert_eq!(world.keepalives(A, start), expected);

    // Another interval holds from the next packet on, and none from the next one that is due.
    world.act(A, |device| device.set_persistent_keepalive(0, 20));
    expected.push(expected[3] + 12 * SECOND);
    expected.push(expected[4] + 20 * SECOND);
    world.run_until(expected[5]);
    assert_eq!(world.keepalives(A, start), expected);
    world.act(A, |device| device.set_persistent_keepalive(0, 0));
    world.run(400 * SECOND);
    assert_eq!(world.keepalives(A, start), expected);
    assert_eq!(world.initiations(A, start), []);
}

#[test]
fn persistent_keepalive_brings_a_session_up() {
    let mut world = World::new(20);

    world.act(A, |device| device.set_persistent_keepalive(0, 25));
    world.run(SECOND);
    assert!(world.agree());

    // Also when the interface comes up.
    world.down(A);
    world.run(SECOND);
    assert!(!world.agree());
    let now = world.now;
    world.up(A);
    world.run(SECOND);
    assert!(world.agree());
    assert_eq!(world.initiations(A, now), [now]);
}

#[test]
fn nothing_happens_while_down() {
    let mut world = World::connected(21);

    world.act(A, |device| device.set_persistent_keepalive(0, 10));
    world.send(A);
    world.send(B);
    world.run(SECOND);
    world.down(A);
    assert_eq!(world.devices[A].indices(), 0);
    assert_eq!(world.devices[A].peers[0].deadlines, [None; 5]);

    let now = world.now;
    world.send(A);
    world.send(A);
    world.run(600 * SECOND);
    // What is given to it nevertheless begins handshakes, but is not followed by anything.
    assert_eq!(world.devices[A].peers[0].deadlines, [None; 5]);
    assert!(world.sent(A, now + SECOND, |_| true).is_empty());
}

#[test]
fn latest_handshake_is_when_it_was_confirmed() {
    let mut world = World::new(22);
    let latest = |world: &World, device: usize| {
        let latest = world.devices[device].peers[0].latest_handshake;
        latest.map(|at| at - World::BOOT)
    };

    world.act(A, |device| device.initiate(0, false));
    world.run(DELAY);
    assert_eq!(latest(&world, B), None);
    world.run(SECOND);
    assert_eq!(latest(&world, A), Some(2 * DELAY));
    assert_eq!(latest(&world, B), Some(3 * DELAY));
}

#[test]
fn initiations_are_five_seconds_apart() {
    let mut world = World::connected(23);
    let start = world.now;

    // Those without response, and those that follow a response.
    world.link.cut(|sent| sent.kind == Kind::Response);
    for _ in 0..1000 {
        world.act(A, |device| device.initiate(0, false));
        world.run(20 * MS);
    }
    for pair in world.initiations(A, start).windows(2) {
        assert!(pair[1] - pair[0] >= 5 * SECOND);
    }

    // Going down and up lifts that.
    world.link.heal();
    world.down(A);
    world.up(A);
    let now = world.now;
    world.send(A);
    assert_eq!(world.initiations(A, now), [now]);

    // A response counts too.
    world.run(SECOND);
    let now = world.now;
    world.act(B, |device| device.initiate(0, false));
    assert_eq!(world.initiations(B, now), []);
}
