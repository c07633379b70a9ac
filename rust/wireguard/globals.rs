// SPDX-License-Identifier: GPL-2.0

//! What all devices share: the list of them, and the limiter of handshakes.

use crate::{
    device::Device,
    limiter::{
        Limiter,
        Verdict, //
    }, //
};
use kernel::rbtree::RBTreeNodeReservation;
use wg_kernel::{
    prelude::*,
    timer::{
        Expire,
        Timers, //
    }, //
};

/// The one instance, while the module is loaded.
static GLOBALS: Slot<Globals> = Slot::empty();

/// What all devices share.
#[pin_data]
pub(crate) struct Globals {
    #[pin]
    timers: Timers<Globals, 1>,
    #[pin]
    devices: Mutex<RBTree<u64, Arc<Device>>>,
    #[pin]
    limiter: Limiter,
}

rcu_object!(Globals, timers: timers);
impl rcu::Release for Globals {}

impl Globals {
    /// Creates the state that devices share.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(crate) fn register() -> Result<Registration> {
        let globals = RcuArc::pin_init(
            try_pin_init!(Self {
                timers <- Timers::new(),
                devices <- new_mutex!(RBTree::new(), "Globals::devices"),
                limiter <- Limiter::new(),
            }? Error),
            GFP_KERNEL,
        )?;
        drop(GLOBALS.swap(Some(globals)));
        Ok(Registration)
    }

    /// Returns the state that devices share.
    pub(crate) fn get() -> Option<RcuArc<Self>> {
        let guard = rcu::read_lock();
        GLOBALS.load(&guard)?.get()
    }

    /// Adds a device to the list of devices, at the reserved `place`.
    pub(crate) fn add_device(
        &self,
        device: Arc<Device>,
        place: RBTreeNodeReservation<u64, Arc<Device>>,
    ) {
        let node = place.into_node(device.id(), device);
        // There is no other device of that number.
        drop(self.devices.lock().insert(node));
    }

    /// Removes a device from the list of devices.
    pub(crate) fn remove_device(&self, device: &Device) {
        let removed = self.devices.lock().remove_node(&device.id());
        drop(removed);
    }

    /// Calls `f` for all devices.
    pub(crate) fn for_each_device(mut f: impl FnMut(&Arc<Device>)) {
        if let Some(globals) = Self::get() {
            globals.devices.lock().values().for_each(&mut f);
        }
    }

    /// Returns whether handshakes arrive faster than they are answered: see [`Limiter::is_under_load`].
    pub(crate) fn is_under_load(queued: usize, now_ns: u64) -> bool {
        let guard = rcu::read_lock();
        let globals = GLOBALS.load(&guard);
        globals.is_some_and(|globals| globals.limiter.is_under_load(queued, now_ns))
    }

    /// Returns whether the rate limit allows a handshake message: see [`Limiter::ask`].
    pub(crate) fn allows(namespace: usize, source: &SocketAddr, now_ns: u64) -> bool {
        let guard = rcu::read_lock();
        let Some(globals) = GLOBALS.load(&guard) else {
            return false;
        };
        let verdict = globals.limiter.ask(namespace, source, now_ns);
        // If the timer has expired, but its sweep is yet to come, that sees the new source. If that has been,
        // its next part may be put off to when this source may be idle.
        if verdict == Verdict::AllowedNew && !globals.timers.is_pending(0) {
            globals.timers.arm(0, time::HZ);
        }
        verdict != Verdict::Refused
    }
}

impl Expire<1> for Globals {
    fn expired(this: Borrow<'_, Self>, _timer: usize) {
        if let Some(delay) = this.limiter.sweep(time::boottime_coarse_ns()) {
            this.timers.arm(0, delay);
        }
    }
}

/// Keeps the state that devices share alive.
pub(crate) struct Registration;

impl Drop for Registration {
    fn drop(&mut self) {
        drop(GLOBALS.swap(None));
    }
}
