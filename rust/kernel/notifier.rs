// SPDX-License-Identifier: GPL-2.0

//! Notifications of suspend, hibernation and VM forks.
//!
//! C headers: [`include/linux/notifier.h`](srctree/include/linux/notifier.h),
//! [`include/linux/suspend.h`](srctree/include/linux/suspend.h),
//! [`include/linux/random.h`](srctree/include/linux/random.h)

use crate::module::Live;
use core::marker::PhantomData;
use kernel::{
    error::to_result,
    ffi::{
        c_int,
        c_ulong,
        c_void, //
    },
    prelude::*,
    types::Opaque, //
};
use wg_bindings as bindings;

/// Whether suspending is a part of normal operation, in which case nobody is told of it.
pub(crate) const OFTEN: bool = cfg!(CONFIG_PM_AUTOSLEEP) || cfg!(CONFIG_PM_USERSPACE_AUTOSLEEP);

/// Notifications of power management.
pub trait PmNotifier: 'static {
    /// Called in process context before the machine is suspended or hibernates.
    ///
    /// Nothing is frozen yet, and file systems are synced after this: what they need for that must go on.
    /// [`Operations::freeze`](crate::net::netdevice::Operations::freeze) comes later.
    ///
    /// Neither is ever called where suspending is a part of normal operation, that is, if the kernel has
    /// `CONFIG_PM_AUTOSLEEP` or `CONFIG_PM_USERSPACE_AUTOSLEEP`.
    fn prepare();

    /// Called in process context when that is over, or has failed. A suspend may come and go while a
    /// hibernation is being prepared.
    fn finish();
}

/// Notifications of virtual machines.
pub trait VmForkNotifier: 'static {
    /// Called in process context when the machine finds that it is a copy of another.
    fn forked();
}

/// A notifier block, pinned as long as it is registered.
type Block = Pin<KBox<Opaque<bindings::notifier_block>>>;

/// Returns a notifier block for `callback`.
fn block(
    callback: unsafe extern "C" fn(*mut bindings::notifier_block, c_ulong, *mut c_void) -> c_int,
) -> Result<Block> {
    let block = bindings::notifier_block {
        notifier_call: Some(callback),
        ..pin_init::zeroed()
    };
    Ok(KBox::pin(Opaque::new(block), GFP_KERNEL)?)
}

/// The registration of a [`PmNotifier`].
///
/// # Invariants
///
/// The block is registered.
pub struct PmRegistration<T: PmNotifier>(Block, Live, PhantomData<T>);

// SAFETY: All there is to do with a registration is to drop it, which may be done in any thread.
unsafe impl<T: PmNotifier> Send for PmRegistration<T> {}

// SAFETY: All there is to do with a registration is to drop it.
unsafe impl<T: PmNotifier> Sync for PmRegistration<T> {}

impl<T: PmNotifier> PmRegistration<T> {
    /// Registers the notifier.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if the module has no [`End`](crate::module::End), [`ENOMEM`] if there is no memory.
    pub fn new() -> Result<Self> {
        let live = Live::new()?;
        let block = block(Self::callback)?;
        // SAFETY: The block is valid and stays where it is until `drop` unregisters it.
        to_result(unsafe { bindings::register_pm_notifier(block.get()) })?;
        // INVARIANT: The block was just registered.
        Ok(Self(block, live, PhantomData))
    }

    /// `notifier_block::notifier_call`.
    ///
    /// # Safety
    ///
    /// To be called where one may sleep; there is nothing to know of the pointers.
    unsafe extern "C" fn callback(
        _block: *mut bindings::notifier_block,
        action: c_ulong,
        _data: *mut c_void,
    ) -> c_int {
        const HIBERNATION_PREPARE: c_ulong = bindings::PM_HIBERNATION_PREPARE as c_ulong;
        const SUSPEND_PREPARE: c_ulong = bindings::PM_SUSPEND_PREPARE as c_ulong;
        const POST_HIBERNATION: c_ulong = bindings::PM_POST_HIBERNATION as c_ulong;
        const POST_SUSPEND: c_ulong = bindings::PM_POST_SUSPEND as c_ulong;

        match action {
            _ if OFTEN => (),
            HIBERNATION_PREPARE | SUSPEND_PREPARE => T::prepare(),
            POST_HIBERNATION | POST_SUSPEND => T::finish(),
            _ => (),
        }
        0
    }
}

impl<T: PmNotifier> Drop for PmRegistration<T> {
    fn drop(&mut self) {
        // SAFETY: The block is registered by the type invariants.
        unsafe { bindings::unregister_pm_notifier(self.0.get()) };
    }
}

/// The registration of a [`VmForkNotifier`].
///
/// # Invariants
///
/// The block is registered.
pub struct VmForkRegistration<T: VmForkNotifier>(Block, Live, PhantomData<T>);

// SAFETY: All there is to do with a registration is to drop it, which may be done in any thread.
unsafe impl<T: VmForkNotifier> Send for VmForkRegistration<T> {}

// SAFETY: All there is to do with a registration is to drop it.
unsafe impl<T: VmForkNotifier> Sync for VmForkRegistration<T> {}

impl<T: VmForkNotifier> VmForkRegistration<T> {
    /// Registers the notifier.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if the module has no [`End`](crate::module::End), [`ENOMEM`] if there is no memory.
    pub fn new() -> Result<Self> {
        let live = Live::new()?;
        let block = block(Self::callback)?;
        // SAFETY: The block is valid and stays where it is until `drop` unregisters it.
        to_result(unsafe { bindings::register_random_vmfork_notifier(block.get()) })?;
        // INVARIANT: The block was just registered.
        Ok(Self(block, live, PhantomData))
    }

    /// `notifier_block::notifier_call`.
    ///
    /// # Safety
    ///
    /// To be called where one may sleep; there is nothing to know of the pointers.
    unsafe extern "C" fn callback(
        _block: *mut bindings::notifier_block,
        _action: c_ulong,
        _data: *mut c_void,
    ) -> c_int {
        T::forked();
        0
    }
}

impl<T: VmForkNotifier> Drop for VmForkRegistration<T> {
    fn drop(&mut self) {
        // SAFETY: The block is registered by the type invariants.
        unsafe { bindings::unregister_random_vmfork_notifier(self.0.get()) };
    }
}
