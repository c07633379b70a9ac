// SPDX-License-Identifier: GPL-2.0

//! Registration of a kind of devices, and its callbacks.

use super::{
    link::Shared,
    Device,
    Link,
    Name,
    Operations,
    Setup, //
};
use crate::{
    module::Live,
    net::{
        context,
        namespace::Net,
        napi::poll_callback,
        skbuff::OutgoingSkBuff, //
    },
    notifier::OFTEN, //
};
use core::marker::PhantomData;
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    ffi::c_int,
    prelude::*,
    str::as_char_ptr_in_const_context,
    sync::{
        atomic::{
            Atomic,
            Full,
            Release, //
        },
        Arc, //
    },
    types::Opaque, //
};
use wg_bindings as bindings;

/// The storage for the link operations that are registered with rtnetlink.
///
/// Its address tells devices of `T` from others.
pub struct LinkOps<T: Operations> {
    /// What is registered. Uninitialised before, and owned by C while it is.
    ops: Opaque<bindings::rtnl_link_ops>,

    /// Whether there is a [`Registration`].
    taken: Atomic<i32>,

    /// The functions that are registered.
    _operations: PhantomData<T>,
}

// SAFETY: Only the `Registration` that has set `taken` uses the operations.
unsafe impl<T: Operations> Sync for LinkOps<T> {}

impl<T: Operations> LinkOps<T> {
    /// Makes the place.
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            ops: Opaque::uninit(),
            taken: Atomic::new(0),
            _operations: PhantomData,
        }
    }

    /// Returns the pointer that C wants.
    pub(super) fn as_raw(&self) -> *mut bindings::rtnl_link_ops {
        self.ops.get()
    }
}

/// The registration of a kind of devices.
///
/// Removes all devices of the kind when it is dropped.
///
/// # Invariants
///
/// The link operations are taken and registered by this.
pub struct Registration<T: Operations>(&'static LinkOps<T>, Live);

impl<T: Operations> Registration<T> {
    /// Registers the kind.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if the module has no [`End`](crate::module::End), [`EBUSY`] if `T` is registered
    /// already, [`EEXIST`] if there is another kind of that name, and others.
    pub fn new() -> Result<Self> {
        let live = Live::new()?;
        let link_ops = T::link_ops();
        if link_ops.taken.xchg(1, Full) != 0 {
            return Err(EBUSY);
        }
        let ops = bindings::rtnl_link_ops {
            kind: T::KIND.as_char_ptr(),
            priv_size: size_of::<Private<T>>(),
            setup: Some(Adapter::<T>::setup_callback),
            newlink: Some(Adapter::<T>::newlink_callback),
            ..Default::default()
        };
        let place = link_ops.as_raw();
        // SAFETY: The place is valid, and not used by others since it was just taken.
        unsafe { place.write(ops) };
        // SAFETY: The operations are valid and static.
        let result = to_result(unsafe { bindings::rtnl_link_register(place) });
        if result.is_err() {
            link_ops.taken.store(0, Release);
        }
        // INVARIANT: The operations were just registered.
        result.map(|()| Self(link_ops, live))
    }
}

impl<T: Operations> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: The operations are registered by the type invariants.
        unsafe { bindings::rtnl_link_unregister(self.0.as_raw()) };
        self.0.taken.store(0, Release);
    }
}

/// The private data of a device of `T` (`netdev_priv()`).
pub(in crate::net) struct Private<T: Operations> {
    /// The driver's data.
    data: Arc<T::Data>,

    /// The link from there to the device.
    shared: Arc<Shared>,
}

impl<T: Operations> Private<T> {
    /// Returns where it is.
    ///
    /// # Safety
    ///
    /// The device must be valid.
    #[inline]
    unsafe fn place(dev: *mut bindings::net_device) -> *mut Self {
        static_assert!(align_of::<Arc<Shared>>() <= bindings::NETDEV_ALIGN as usize);
        // SAFETY: The device is valid by the safety requirements.
        unsafe { bindings::netdev_priv(dev) }.cast()
    }

