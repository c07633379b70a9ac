// SPDX-License-Identifier: GPL-2.0

//! Sessions come and go without a packet being lost, and whoever begins.

use std::rc::Rc;

use wg_proto::{
    handshake::Role,
    limits::REJECT_AFTER_MESSAGES,
    wire::Kind, //
};
use wg_selftests::pair::{
    link::Fate,
    Sent,
    World,
    A,
    B,
    MS,
    SECOND, //
};

/// Delays the next message that is so described by so many nanoseconds.
fn delay_one(world: &mut World, ns: u64, which: impl Fn(&Sent) -> bool + 'static) {
    let mut done = false;

    world.link.script(move |sent| {
        if !done && which(sent) {
            done = true;
            Fate::Delayed(ns)
        } else {
            Fate::Chance
        }
    });
}

#[test]
fn handshake_takes_one_round_trip() {
    let mut world = World::new(1);

    world.send(A);
    world.run(SECOND);
    assert_eq!(world.received(B), [0]);
    let kinds: Vec<_> = world
        .log
        .iter()
        .map(|sent| (sent.from, sent.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            (A, Kind::Initiation),
            (B, Kind::Response),
            // What waited confirms the session, so that no empty packet has to.
            (A, Kind::Data)
        ]
    );
    assert!(world.agree());
    assert_eq!(
        world.devices.each_ref().map(|device| device.indices()),
        [1, 1]
    );
    assert_eq!(world.current(A).role, Role::Initiator);
    assert_eq!(world.current(B).role, Role::Responder);
    let [a, b] = world.devices.each_ref().map(|device| &device.peers[0]);
    assert_eq!([a.rx_bytes, b.tx_bytes], [92, 92]);
    assert_eq!(a.tx_bytes, b.rx_bytes);
}

#[test]
fn empty_packet_confirms_if_there_is_no_data() {
    let mut world = World::new(2);

    world.act(A, |device| device.initiate(0, false));
    world.run(SECOND);
    assert_eq!(world.log.len(), 3);
    assert!(world.log[2].is_keepalive());
    assert!(world.agree());
}

#[test]
fn responder_waits_for_confirmation() {
    let mut world = World::connected(3);
    let old = world.current(B);

    world.run(10 * SECOND);
    delay_one(&mut world, 2 * SECOND, Sent::is_keepalive);
    world.act(A, |device| device.initiate(0, false));
    world.run(SECOND);

    // It still sends in the old session, which still is received.
    let sent = old.sent.get();
    assert!(world.reaches(B, SECOND / 2));
    assert_eq!(old.sent.get(), sent + 1);
    assert!(Rc::ptr_eq(&old, &world.current(B)));
    let next = world.devices[B].peers[0]
        .keypairs
        .next
        .clone()
        .expect("a session");
    assert_eq!(next.sent.get(), 0);

    world.run(SECOND);
    assert!(Rc::ptr_eq(&next, &world.current(B)));
    assert!(world.reaches(B, SECOND));
    assert_eq!(next.sent.get(), 1);
    assert!(world.agree());
}

#[test]
fn late_packets_are_received_in_the_previous_session() {
    let mut world = World::connected(4);

    for (renewals, received) in [(0, true), (1, true), (2, false)] {
        for from in [A, B] {
            delay_one(&mut world, 60 * SECOND, Sent::is_data);
            let number = world.send(from);
            for _ in 0..renewals {
                world.run(10 * SECOND);
                world.act(A, |device| device.initiate(0, false));
            }
            world.run(100 * SECOND);
            assert_eq!(world.received(1 - from).contains(&number), received);
            world.down(A);
            world.up(A);
            world.act(A, |device| device.initiate(0, false));
            world.run(SECOND);
        }
    }
}

