// SPDX-License-Identifier: GPL-2.0
//
// The same, by saying of what has pinned fields that it may be moved.
//
// refused: E0119
// says: conflicting implementations of trait `Unpin` for type `Peer`

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

impl Unpin for Peer {}

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
