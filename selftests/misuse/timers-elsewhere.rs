// SPDX-License-Identifier: GPL-2.0
//
// Timers that are not within their owner outlive it, and look at it when they expire.
//
// refused: E0308
// says: expected `*const Timers<Peer, _>`, found `*const Arc<Timers<Peer, 1>>`

#![forbid(unsafe_code)]

use kernel::sync::Arc;
use wg_kernel::{
    rcu_object,
    sync::rcu::{
        Borrow,
        Release, //
    },
    timer::{
        Expire,
        Timers, //
    }, //
};

pub struct Peer {
    timers: Arc<Timers<Peer, 1>>,
}

rcu_object!(Peer, timers: timers);
impl Release for Peer {}

impl Expire<1> for Peer {
    fn expired(this: Borrow<'_, Self>, timer: usize) {
        this.timers.arm(timer, 1);
    }
}
