// SPDX-License-Identifier: GPL-2.0
//
// The same, where it is not said that the timers are pinned, so that what they are in could be moved:
// then there is no way to make them.
//
// refused: E0277
// says: Init<Timers<Peer, 1>, _>` is not satisfied

#![forbid(unsafe_code)]

use kernel::prelude::*;
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

#[pin_data]
pub struct Peer {
    timers: Timers<Peer, 1>,
}

rcu_object!(Peer, timers: timers);
impl Release for Peer {}

impl Expire<1> for Peer {
    fn expired(this: Borrow<'_, Self>, timer: usize) {
        this.timers.arm(timer, 1);
    }
}

pub fn peer() -> impl PinInit<Peer> {
    pin_init!(Peer { timers <- Timers::new() })
}
