// SPDX-License-Identifier: GPL-2.0

//! Nonces, of which several CPUs take ranges.

use super::World;
use kernel::model::check_with;
use loom::thread;
use wg_proto::{
    handshake::Role,
    nonce::Nonce, //
};

/// No two messages get the same nonce, and none is left out.
#[test]
fn no_nonce_is_taken_twice() {
    check_with(1, || {
        let world = World::new();
        assert!(world.install(Role::Initiator));
        let keypair = world.current().expect("a session");
        let others = [1, 2].map(|count| {
            let keypair = keypair.clone();
            thread::spawn(move || {
                let nonces = keypair.take_nonces(count).expect("enough");
                nonces.map(Nonce::spend).collect::<Vec<_>>()
            })
        });
        let mut all: Vec<u64> = [3, 1]
            .into_iter()
            .flat_map(|count| keypair.take_nonces(count).expect("enough"))
            .map(Nonce::spend)
            .collect();
        assert!(all.is_sorted());
        for other in others {
            all.extend(other.join().expect("no failure"));
        }
        all.sort_unstable();
        assert_eq!(all, (0..7).collect::<Vec<_>>());
        drop(keypair);
        world.peer.sessions.clear();
    });
}
