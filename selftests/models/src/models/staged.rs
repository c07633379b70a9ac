// SPDX-License-Identifier: GPL-2.0

//! Packets that wait for a session, while one comes.

use super::{
    check_both,
    World, //
};
use wg_kernel::{
    net::skbuff::SkBuffList,
    sync::rcu,
    time, //
};
use wg_proto::handshake::Role;

/// Sends what waits, as `send.rs` does, if each packet takes as many nonces.
fn send_staged(world: &World, nonces: u64) -> bool {
    let guard = rcu::read_lock();
    let peer = &world.peer;
    let session = || {
        let keypair = peer.sessions.current(&guard)?;
        keypair
            .may_send(time::boottime_coarse_ns())
            .then_some(keypair)
    };
    peer.staged.send_all(session, |keypair, packets| {
        if keypair
            .and_then(|keypair| keypair.take_nonces(nonces))
            .is_none()
        {
            return Err(packets);
        }
        peer.log(packets.consume());
        Ok(())
    })
}

/// A packet comes while a handshake is completed. It does not wait when there is a session.
#[test]
fn no_packet_waits_beside_a_session() {
    check_both(1, |pair| {
        let world = World::new();
        let (sender, installer) = (world.handle(), world.handle());
        let send = move || {
            assert!(sender.peer.staged.append(SkBuffList::of(&[0])).is_empty());
            send_staged(&sender, 1)
        };
        let install = move || {
            assert!(installer.install(Role::Initiator));
            send_staged(&installer, 1)
        };
        pair.run(send, install);
        assert!(world.peer.staged.is_empty(), "a packet waits");
        assert_eq!(world.peer.sent(), [0]);
        world.peer.sessions.clear();
    });
}

/// A session that has too few nonces left is not asked again: packets wait for the next one.
#[test]
fn packets_wait_for_a_session_with_nonces() {
    check_both(0, |pair| {
        let (world, _) = World::with_session();
        let (sender, installer) = (world.handle(), world.handle());
        assert!(world.peer.staged.append(SkBuffList::of(&[0])).is_empty());
        let send = move || send_staged(&sender, u64::MAX);
        let install = move || {
            assert!(installer.install(Role::Initiator));
            send_staged(&installer, 1)
        };
        pair.run(send, install);
        send_staged(&world, 1);
        let waits = !world.peer.staged.is_empty();
        assert_ne!(waits, world.peer.sent() == [0], "lost or twice");
        world.peer.staged.take().consume();
        world.peer.sessions.clear();
    });
}

/// Packets are added while others are taken: none is lost, and whether some wait is known afterwards.
#[test]
fn whether_packets_wait_is_known() {
    check_both(1, |pair| {
        let world = World::new();
        let (adder, taker) = (world.handle(), world.handle());
        assert!(world.peer.staged.append(SkBuffList::of(&[0])).is_empty());
        let add = move || assert!(adder.peer.staged.append(SkBuffList::of(&[1])).is_empty());
        let ((), taken) = pair.run(add, move || taker.peer.staged.take().consume());
        let is_empty = world.peer.staged.is_empty();
        let left = world.peer.staged.take().consume();
        assert_eq!(is_empty, left.is_empty());
        assert_eq!([taken, left].concat(), [0, 1]);

        assert!(world.peer.staged.append(SkBuffList::of(&[2])).is_empty());
        assert!(world
            .peer
            .staged
            .send_all(|| None::<()>, |_, packets| Err(packets)));
        assert!(
            !world.peer.staged.is_empty(),
            "what was put back is not seen"
        );
        world.peer.staged.take().consume();
    });
}
