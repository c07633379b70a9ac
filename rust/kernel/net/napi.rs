// SPDX-License-Identifier: GPL-2.0

//! NAPI: receiving in batches, in softirq context, or in threads that poll in its place.
//!
//! Each device has one instance per possible CPU, so that work can be done on the CPU where it
//! arises. [`Link::schedule_napi`](super::netdevice::Link::schedule_napi) schedules an instance on
//! the current CPU, and [`Operations::poll`] does the work. Writing `1` to
//! `/sys/class/net/…/threaded` makes a thread per instance do it instead.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::{
    context,
    netdevice::{
        Operations,
        Private, //
    },
    skbuff::SkBuff, //
};
use crate::{
    compat::u32_as_usize,
    sync::bh::{
        self,
        Softirq, //
    }, //
};
use core::marker::PhantomData;
use kernel::{
    cpu::nr_cpu_ids,
    ffi::{
        c_int,
        c_ulong, //
    },
    prelude::*,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};
use wg_bindings as bindings;

/// An instance that is being polled.
pub struct Napi<'a> {
    /// The instance.
    instance: &'a Instance,

    /// Bottom halves are disabled for the thread that polls, not for any other.
    _not_thread_safe: PhantomData<NotThreadSafe>,
}

impl Napi<'_> {
    /// Passes a received packet to the stack through GRO.
    ///
    /// It came in by the device that the instance belongs to. Its protocol should have been set. If there are
    /// clones of it, it is not merged.
    #[inline]
    pub fn gro_receive(&self, skb: SkBuff) {
        // SAFETY: The instance is being polled, and the packet is given away.
        unsafe { bindings::wg_gro_receive(self.instance.as_raw(), skb.into_raw()) };
    }

    /// Returns evidence that polling is an RCU read-side critical section with bottom halves disabled.
    #[inline]
    pub fn softirq(&self) -> Softirq<'_> {
        // SAFETY: The networking core has disabled bottom halves while it polls, which lasts as
        // long as `self`.
        unsafe { context::softirq() }
    }
}

/// An instance.
///
/// On cache lines of its own, as the CPU that polls it writes to it.
///
/// # Invariants
///
/// `NAPI_STATE_SCHED` is set unless the instance is enabled, hence it can be scheduled at any time:
/// before it is added to a device, and after it was deleted, nothing comes of it.
#[repr(C, align(64))]
struct Instance(Opaque<bindings::napi_struct>);

impl Instance {
    /// Returns an instance that belongs to no device yet.
    fn new() -> Self {
        let napi = bindings::napi_struct {
            // CAST: The enumeration is of flags for the word.
            state: (bindings::NAPIF_STATE_SCHED | bindings::NAPIF_STATE_NO_BUSY_POLL) as c_ulong,
            ..Default::default()
        };
        // INVARIANT: The flag was just set, and to add an instance only sets more
        // (`netif_napi_add_weight_locked()`), this one among them.
        Self(Opaque::new(napi))
    }

    /// Returns the pointer that C wants.
    fn as_raw(&self) -> *mut bindings::napi_struct {
        self.0.get()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let napi = self.as_raw();
        // SAFETY: Nobody else has access any more.
        if unsafe { !(*napi).dev.is_null() } {
            // Polling that was at its end while the instance was disabled may have started it since.
            // SAFETY: It was set up when the instance was added.
            unsafe { bindings::hrtimer_cancel(&raw mut (*napi).timer) };
        }
    }
}

/// The instances of a device.
pub(super) struct NapiSet(KVVec<Instance>);

// SAFETY: The instances may be added, deleted and freed by different threads.
unsafe impl Send for NapiSet {}

// SAFETY: All that can be done through a shared reference without more ado is to schedule an
// instance, which takes care of concurrency.
unsafe impl Sync for NapiSet {}