#[test]
fn data_flows_across_renewals() {
    let mut world = World::new(5);
    let mut sent = [0; 2];

    for i in 0..6000 {
        let from = i % 2;

        world.send(from);
        sent[from] += 1;
        world.run(100 * MS);
    }
    world.run(SECOND);
    for from in [A, B] {
        assert_eq!(world.received(1 - from).len(), sent[from]);
    }
    // Every two minutes, of which there are five.
    assert_eq!(world.initiations(A, 0).len(), 5);
    assert_eq!(world.initiations(B, 0), []);
    for device in &world.devices {
        assert_eq!(device.counters, Default::default());
        // The current session and the previous one.
        assert_eq!(device.indices(), 2);
    }
}

#[test]
fn simultaneous_initiations_converge() {
    let mut total = 0;

    for seed in 0..200 {
        let mut world = World::new(seed);

        world
            .link
            .set(|quality| quality.jitter = (seed % 5) * 5 * MS);
        world.send(A);
        world.run(seed % 7 * MS);
        world.send(B);
        world.run(20 * SECOND);
        assert!(world.agree(), "{seed}");
        assert_eq!(world.received(A).len(), 1, "{seed}");
        assert_eq!(world.received(B).len(), 1, "{seed}");
        // As a rule both begin once more, and one of them a bit earlier; then no more ever after.
        let count = world.initiations(A, 0).len() + world.initiations(B, 0).len();
        assert!(count <= 8, "{seed}: {count}");
        total += count;
        let now = world.now;
        world.run(100 * SECOND);
        assert_eq!(world.initiations(A, now), []);
        assert_eq!(world.initiations(B, now), []);
        assert!(world.agree(), "{seed}");
    }
    assert!(total < 200 * 4, "{total}");
}

#[test]
fn response_that_crosses_a_retry_is_ignored() {
    let mut world = World::new(6);

    // It arrives after the second initiation was sent, and before that is answered.
    delay_one(&mut world, 5 * SECOND + 334 * MS, |sent| {
        sent.kind == Kind::Response
    });
    world.link.set(|quality| quality.delay = 400 * MS);
    world.send(A);
    world.run(5 * SECOND + 750 * MS);
    assert_eq!(world.initiations(A, 0).len(), 2);
    assert_eq!(world.devices[A].counters.rx_ignored, 1);
    assert!(world.devices[A].peers[0].keypairs.current.is_none());
    world.run(3 * SECOND);
    assert!(world.agree());
    assert_eq!(world.received(B).len(), 1);
    assert_eq!(world.initiations(A, 0).len(), 2);
}

#[test]
fn own_initiation_yields_to_one_that_was_received() {
    let mut world = World::new(7);

    // B's initiation arrives while A waits for the answer to its own, which got lost.
    world
        .link
        .cut(|sent| sent.from == A && sent.kind == Kind::Initiation);
    world.send(A);
    world.run(SECOND);
    world.send(B);
    world.run(SECOND);
    assert!(world.agree());
    assert_eq!(world.current(A).role, Role::Responder);
    assert_eq!(world.received(A).len(), 1);
    assert_eq!(world.received(B).len(), 1);
    // A does not try again.
    world.run(30 * SECOND);
    assert_eq!(world.initiations(A, 0).len(), 1);
}

#[test]
fn what_was_seen_is_ignored() {
    let mut world = World::new(8);

    world.link.keep();
    world.send(A);
    world.run(SECOND);
    for _ in 0..10 {
        world.send(A);
        world.send(B);
        world.run(100 * MS);
    }
    world.run(SECOND);
    let before = world
        .devices
        .each_ref()
        .map(|device| device.delivered.len());
    let sessions = [A, B].map(|device| world.current(device));
    let endpoints = [A, B].map(|device| world.devices[device].peers[0].endpoint);
    let replayed = [A, B].map(|device| world.devices[device].counters.rx_replayed);

    assert_eq!(replayed, [0, 0]);
    for (_, mut datagram) in world.link.kept() {
        // From somewhere else.
        datagram.src.port = 1234;
        world.link.inject(world.now, datagram);
    }
    let now = world.now;
    world.run(MS);
    assert_eq!(
        world
            .devices
            .each_ref()
            .map(|device| device.delivered.len()),
        before
    );
    assert_eq!(
        [A, B].map(|device| world.devices[device].peers[0].endpoint),
        endpoints
    );
    for device in [A, B] {
        assert!(Rc::ptr_eq(&sessions[device], &world.current(device)));
        assert!(world.devices[device].counters.rx_replayed >= 10);
        assert_eq!(world.sent(device, now, |_| true), []);
    }
}

