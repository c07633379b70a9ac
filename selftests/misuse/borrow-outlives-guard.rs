// SPDX-License-Identifier: GPL-2.0
//
// What RCU protects must not be looked at after the section has ended.
//
// refused: E0505
// says: cannot move out of `guard` because it is borrowed

#![forbid(unsafe_code)]

use wg_kernel::{
    rcu_object,
    sync::rcu::{
        self,
        Release,
        Slot, //
    }, //
};

pub struct Peer(u32);

rcu_object!(Peer);
impl Release for Peer {}

pub fn look(slot: &Slot<Peer>) -> u32 {
    let guard = rcu::read_lock();
    let peer = slot.load(&guard);
    drop(guard);
    peer.map_or(0, |peer| peer.0)
}