impl NapiSet {
    /// Allocates an instance per possible CPU.
    pub(super) fn new() -> Result<Self> {
        let count = u32_as_usize(nr_cpu_ids());
        let mut instances = KVVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            instances
                .push_within_capacity(Instance::new())
                .map_err(|_| ENOMEM)?;
        }
        Ok(Self(instances))
    }

    /// Adds the instances to a device and enables them.
    ///
    /// # Safety
    ///
    /// `dev` must be valid, its lock not held. `self` must stay in place until a grace period after
    /// [`NapiSet::remove`] was called, which must happen before the device is freed.
    pub(super) unsafe fn add(&self, dev: *mut bindings::net_device, poll: Poll) {
        // SAFETY: The device is valid and its lock is not held, by the safety requirements.
        unsafe { bindings::netdev_lock(dev) };
        // SAFETY: The device is valid, by the safety requirements.
        let is_threaded = || unsafe { (*dev).threaded } != 0;
        let threads_wanted = is_threaded();
        // SAFETY: The lock of the device is held, the rest is by the safety requirements.
        unsafe { self.list(dev, poll) };
        // If there was no thread for one of them, softirqs poll all: those that have one are made again without.
        if threads_wanted && !is_threaded() {
            // SAFETY: The lock of the device is held, and they were just added.
            unsafe { self.unlist() };
            // SAFETY: As above.
            unsafe { self.list(dev, poll) };
        }
        // Only now, as it decides who polls.
        for instance in &self.0 {
            // SAFETY: The lock of the device is held, and the instance was just added.
            unsafe { bindings::napi_enable_locked(instance.as_raw()) };
        }
        // SAFETY: The lock was acquired above.
        unsafe { bindings::netdev_unlock(dev) };
    }

    /// Adds the instances to a device.
    ///
    /// # Safety
    ///
    /// As with [`NapiSet::add`], but the lock of `dev` must be held, and the instances be in no device's list.
    unsafe fn list(&self, dev: *mut bindings::net_device, poll: Poll) {
        // CAST: A small constant.
        let weight = bindings::NAPI_POLL_WEIGHT as c_int;
        for instance in &self.0 {
            let napi = instance.as_raw();
            // SAFETY: The lock of the device is held, and the instance stays where it is until it
            // is deleted, by the safety requirements.
            unsafe { bindings::netif_napi_add_weight_locked(dev, napi, Some(poll), weight) };
        }
    }

    /// Deletes the instances.
    ///
    /// # Safety
    ///
    /// The instances must have been added to a device, whose lock is held, and be disabled.
    unsafe fn unlist(&self) {
        for instance in &self.0 {
            // SAFETY: By the safety requirements.
            unsafe { bindings::__netif_napi_del_locked(instance.as_raw()) };
        }
    }

    /// Disables the instances, which waits for those that are being polled, and deletes them.
    ///
    /// # Safety
    ///
    /// The instances must have been added to `dev` and not been removed. The lock of `dev` must
    /// not be held.
    pub(super) unsafe fn remove(&self, dev: *mut bindings::net_device) {
        // SAFETY: The device is valid and its lock is not held, by the safety requirements.
        unsafe { bindings::netdev_lock(dev) };
        for instance in &self.0 {
            // SAFETY: The lock of the device is held, and the instance is enabled.
            unsafe { bindings::napi_disable_locked(instance.as_raw()) };
        }
        // SAFETY: The lock of the device is held, and the instances are disabled.
        unsafe { self.unlist() };
        // SAFETY: The lock was acquired above.
        unsafe { bindings::netdev_unlock(dev) };
    }

    /// Schedules an instance on the current CPU, if there is such an instance.
    #[inline]
    pub(super) fn schedule(&self, index: usize, _bh: &bh::Guard) {
        if let Some(instance) = self.0.get(index) {
            // SAFETY: The instance can be scheduled at any time by its type invariants.
            unsafe { bindings::napi_schedule(instance.as_raw()) };
        }
    }

    /// Returns an instance and its index, given the address of the instance.
    #[inline]
    fn find(&self, napi: *mut bindings::napi_struct) -> Option<(usize, &Instance)> {
        let offset = (napi as usize).wrapping_sub(self.0.as_ptr() as usize);
        let index = offset / size_of::<Instance>();
        Some((index, self.0.get(index)?))
    }
}

/// Type of `napi_struct::poll`.
type Poll = unsafe extern "C" fn(*mut bindings::napi_struct, c_int) -> c_int;

/// `napi_struct::poll` for the devices of `T`.
///
/// # Safety
///
/// `napi` must be one of the [`NapiSet`] of a device of `T`, be added to that, and be polled for the
/// call, with bottom halves off.
pub(super) unsafe extern "C" fn poll_callback<T: Operations>(
    napi: *mut bindings::napi_struct,
    budget: c_int,
) -> c_int {
    // Netpoll polls with no budget in order to send, which is not done here.
    if budget <= 0 {
        return 0;
    }
    // SAFETY: The field was set when the instance was added, and is not changed.
    let dev = unsafe { (*napi).dev };
    // SAFETY: Instances are added after the private data was set and deleted before it is dropped.
    let private = unsafe { Private::<T>::of(dev) };
    let Some((index, instance)) = private.shared().napi().find(napi) else {
        return 0;
    };
    // Before the device is registered, nobody may see packets of it: if registration fails, it is freed with
    // references to it left.
    if !private.shared().is_linked() {
        // SAFETY: The instance is being polled by this very function.
        unsafe { bindings::napi_complete_done(instance.as_raw(), 0) };
        return 0;
    }

    let napi = Napi {
        instance,
        _not_thread_safe: PhantomData,
    };
    // CAST: The budget is positive.
    let done = T::poll(private.data(), index, &napi, budget as usize);
    // CAST: The result does not exceed the budget.
    let done = done.min(budget as usize) as c_int;
    if done < budget {
        // SAFETY: The instance is being polled by this very function.
        unsafe { bindings::napi_complete_done(instance.as_raw(), done) };
    }
    done
}
