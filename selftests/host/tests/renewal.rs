// SPDX-License-Identifier: GPL-2.0

//! When a session is renewed, by whom, and what becomes of one that is not.

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

#[test]
fn initiator_renews_when_it_sends() {
    let mut world = World::connected(10);
    let born = world.born(A);

    world.run_until(born + 120 * SECOND - MS);
    world.send(A);
    assert_eq!(world.initiations(A, born), []);
    world.run(MS);
    world.send(A);
    assert_eq!(world.initiations(A, born), [born + 120 * SECOND]);
    world.run(SECOND);
    assert!(world.agree());
    assert!(world.current(A).born > born + 120 * SECOND);
    // It is the same one who begins.
    assert_eq!(world.initiations(B, 0), []);
}

#[test]
fn responder_does_not_renew_by_age() {
    let mut world = World::connected(11);
    let born = world.born(B);

    world.run_until(born + 130 * SECOND);
    world.send(B);
    world.run_until(born + 139 * SECOND);
    assert_eq!(world.initiations(A, born), []);
    // But the initiator does, when it answers.
    world.run_until(born + 141 * SECOND);
    assert_eq!(world.initiations(A, born).len(), 1);
    assert_eq!(world.initiations(B, born), []);
}

#[test]
fn either_renews_by_count() {
    for device in [A, B] {
        let mut world = World::connected(12);
        let start = world.now;

        // One less than is too many.
        world.current(device).sent.set(REKEY_AFTER_MESSAGES - 1);
        world.send(device);
        assert_eq!(world.initiations(device, start), []);
        world.run(6 * SECOND);
        world.send(device);
        assert_eq!(world.initiations(device, start).len(), 1);
        world.run(SECOND);
        assert!(world.agree());
        assert_eq!(world.received(1 - device).len(), 2);
    }
}

#[test]
fn initiator_renews_when_it_receives() {
    let mut world = World::connected(13);
    let start = world.now;
    let born = world.born(A);

    // Empty packets do not have to be answered, so that A does not send anything itself.
    world.link.cut(|sent| sent.kind == Kind::Response);
    world.act(B, |device| device.set_persistent_keepalive(0, 20));
    world.run_until(born + 164 * SECOND);
    assert_eq!(world.sent(A, start, |_| true), []);
    world.act(B, |device| device.send_keepalive(0));
    world.run_until(born + 165 * SECOND - DELAY);
    world.act(B, |device| device.send_keepalive(0));
    world.run(SECOND);
    let initiations = world.initiations(A, start);
    assert_eq!(initiations, [born + 165 * SECOND]);

    // It does so once: what else is received does not begin a new series.
    let mut attempts = 0;
    for _ in 0..13 {
        world.act(B, |device| device.send_keepalive(0));
        world.run(SECOND);
        assert!(world.devices[A].peers[0].attempts >= attempts);
        attempts = world.devices[A].peers[0].attempts;
    }
    assert_eq!(attempts, 2);

    // But in the next session again.
    world.link.heal();
    world.run(10 * SECOND);
    assert!(world.agree());
    assert!(!world.devices[A].peers[0].sent_lastminute_handshake);
}

#[test]
fn responder_does_not_renew_when_it_receives() {
    let mut world = World::connected(14);
    let born = world.born(A);

    world.link.cut(|sent| sent.kind == Kind::Initiation);
    world.run_until(born + 170 * SECOND);
    assert!(world.reaches(A, SECOND));
    assert_eq!(world.initiations(B, 0), []);
}

#[test]
fn nothing_is_sent_in_an_old_session() {
    for (device, offset, sent) in [(B, 0, false), (B, MS, true), (A, 30 * MS, true)] {
        let mut world = World::connected(15);
        let born = world.born(device);

        world.link.cut(|sent| sent.kind == Kind::Initiation);
        world.run_until(born + 180 * SECOND - offset);
        world.send(device);
        assert_eq!(
            world
                .sent(device, born + SECOND, |sent| sent.is_data())
                .len(),
            sent as usize
        );
        // The responder too begins a handshake if it cannot do without.
        let wanted = !sent || device == A;
        assert_eq!(
            world.initiations(device, born + SECOND).len(),
            wanted as usize
        );
        assert_eq!(world.devices[device].peers[0].staged.is_empty(), sent);
        world.link.heal();
        world.run(7 * SECOND);
        assert_eq!(world.received(1 - device).len(), 1);
    }
}

#[test]
fn nothing_is_received_in_an_old_session() {
    for (offset, received) in [(MS, true), (0, false)] {
        let mut world = World::connected(16);
        let born = world.born(B);

        world.link.cut(|sent| sent.kind == Kind::Initiation);
        // It was sent while A could still send.
        world.run_until(born + 180 * SECOND - 500 * MS - offset);
        world.link.quality[A].delay = 500 * MS;
        assert_eq!(world.reaches(A, SECOND), received);
    }
}
