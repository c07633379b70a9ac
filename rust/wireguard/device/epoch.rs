// SPDX-License-Identifier: GPL-2.0

//! When an interface is up.
//!
//! Work that is begun while it is up must be complete or void once it has gone down, and must not continue
//! when it is up again. Hence all code that begins something asks for the [`Epoch`]:
//!
//! - code that runs in one RCU section asks in that section. The task that ends an epoch waits for a grace
//!   period, and clears what was made until then;
//! - code that holds the lock of a peer's keying notes the epoch when its work begins, and makes something
//!   only if that epoch is not over yet, which it checks with the lock held. The task that ends an epoch
//!   takes the lock afterwards, to wipe what was made.

use super::Device;
use wg_kernel::prelude::*;

/// A period for which an interface is up, from one `ndo_open` to the next `ndo_stop`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(u32);

/// Counts how often an interface has gone up or down: it is up while the number is odd.
pub(super) struct Epochs(Atomic<u32>);

impl Epochs {
    /// Creates the counter of an interface that was never up.
    pub(super) const fn new() -> Self {
        Self(Atomic::new(0))
    }
}

impl Device {
    /// Returns the present epoch, if the interface is up.
    #[inline]
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        let number = self.epochs.0.load(Relaxed);
        (number & 1 == 1).then_some(Epoch(number))
    }

    /// Returns whether the interface is up, and was so ever since `epoch` began.
    #[inline]
    pub(crate) fn is_in(&self, epoch: Epoch) -> bool {
        self.epoch() == Some(epoch)
    }

    /// Returns whether the interface is up.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        self.epoch().is_some()
    }

    /// Begins an epoch: with the sockets open, and the configuration locked.
    pub(super) fn begin_epoch(&self) {
        if !self.is_running() {
            self.epochs.0.add(1, Relaxed);
        }
    }

    /// Ends the epoch, with the configuration locked. A grace period must pass before what was made in
    /// it is cleared.
    pub(super) fn end_epoch(&self) {
        if self.is_running() {
            self.epochs.0.add(1, Relaxed);
        }
    }
}