#[test]
fn exhausted_session_is_replaced() {
    let mut world = World::connected(9);

    world.run(10 * SECOND);
    let old = world.current(A);
    old.sent.set(REJECT_AFTER_MESSAGES - 1);
    let start = world.now;
    world.send(A);
    // That was the last one; it also asks for a new session.
    assert_eq!(world.sent(A, start, Sent::is_data).len(), 1);
    world.send(A);
    assert_eq!(world.sent(A, start, Sent::is_data).len(), 1);
    assert!(!old.may_send.get());
    world.run(SECOND);
    assert!(world.agree());
    assert_eq!(world.received(B).len(), 2);
    assert!(!Rc::ptr_eq(&old, &world.current(A)));
}

#[test]
fn session_with_the_last_counter_is_not_received_in() {
    let mut world = World::connected(10);
    let session = world.current(A);

    world.link.cut(|sent| sent.kind == Kind::Initiation);
    session.sent.set(REJECT_AFTER_MESSAGES - 2);
    assert!(world.reaches(A, SECOND));
    assert!(world.current(B).may_receive.get());
    assert!(world.reaches(A, SECOND));
    // It is full, which the next one shows, although it is older.
    session.sent.set(0);
    assert!(!world.reaches(A, SECOND));
    assert!(!world.current(B).may_receive.get());
}

#[test]
fn private_key_can_change() {
    let mut world = World::connected(11);

    assert!(world.reaches(A, SECOND));
    world.act(A, |device| device.set_private_key(&[5; 32]));
    // It receives in the old session, but does not send.
    assert!(world.reaches(B, SECOND));
    assert!(!world.reaches(A, 20 * SECOND));
    let public = *world.devices[A].public();
    let psk = world.devices[A].peers[0].preshared_key;

    world.act(B, |device| {
        let peer = device.add_peer(&public, &psk, None);
        for addr in wg_selftests::pair::inner(A) {
            device.allow(addr, peer);
        }
    });
    world.run(10 * SECOND);
    assert_eq!(world.received(B).len(), 2);

    // Without a private key there are no handshakes.
    world.act(A, |device| device.set_private_key(&[0; 32]));
    let now = world.now;
    assert!(!world.reaches(A, 20 * SECOND));
    assert!(world.reaches(B, 180 * SECOND));
    assert!(!world.reaches(B, 20 * SECOND));
    assert_eq!(world.sent(A, now, |_| true), []);
}

#[test]
fn peers_must_share_a_key() {
    let mut world = World::new(12);

    world.act(A, |device| {
        device.peers[0].handshake.set_preshared_key(&[1; 32])
    });
    world.send(A);
    world.send(B);
    world.run(30 * SECOND);
    assert!(!world.agree());
    assert_eq!(world.received(A), []);
    assert_eq!(world.received(B), []);

    world.act(B, |device| {
        device.peers[0].handshake.set_preshared_key(&[1; 32])
    });
    world.run(10 * SECOND);
    assert!(world.agree());
}

#[test]
fn low_order_peer_is_not_spoken_to() {
    let mut world = World::new(13);

    for public in [[0; 32], core::array::from_fn(|i| u8::from(i == 0))] {
        world.act(A, |device| {
            let endpoint = device.peers[0].endpoint;
            let peer = device.add_peer(&public, &[0; 32], endpoint);

            device.set_persistent_keepalive(peer, 1);
        });
    }
    world.run(100 * SECOND);
    assert_eq!(world.log, []);
}
