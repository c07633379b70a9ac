// SPDX-License-Identifier: GPL-2.0

//! Sessions that are installed, confirmed and cleared while packets are sent and received with them.

use super::{
    check_both,
    World, //
};
use crate::lookup::Entry;
use kernel::model::check;
use loom::thread;
use wg_kernel::{
    sync::rcu,
    time::boottime_coarse_ns, //
};
use wg_proto::{
    handshake::Role,
    wire::Index, //
};

/// The index of the first session of a model.
const FIRST: Index = Index(1);

/// Receives a message of the session with `index`; returns whether it confirms that session.
fn receive(world: &World, index: Index) -> bool {
    let guard = rcu::read_lock();
    let entry = world.device.indices.get(index, &guard);
    let Some(Entry::Keypair(keypair)) = entry else {
        return false;
    };
    let confirmed = world.peer.sessions.confirm(keypair.borrow());
    assert_eq!(keypair.local_index(), index);
    confirmed
}

/// Sends a message; returns the index of the session.
fn send(world: &World) -> Option<Index> {
    let guard = rcu::read_lock();
    let keypair = world.peer.sessions.current(&guard)?;
    let kept = keypair.get();
    let index = keypair.local_index();
    drop(guard);
    assert!(kept.is_none_or(|kept| kept.local_index() == index));
    Some(index)
}

/// Ends a model: no index stands for a session that is over.
fn end(world: &World) {
    world.peer.sessions.clear();
    assert_eq!(send(world), None);
    let guard = rcu::read_lock();
    let left = (1..5).find(|index| world.device.indices.get(Index(*index), &guard).is_some());
    assert_eq!(left, None, "an index without a session");
}

/// Two messages of the next session arrive at once: one confirms it, and it is then the one to send with.
#[test]
fn a_session_is_confirmed_once() {
    check_both(0, |pair| {
        let world = World::new();
        assert!(world.install(Role::Responder));
        let [one, other] = [(); 2].map(|()| {
            let world = world.handle();
            move || {
                let confirms = receive(&world, FIRST);
                assert!(!confirms || send(&world) == Some(FIRST));
                confirms
            }
        });
        let (mine, others) = pair.run(one, other);
        assert!(mine != others, "confirmed twice, or not at all");
        assert_eq!(send(&world), Some(FIRST));
        end(&world);
    });
}

/// A session is confirmed while another handshake is completed, in either role.
fn install_meanwhile(role: Role) {
    check_both(0, move |pair| {
        let world = World::new();
        assert!(world.install(Role::Responder));
        let (receiver, installer) = (world.handle(), world.handle());
        let install = move || {
            assert!(installer.install(role));
            let sent = send(&installer);
            assert!(role == Role::Responder || sent.is_some());
        };
        let (confirmed, ()) = pair.run(move || receive(&receiver, FIRST), install);
        match role {
            Role::Responder => assert_eq!(send(&world), confirmed.then_some(FIRST)),
            Role::Initiator => assert_eq!(send(&world), Some(Index(2))),
        }
        end(&world);
    });
}

#[test]
fn a_session_is_confirmed_while_a_response_comes() {
    install_meanwhile(Role::Initiator);
}

#[test]
fn a_session_is_confirmed_while_an_initiation_comes() {
    install_meanwhile(Role::Responder);
}

/// A peer is removed while a handshake is completed: no session is left, nor an index.
#[test]
fn no_session_comes_after_the_peer_is_dead() {
    check_both(0, |pair| {
        let world = World::new();
        let (installer, remover) = (world.handle(), world.handle());
        let remove = move || {
            remover.peer.make_dead();
            rcu::synchronize_net();
            remover.peer.sessions.clear();
            assert_eq!(send(&remover), None);
        };
        pair.run(move || installer.install(Role::Initiator), remove);
        assert_eq!(send(&world), None, "a dead peer has a session");
        end(&world);
    });
}

/// All sessions are cleared while one is installed and used: the index goes with the session.
#[test]
fn indices_go_with_their_sessions() {
    check(|| {
        let world = World::new();
        assert!(world.install(Role::Initiator));
        let user = thread::spawn({
            let world = world.handle();
            move || {
                receive(&world, FIRST);
                send(&world)
            }
        });
        let clearer = thread::spawn({
            let world = world.handle();
            move || world.peer.sessions.clear()
        });
        let installed = world.install(Role::Initiator);
        assert!(installed);
        clearer.join().expect("no failure");
        user.join().expect("no failure");
        // What is read without the lock is what it protects.
        let is_there = world.peer.sessions.are_young(boottime_coarse_ns());
        assert_eq!(is_there, send(&world).is_some());
        end(&world);
    });
}
