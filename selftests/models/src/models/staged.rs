// SPDX-License-Identifier: GPL-2.0

//! Packets that wait for a session, while one comes.

use super::{
    check_both,
    World, //
};
use wg_kernel::{
    net::skbuff::SkBuffList,
    sync::rcu, //
};
use wg_proto::handshake::Role;

/// Sends what waits, as `send.rs` does.
fn send_staged(world: &World) -> bool {
    let guard = rcu::read_lock();
    let peer = &world.peer;
    let has_session = || peer.sessions.current(&guard).is_some();
    peer.staged.send_all(has_session, |packets| {
        if !has_session() {
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
            send_staged(&sender)
        };
        let install = move || {
            assert!(installer.install(Role::Initiator));
            send_staged(&installer)
        };
        pair.run(send, install);
        assert!(world.peer.staged.is_empty(), "a packet waits");
        assert_eq!(world.peer.sent(), [0]);
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
        assert!(world.peer.staged.send_all(|| false, Err));
        assert!(
            !world.peer.staged.is_empty(),
            "what was put back is not seen"
        );
        world.peer.staged.take().consume();
    });
}
