// SPDX-License-Identifier: GPL-2.0

//! The jobs that wait on one CPU.

use kernel::{
    prelude::*,
    sync::Arc, //
};
use wg_kernel::{
    cpu,
    workqueue::OwnedQueue, //
};

/// The jobs that wait on one CPU, which may be stuck from the start.
pub(crate) struct Backlog {
    pub(crate) stuck: core::cell::Cell<bool>,
}

// SAFETY: A model runs in one thread of the system, and this is set before it has others.
unsafe impl Sync for Backlog {}

impl Backlog {
    pub(crate) fn new() -> Result<Arc<Self>> {
        let stuck = core::cell::Cell::new(false);
        Ok(Arc::new(Self { stuck }))
    }

    pub(crate) fn add(&self, _now_ns: u64) {}

    pub(crate) fn remove(&self) {}

    pub(crate) fn withdraw(self: &Arc<Self>, _queue: &OwnedQueue, _cpu: cpu::Active) {}

    pub(crate) fn forget(&self) {}

    pub(crate) fn is_stuck(&self, _now_ns: u64) -> bool {
        self.stuck.get()
    }
}
