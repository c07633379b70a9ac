// SPDX-License-Identifier: GPL-2.0
//
// What is pinned is not taken out of its place, not even when nothing else refers to it: its timers are
// in lists by their address.
//
// refused: E0599
// says: the method `into_inner` exists for struct `Retired<Peer>`, but its trait bounds were not satisfied

#![forbid(unsafe_code)]

use kernel::prelude::*;
use wg_kernel::{
    rcu_object,
    sync::rcu::{
        Borrow,
        RcuArc,
        Release, //
    },
    timer::{
        Expire,
        Timers, //
    }, //
};

#[pin_data]
pub struct Peer {
    #[pin]
    timers: Timers<Peer, 1>,
}

rcu_object!(Peer, timers: timers);
impl Release for Peer {}

impl Expire<1> for Peer {
    fn expired(this: Borrow<'_, Self>, timer: usize) {
        this.timers.arm(timer, 1);
    }
}

pub fn take(peer: RcuArc<Peer>) -> Option<Peer> {
    Some(RcuArc::retire(peer)?.into_inner())
}
