// SPDX-License-Identifier: GPL-2.0

//! Which CPU gets a job.

use kernel::sync::atomic::Atomic;
use wg_kernel::cpu::Active;

/// Measures time.
pub(crate) struct Meter;

impl Meter {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn measure<R>(&self, f: impl FnOnce() -> R) -> R {
        f()
    }
}

/// Whether work is given to others.
pub(crate) struct Parallel;

impl Parallel {
    pub(crate) fn measure_encryption<R>(&self, _meter: Option<&Meter>, f: impl FnOnce() -> R) -> R {
        f()
    }
}

/// The load of a device.
pub(crate) struct Load {
    pub(crate) parallel: Parallel,
    pub(crate) pages_out: Atomic<u32>,
    pub(crate) weight_in: Atomic<u32>,
}

impl Load {
    /// Creates the load of a device that has nothing to do.
    pub(crate) fn new() -> Self {
        Self {
            parallel: Parallel,
            pages_out: Atomic::new(0),
            weight_in: Atomic::new(0),
        }
    }

    /// Returns the first CPU, unless it is stuck.
    pub(crate) fn next_cpu(&self, is_stuck: impl Fn(Active) -> bool) -> Option<Active> {
        Some(Active(0)).filter(|cpu| !is_stuck(*cpu))
    }
}