    /// Returns the private data of a device.
    ///
    /// # Safety
    ///
    /// The device must be one of `T`, and be between [`Operations::new_link`] and
    /// [`Operations::destruct`] for `'a`.
    #[inline]
    pub(in crate::net) unsafe fn of<'a>(dev: *mut bindings::net_device) -> &'a Self {
        // SAFETY: The device is valid by the safety requirements.
        let place = unsafe { Self::place(dev) };
        // SAFETY: The place is valid and initialised by the safety requirements.
        unsafe { &*place }
    }

    /// Returns the driver's data.
    #[inline]
    pub(in crate::net) fn data(&self) -> &Arc<T::Data> {
        &self.data
    }

    /// Returns the link from there to the device.
    #[inline]
    pub(in crate::net) fn shared(&self) -> &Shared {
        &self.shared
    }
}

/// The callbacks.
pub(super) struct Adapter<T: Operations>(PhantomData<T>);

impl<T: Operations> Adapter<T> {
    /// `net_device::netdev_ops`.
    const NETDEV_OPS: &'static bindings::wg_net_device_ops = &bindings::wg_net_device_ops {
        ops: bindings::net_device_ops {
            ndo_init: Some(Self::init_callback),
            ndo_uninit: Some(Self::uninit_callback),
            ndo_open: Some(Self::open_callback),
            ndo_stop: Some(Self::stop_callback),
            ndo_start_xmit: if cfg!(CONFIG_CFI) {
                Some(bindings::wg_start_xmit)
            } else {
                Some(Self::start_xmit_callback)
            },
            ..pin_init::zeroed()
        },
        start_xmit: Some(Self::start_xmit_callback),
    };

    /// Returns `net_device::netdev_ops`.
    pub(super) const fn netdev_ops() -> *const bindings::net_device_ops {
        // CAST: The first field, from which C finds the others.
        core::ptr::from_ref(Self::NETDEV_OPS).cast()
    }

    /// `device_type::pm` of the device.
    const PM: bindings::dev_pm_ops = bindings::dev_pm_ops {
        suspend: Some(Self::freeze_callback),
        freeze: Some(Self::freeze_callback),
        resume: Some(Self::thaw_callback),
        thaw: Some(Self::thaw_callback),
        restore: Some(Self::thaw_callback),
        ..pin_init::zeroed()
    };

    /// `device::type` of the device.
    pub(super) const DEVICE_TYPE: bindings::device_type = bindings::device_type {
        name: as_char_ptr_in_const_context(T::KIND),
        pm: match OFTEN {
            true => core::ptr::null(),
            false => &Self::PM,
        },
        ..pin_init::zeroed()
    };

    /// `dev_pm_ops::suspend` and `dev_pm_ops::freeze`.
    ///
    /// # Safety
    ///
    /// To be called where one may sleep; there is nothing to know of the device, which may be gone for the
    /// driver already.
    unsafe extern "C" fn freeze_callback(_dev: *mut bindings::device) -> c_int {
        T::freeze();
        0
    }

    /// `dev_pm_ops::resume`, `dev_pm_ops::thaw` and `dev_pm_ops::restore`.
    ///
    /// # Safety
    ///
    /// As for [`Adapter::freeze_callback`].
    unsafe extern "C" fn thaw_callback(_dev: *mut bindings::device) -> c_int {
        T::thaw();
        0
    }

    /// `rtnl_link_ops::setup`.
    ///
    /// # Safety
    ///
    /// The device must just have been allocated, with room for a [`Private`], and nothing else use it.
    unsafe extern "C" fn setup_callback(dev: *mut bindings::net_device) {
        // SAFETY: C has just allocated the device.
        let mut setup = unsafe { Setup::new::<T>(dev) };
        T::setup(&mut setup);
    }

    /// `rtnl_link_ops::newlink`.
    ///
    /// # Safety
    ///
    /// RTNL must be held. `dev` must have been set up by [`Adapter::setup_callback`], and be freed by
    /// the caller in case of an error. `params` must be valid.
    unsafe extern "C" fn newlink_callback(
        dev: *mut bindings::net_device,
        params: *mut bindings::rtnl_newlink_params,
        _extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        from_result(|| {
            // SAFETY: C passes valid parameters.
            let net = unsafe { bindings::rtnl_newlink_link_net(params) };
            // SAFETY: C has a reference to the namespace for the call.
            let net = unsafe { Net::from_raw(net) };
            // SAFETY: C passes a valid device.
            let name = unsafe { Name::of(dev) };
            let shared = Shared::new(name)?;
            let data = T::new_link(Link::new(shared.clone()), net, name)?;
            let private = Private::<T> { data, shared };
            // SAFETY: The device was set up and has private data behind it.
            unsafe { Self::register(dev, private) }?;
            Ok(0)
        })
    }

    /// Registers a device.
    ///
    /// # Safety
    ///
    /// RTNL must be held. The device must have been set up by [`Adapter::setup_callback`], and is
    /// to be freed in case of an error.
    unsafe fn register(dev: *mut bindings::net_device, private: Private<T>) -> Result {
        // SAFETY: The device is valid by the safety requirements.
        let place = unsafe { Private::<T>::place(dev) };
        // SAFETY: The place is valid, `rtnl_link_ops::priv_size` having asked for it.
        unsafe { place.write(private) };
        // SAFETY: RTNL is held, and the device was set up.
        let result = to_result(unsafe { bindings::register_netdevice(dev) });
        // SAFETY: The device is valid even if it was not registered.
        let seen = result.is_ok() || unsafe { bindings::wg_netdev_is_unregistering(dev) };
        if seen {
            // Set only now, as C would call it before it returns an error. If the device has been
            // registered but a notifier has refused it, C calls this when all references to the
            // device are gone.
            //
            // SAFETY: The device is valid, and is not freed before RTNL is released.
            unsafe { (*dev).priv_destructor = Some(Self::destruct_callback) };
        } else {
            // SAFETY: May be called wherever sleeping is allowed.
            unsafe { bindings::synchronize_net() };
            // SAFETY: The private data was written above, and nothing else will use it: if the
            // device has ever had NAPI instances, a grace period has elapsed since.
            unsafe { place.drop_in_place() };
        }
        result?;

        // SAFETY: The device was registered, and is not destructed before RTNL is released.
        let private = unsafe { Private::<T>::of(dev) };
        // SAFETY: The device was registered, and `ndo_uninit` unlinks it.
        unsafe { private.shared.link(dev) };
        // SAFETY: RTNL is held by the safety requirements.
        T::registered(&private.data, unsafe { context::rtnl() });
        Ok(())
    }

    /// `net_device_ops::ndo_init`.
    ///
    /// # Safety
    ///
    /// `dev` must be the device that [`Adapter::register`] is registering, without its lock held.
    unsafe extern "C" fn init_callback(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: The private data was set before the device was registered.
        let private = unsafe { Private::<T>::of(dev) };
        // SAFETY: C does not hold the lock of the device. It calls `ndo_uninit` and lets a grace
        // period elapse before the private data is dropped.
        unsafe { private.shared.napi().add(dev, poll_callback::<T>) };
        0
    }

    /// `net_device_ops::ndo_uninit`.
    ///
    /// # Safety
    ///
    /// RTNL must be held, and the lock of the device not. [`Adapter::init_callback`] must have been
    /// called for it, and this not since. A grace period must follow before the device is destructed.
    unsafe extern "C" fn uninit_callback(dev: *mut bindings::net_device) {
        // SAFETY: The private data is there until the device is destructed.
        let private = unsafe { Private::<T>::of(dev) };
        // SAFETY: C passes a valid device.
        let name = unsafe { Name::of(dev) };
        let was_linked = private.shared.unlink(name);
        // SAFETY: The instances were added by `ndo_init`, and C does not hold the lock of the
        // device.
        unsafe { private.shared.napi().remove(dev) };
        if was_linked {
            // SAFETY: C holds RTNL for the call.
            let rtnl = unsafe { context::rtnl() };
            T::unregistered(&private.data, rtnl);
        }
    }

    /// `net_device::priv_destructor`.
    ///
    /// # Safety
    ///
    /// `dev` must be a device that [`Adapter::register`] has let others see, and to which there are no
    /// references any more. To be called once, where one may sleep, without RTNL.
    unsafe extern "C" fn destruct_callback(dev: *mut bindings::net_device) {
        // SAFETY: C passes a valid device.
        let place = unsafe { Private::<T>::place(dev) };
        // SAFETY: The private data was written before the device was registered, and is not read
        // again.
        let Private { data, shared } = unsafe { place.read() };
        T::destruct(data);
        drop(shared);
        // It is memory of the module, and whoever has the last reference to the `struct device` reads it, which
        // may be later than the end of the module.
        // SAFETY: The device is valid, and was taken off the lists of the driver core, which alone reads it.
        unsafe { (*dev).dev.type_ = core::ptr::null() };
    }

    /// `net_device_ops::ndo_open`.
    ///
    /// # Safety
    ///
    /// RTNL must be held, and `dev` be a device of `T` that is registered.
    unsafe extern "C" fn open_callback(dev: *mut bindings::net_device) -> c_int {
        from_result(|| {
            // SAFETY: C passes a registered device.
            let private = unsafe { Private::<T>::of(dev) };
            // SAFETY: C passes a registered device.
            let dev = unsafe { Device::from_raw(dev) };
            // SAFETY: C holds RTNL for the call.
            let rtnl = unsafe { context::rtnl() };
            T::open(&private.data, dev, rtnl)?;
            Ok(0)
        })
    }

    /// `net_device_ops::ndo_stop`.
    ///
    /// # Safety
    ///
    /// RTNL must be held, and `dev` be a device of `T` that is registered.
    unsafe extern "C" fn stop_callback(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: C passes a registered device.
        let private = unsafe { Private::<T>::of(dev) };
        // SAFETY: C passes a registered device.
        let dev = unsafe { Device::from_raw(dev) };
        // SAFETY: C holds RTNL for the call.
        let rtnl = unsafe { context::rtnl() };
        T::stop(&private.data, dev, rtnl);
        0
    }

    /// `net_device_ops::ndo_start_xmit`.
    ///
    /// # Safety
    ///
    /// `dev` must be a device of `T` that is registered, and stay so for the call. `skb` must be valid
    /// and on no list, have `dev` as its device, and a reference to it be given away. Bottom halves or
    /// all interrupts must be off.
    unsafe extern "C" fn start_xmit_callback(
        skb: *mut bindings::sk_buff,
        dev: *mut bindings::net_device,
    ) -> bindings::netdev_tx_t {
        // SAFETY: C passes a registered device.
        let private = unsafe { Private::<T>::of(dev) };
        // SAFETY: C passes a registered device.
        let dev = unsafe { Device::from_raw(dev) };
        // SAFETY: C gives away a reference to a packet for `dev` that is on no list. Its destination, if
        // not counted, is alive while this is under RCU.
        let Some(skb) = (unsafe { OutgoingSkBuff::from_raw(skb, dev) }) else {
            return bindings::netdev_tx_NETDEV_TX_OK;
        };
        // SAFETY: Bottom halves are off for the call: otherwise there would be no packet, for C has
        // either those off or all interrupts.
        let softirq = unsafe { context::softirq() };
        match T::start_xmit(&private.data, dev, skb, softirq) {
            Ok(()) => bindings::netdev_tx_NETDEV_TX_OK,
            Err(error) => error.to_errno(),
        }
    }
}
