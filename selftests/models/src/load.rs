// SPDX-License-Identifier: GPL-2.0

//! Which CPU gets a job.

use wg_kernel::cpu::Online;

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
}

impl Load {
    /// Returns the first CPU, unless it is stuck.
    pub(crate) fn next_cpu(&self, is_stuck: impl Fn(Online) -> bool) -> Option<Online> {
        Some(Online(0)).filter(|cpu| !is_stuck(*cpu))
    }
}
