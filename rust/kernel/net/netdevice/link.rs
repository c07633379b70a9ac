// SPDX-License-Identifier: GPL-2.0

//! The revocable pointer from the private data of a device to the device.

use super::{
    Device,
    Name, //
};
use crate::{
    net::napi::NapiSet,
    sync::{
        bh,
        rcu, //
    }, //
};
use core::ptr::null_mut;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc, //
    }, //
};
use wg_bindings as bindings;

/// A revocable pointer to a device.
///
/// The private data of a device may outlive it, being shared with timers, sockets and packets. A
/// link tells whether the device is still there.
#[derive(Clone)]
pub struct Link(Arc<Shared>);

impl Link {
    /// Makes a link.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Returns the device, from when it has been registered until it is being unregistered.
    #[inline]
    pub fn get<'g>(&'g self, _guard: &'g rcu::Guard) -> Option<&'g Device> {
        // Pairs with the store in `Shared::link`.
        let dev = rcu::dereference(&self.0.dev);
        if dev.is_null() {
            return None;
        }
        // SAFETY: By the type invariants of `Shared` the device is registered, or was when this
        // read-side critical section began, and so is valid until it ends.
        Some(unsafe { Device::from_raw(dev) })
    }

    /// Returns the name of the device: the current one, or else the last one known.
    ///
    /// Before the device is registered this may be a pattern like `wg%d`.
    pub fn name(&self) -> Name {
        let guard = rcu::read_lock();
        match self.get(&guard) {
            Some(dev) => dev.name(),
            None => self.0.remembered_name(),
        }
    }

    /// Schedules [`Operations::poll`] for the given instance, on the current CPU.
    ///
    /// It will be called after this, even if it is being called at this moment. Nothing happens if
    /// there is no such instance, or the device is not registered yet, or no longer.
    ///
    /// [`Operations::poll`]: super::Operations::poll
    #[inline]
    pub fn schedule_napi(&self, instance: usize, bh: &bh::Guard) {
        self.0.napi.schedule(instance, bh);
    }
}

/// The state that all links of a device share.
///
/// # Invariants
///
/// `dev` is null, or points to a device that is registered. It is reset before the grace period
/// that C waits for when it unregisters the device.
pub(in crate::net) struct Shared {
    /// The device.
    dev: Atomic<*mut bindings::net_device>,

    /// The two halves of the name that is used when there is no device.
    name: [Atomic<u64>; 2],

    /// The NAPI instances of the device.
    napi: NapiSet,
}

impl Shared {
    /// Creates the shared state of a device's links, which do not lead to it yet.
    pub(super) fn new(name: Name) -> Result<Arc<Self>> {
        let [low, high] = name.to_words();
        let shared = Self {
            // INVARIANT: Null.
            dev: Atomic::new(null_mut()),
            name: [Atomic::new(low), Atomic::new(high)],
            napi: NapiSet::new()?,
        };
        Ok(Arc::new(shared, GFP_KERNEL)?)
    }

    /// Lets the links lead to `dev`.
    ///
    /// # Safety
    ///
    /// The device must be registered, and [`Shared::unlink`] be called when it is unregistered,
    /// before a grace period.
    pub(super) unsafe fn link(&self, dev: *mut bindings::net_device) {
        // INVARIANT: By the safety requirements.
        //
        // Pairs with the load in `Link::get`.
        self.dev.store(dev, Release);
    }

    /// Returns whether the device is registered.
    #[inline]
    pub(in crate::net) fn is_linked(&self) -> bool {
        !self.dev.load(Relaxed).is_null()
    }

    /// Revokes the links, and remembers a name. Returns whether they led to a device.
    pub(super) fn unlink(&self, name: Name) -> bool {
        for (half, word) in self.name.iter().zip(name.to_words()) {
            half.store(word, Relaxed);
        }
        // Readers that see no device must see the name. Pairs with the load in `remembered_name`.
        !self.dev.xchg(null_mut(), Full).is_null()
    }

    /// Returns the remembered name, to readers that have seen no device.
    fn remembered_name(&self) -> Name {
        // What they have read is ordered before the name only if it is read so.
        let _ = self.dev.load(Acquire);
        let [low, high] = &self.name;
        Name::from_words([low.load(Relaxed), high.load(Relaxed)])
    }

    /// Returns the NAPI instances of the device.
    #[inline]
    pub(in crate::net) fn napi(&self) -> &NapiSet {
        &self.napi
    }
}
