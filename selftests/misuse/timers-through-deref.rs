// SPDX-License-Identifier: GPL-2.0
//
// The same, with the timers in something that the object dereferences to.
//
// refused: E0026
// says: struct `Peer` does not have a field named `timers`

#![forbid(unsafe_code)]

use core::ops::Deref;
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

pub struct Shared {
    timers: Timers<Peer, 1>,
}

pub struct Peer {
    shared: Arc<Shared>,
}

impl Deref for Peer {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

rcu_object!(Peer, timers: timers);
impl Release for Peer {}

impl Expire<1> for Peer {
    fn expired(this: Borrow<'_, Self>, timer: usize) {
        this.timers.arm(timer, 1);
    }
}
