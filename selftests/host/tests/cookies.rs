// SPDX-License-Identifier: GPL-2.0

//! Handshakes with somebody who has too many of them.

use wg_proto::wire::Kind;
use wg_selftests::pair::{
    World,
    A,
    B,
    MS,
    SECOND, //
};

/// How many handshake messages have to wait for cookies to be asked for.
const MANY: usize = 512;

/// Returns how many messages of a kind an interface has sent.
fn count(world: &World, from: usize, kind: Kind) -> usize {
    world.sent(from, 0, |sent| sent.kind == kind).len()
}

#[test]
fn cookie_is_shown_at_the_next_attempt() {
    let mut world = World::new(1);

    world.devices[B].queued = MANY;
    world.send(A);
    world.run(4 * SECOND);
    assert_eq!(count(&world, B, Kind::CookieReply), 1);
    assert_eq!(count(&world, B, Kind::Response), 0);
    // Having it is no reason to hurry.
    assert_eq!(count(&world, A, Kind::Initiation), 1);
    world.run(2 * SECOND);
    assert_eq!(count(&world, A, Kind::Initiation), 2);
    assert_eq!(count(&world, B, Kind::CookieReply), 1);
    assert!(world.agree());
    assert_eq!(world.received(B).len(), 1);
}

#[test]
fn response_needs_a_cookie_too() {
    let mut world = World::new(2);

    world.devices[A].queued = MANY;
    world.devices[B].queued = MANY;
    world.send(A);
    world.run(6 * SECOND);
    assert_eq!(count(&world, A, Kind::CookieReply), 1);
    assert!(!world.agree());
    world.run(5 * SECOND);
    assert!(world.agree());
    assert_eq!(world.initiations(A, 0).len(), 3);
}

#[test]
fn cookie_is_not_needed_without_load() {
    let mut world = World::new(3);

    world.devices[B].queued = MANY - 1;
    world.send(A);
    world.run(SECOND);
    assert_eq!(count(&world, B, Kind::CookieReply), 0);
    assert!(world.agree());
}

#[test]
fn load_lasts_a_second() {
    for (pause, replies) in [(SECOND / 2, 2), (2 * SECOND, 1)] {
        let mut world = World::new(4);

        world.devices[B].queued = MANY;
        world.act(A, |device| device.initiate(0, false));
        world.run(pause);
        world.devices[B].queued = 0;
        // The interface forgets when it has sent the last one, and the cookie is bound to the port.
        world.down(A);
        world.up(A);
        world.devices[A].endpoint.port += 1;
        world.act(A, |device| device.initiate(0, false));
        world.run(100 * MS);
        assert_eq!(count(&world, B, Kind::CookieReply), replies);
        assert_eq!(world.agree(), replies == 1);
    }
}

#[test]
fn cookie_is_of_use_for_two_minutes() {
    // Less 5 s, by which it arrives later than it was made.
    for (age, shown) in [(114 * SECOND, true), (116 * SECOND, false)] {
        let mut world = World::new(5);

        world.devices[B].queued = MANY;
        world.act(A, |device| device.initiate(0, false));
        world.run(SECOND);
        world.down(A);
        world.up(A);
        world.run(age - SECOND);
        world.act(A, |device| device.initiate(0, false));
        world.run(SECOND);
        assert_eq!(world.agree(), shown);
        assert_eq!(count(&world, B, Kind::CookieReply), 2 - usize::from(shown));
    }
}

#[test]
fn cookie_is_bound_to_address_and_port() {
    for port in [51820, 51821] {
        let mut world = World::new(6);

        world.devices[B].queued = MANY;
        world.send(A);
        world.run(SECOND);
        world.devices[A].endpoint.port = port;
        world.run(5 * SECOND);
        assert_eq!(world.agree(), port == 51820);
        assert_eq!(
            count(&world, B, Kind::CookieReply),
            1 + usize::from(port != 51820)
        );
        world.run(5 * SECOND);
        assert!(world.agree());
    }
}

#[test]
fn cookie_reply_is_accepted_once() {
    let mut world = World::new(7);

    world.link.keep();
    world.devices[B].queued = MANY;
    world.send(A);
    world.run(SECOND);
    let kept = world.link.kept();
    let (_, reply) = kept
        .iter()
        .find(|(sent, _)| sent.kind == Kind::CookieReply)
        .expect("a reply");
    let before = (
        world.devices[A].counters,
        world.devices[A].peers[0].deadlines,
    );

    assert_eq!(world.devices[A].counters.rx_ignored, 0);
    let mut reply = reply.clone();
    reply.src.port = 1;
    world.link.inject(world.now, reply);
    world.run(MS);
    assert_eq!(world.devices[A].counters.rx_ignored, 1);
    // It means nothing to timers, endpoint and counters, the first time neither.
    assert_eq!(world.devices[A].peers[0].deadlines, before.1);
    assert_eq!(
        world.devices[A].peers[0]
            .endpoint
            .map(|endpoint| endpoint.port),
        Some(51820)
    );
    assert_eq!(world.devices[A].peers[0].rx_bytes, 0);
}

#[test]
fn sources_are_limited_under_load() {
    let mut world = World::new(8);

    world.devices[B].queued = MANY;
    world.send(A);
    world.run(SECOND);
    world.link.keep();
    // The same one over and over, with a good cookie, of which none is new.
    world.run_until(6 * SECOND);
    assert!(world.agree());
    let kept = world.link.kept();
    let (_, initiation) = kept
        .iter()
        .find(|(sent, _)| sent.kind == Kind::Initiation)
        .expect("an initiation");
    let start = world.now;
    let before = world.devices[B].counters.rx_ignored;
    for _ in 0..100 {
        world.link.inject(world.now, initiation.clone());
        world.run(MS);
    }
    assert_eq!(world.devices[B].counters.rx_ignored, before + 100);
    assert_eq!(world.sent(B, start, |_| true), []);
    assert!(world.reaches(A, SECOND));
}

#[test]
fn data_does_not_suffer_from_load() {
    let mut world = World::connected(9);

    world.devices[A].queued = 4096;
    world.devices[B].queued = 4096;
    for i in 0..600 {
        world.send(i % 2);
        world.run(SECOND);
    }
    world.run(SECOND);
    assert_eq!(world.received(A).len() + world.received(B).len(), 600);
}
