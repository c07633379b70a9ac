// SPDX-License-Identifier: GPL-2.0

//! What is in the tunnel, and how it looks from outside.

use wg_proto::wire::{
    Kind,
    HANDSHAKE_DSCP, //
};
use wg_selftests::pair::{
    device::Counters,
    packet,
    TransmitError,
    World,
    A,
    B,
    SECOND, //
};

/// Sends what no packet would pass as, from an authentic peer.
fn smuggle(world: &mut World, bytes: Vec<u8>) {
    world.act(A, |device| {
        device.peers[0].staged.push_back(bytes);
        device.send_keepalive(0);
    });
    world.run(SECOND);
}

#[test]
fn packets_need_a_peer() {
    let mut world = World::connected(1);
    let transmit = |world: &mut World, packet| world.act(A, |device| device.transmit(packet));
    let mut unknown = packet(A, B, 0, 100, false);

    unknown[19] = 99;
    assert_eq!(transmit(&mut world, unknown), Err(TransmitError::NoPeer));
    assert_eq!(transmit(&mut world, vec![]), Err(TransmitError::Protocol));
    assert_eq!(
        transmit(&mut world, vec![0x55; 100]),
        Err(TransmitError::Protocol)
    );
    assert_eq!(
        transmit(&mut world, vec![0x45; 19]),
        Err(TransmitError::Protocol)
    );
    world.devices[A].peers[0].endpoint = None;
    assert_eq!(world.try_send(A), Err(TransmitError::NoEndpoint));
}

#[test]
fn waiting_packets_are_limited() {
    let mut world = World::new(2);

    world.link.cut(|sent| sent.kind == Kind::Response);
    for _ in 0..200 {
        world.send(A);
    }
    // One more than the limit, the last one being added afterwards.
    assert_eq!(world.devices[A].peers[0].staged.len(), 129);
    assert_eq!(world.devices[A].counters.tx_dropped, 71);
    world.link.heal();
    world.run(10 * SECOND);
    assert!(world.received(B).into_iter().eq(71..200));
}

#[test]
fn malformed_packets_are_counted() {
    let lie = |len: u16| {
        let mut packet = packet(A, B, 0, 100, false);
        packet[2..4].copy_from_slice(&len.to_be_bytes());
        packet
    };
    let frame = Counters {
        rx_frame_errors: 1,
        ..Counters::default()
    };
    let length = Counters {
        rx_length_errors: 1,
        ..Counters::default()
    };
    // From B's own address.
    let spoofed = packet(B, B, 0, 100, true);

    for (bytes, expected) in [
        (vec![0x45], frame),
        (vec![0x55; 100], frame),
        (vec![0x60; 16], frame),
        (lie(19), length),
        (lie(113), length),
        (spoofed, frame),
    ] {
        let mut world = World::connected(3);
        let before = world.devices[B].peers[0].rx_bytes;
        let start = world.now;

        // It is authentic nevertheless.
        world.devices[A].endpoint.port = 7;
        smuggle(&mut world, bytes.clone());
        world.run(10 * SECOND);
        assert_eq!(world.devices[B].counters, expected, "{bytes:?}");
        assert_eq!(world.devices[B].peers[0].rx_bytes, before);
        assert_eq!(world.keepalives(B, start).len(), 1);
        assert_eq!(
            world.devices[B].peers[0].endpoint,
            Some(world.devices[A].endpoint)
        );
        assert_eq!(world.received(B), []);
    }
}

#[test]
fn lengths_are_padded() {
    let mut world = World::connected(4);
    let start = world.now;

    for _ in 0..200 {
        world.send(A);
        world.run(SECOND / 10);
    }
    assert_eq!(world.received(B).len(), 200);
    for sent in world
        .log
        .iter()
        .filter(|sent| sent.at >= start && sent.is_data())
    {
        // 32 bytes of overhead; the MTU of 1420 is no multiple of 16.
        assert!(sent.len % 16 == 0 || sent.len == 1420 + 32, "{}", sent.len);
    }
}

#[test]
fn outer_header_tells_little() {
    let mut world = World::new(5);

    for (tos, ds) in [(0, 0), (0xb8, 0), (0xb9, 1), (2, 2), (3, 2)] {
        let mut packet = packet(A, B, 0, 100, false);

        packet[1] = tos;
        let start = world.now;
        // To nobody, so that nobody gets one that was not sent by the world.
        packet[15] = 99;
        smuggle(&mut world, packet);
        let sent = world
            .log
            .iter()
            .find(|sent| sent.at >= start && sent.is_data());
        assert_eq!(sent.expect("data").ds, ds, "{tos}");
    }
    for sent in &world.log {
        let ds = match sent.kind {
            Kind::Initiation | Kind::Response => HANDSHAKE_DSCP,
            Kind::CookieReply => 0,
            Kind::Data if sent.is_keepalive() => 0,
            Kind::Data => continue,
        };
        assert_eq!(sent.ds, ds);
    }
}

#[test]
fn endpoint_follows_the_peer() {
    let mut world = World::connected(6);

    assert!(world.reaches(A, SECOND));
    world.devices[A].endpoint.port = 9;
    assert!(!world.reaches(B, SECOND));
    assert!(world.reaches(A, SECOND));
    assert!(world.reaches(B, SECOND));
    // An empty packet is enough.
    world.devices[A].endpoint.port = 10;
    world.act(A, |device| device.send_keepalive(0));
    world.run(SECOND);
    assert!(world.reaches(B, SECOND));
}

#[test]
fn peer_without_endpoint_is_learned() {
    let mut world = World::new(7);

    world.devices[B].peers[0].endpoint = None;
    assert_eq!(world.try_send(B), Err(TransmitError::NoEndpoint));
    assert!(world.reaches(A, SECOND));
    assert!(world.reaches(B, SECOND));
    assert!(world.log.iter().all(|sent| !sent.is_keepalive()));
}
