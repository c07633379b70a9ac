// SPDX-License-Identifier: GPL-2.0

//! Bottom halves: each thread of a model is a CPU, which nothing interrupts.

use kernel::{
    sync::rcu,
    types::NotThreadSafe, //
};

/// Evidence that they are off.
pub struct Guard(NotThreadSafe);

/// Turns them off.
pub fn disable() -> Guard {
    Guard(NotThreadSafe)
}

/// Returns whether this is a softirq.
pub fn in_softirq(_bh: &Guard) -> bool {
    false
}

/// Evidence that preemption is off.
pub struct Unpreempted(NotThreadSafe);

/// Turns preemption off.
pub fn keep_cpu(_bh: &Guard) -> Unpreempted {
    Unpreempted(NotThreadSafe)
}

impl Unpreempted {
    /// Turns bottom halves on; nothing is left for them to do.
    pub fn enable(&self, bh: Guard) {
        drop(bh);
    }
}

/// Evidence of a softirq.
#[derive(Clone, Copy)]
pub struct Softirq<'g> {
    rcu: &'g rcu::Guard,
    bh: &'g Guard,
}

impl<'g> Softirq<'g> {
    pub fn new(rcu: &'g rcu::Guard, bh: &'g Guard) -> Self {
        Self { rcu, bh }
    }

    pub fn rcu(self) -> &'g rcu::Guard {
        self.rcu
    }

    pub fn bh(self) -> &'g Guard {
        self.bh
    }
}
