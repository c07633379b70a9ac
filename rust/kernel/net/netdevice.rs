// SPDX-License-Identifier: GPL-2.0

//! Virtual network devices, created by user space with `ip link add type …`.
//!
//! A driver implements [`Operations`], has a `static` [`LinkOps`], and keeps a [`Registration`]. The
//! counterparts in C:
//!
//! | here                             | C                                                       |
//! |----------------------------------|---------------------------------------------------------|
//! | [`Device`], [`DeviceRef`]        | `struct net_device`                                     |
//! | [`Operations`]                   | `struct net_device_ops`, and the driver's part of       |
//! |                                  | `struct rtnl_link_ops`                                  |
//! | [`LinkOps`], [`Registration`]    | `struct rtnl_link_ops`, `rtnl_link_register()`          |
//! | [`Setup`]                        | what `rtnl_link_ops::setup` does                        |
//! | [`Operations::Data`]             | `netdev_priv()`                                         |
//! | [`Link`]                         | the pointer from there back to the device               |
//!
//! A device goes through these stages:
//!
//! 1. [`Operations::setup`] and [`Operations::new_link`]: the device is not visible yet.
//! 2. [`Operations::registered`]: from here on the [`Link`] leads to the device, and NAPI works.
//! 3. [`Operations::open`], [`Operations::start_xmit`], [`Operations::stop`], again and again.
//! 4. [`Operations::unregistered`]: the [`Link`] leads nowhere, and NAPI has stopped.
//! 5. [`Operations::destruct`]: after a grace period, when there are no references to the device anymore.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

mod link;
mod operations;
mod registration;
mod setup;

pub use self::{
    link::Link,
    operations::Operations,
    registration::{
        LinkOps,
        Registration, //
    },
    setup::Setup, //
};

pub(super) use self::registration::Private;

use super::{
    namespace::Net,
    rtnetlink, //
};
use crate::{
    compat::errors::EOPNOTSUPP,
    sync::bh, //
};
use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::{
        addr_of,
        NonNull, //
    }, //
};
use kernel::{
    ffi::{
        c_int,
        c_ulong, //
    },
    fmt,
    prelude::*,
    str::BStr,
    sync::{
        rcu,
        Arc, //
    },
    types::Opaque, //
};
use wg_bindings as bindings;

/// A network device.
///
/// # Invariants
///
/// The device is valid while it is borrowed, and has been registered. Its per-CPU statistics have
/// not been freed.
#[repr(transparent)]
pub struct Device(Opaque<bindings::net_device>);

// SAFETY: What the methods do is safe from any thread.
unsafe impl Sync for Device {}

impl Device {
    /// Creates a reference to a device.
    ///
    /// # Safety
    ///
    /// The device must have been registered, and for `'a` must not be unregistered to the end, as
    /// is the case while there is a reference to it, or in a read-side critical section that began
    /// before `ndo_uninit`.
    #[inline]
    pub(super) unsafe fn from_raw<'a>(dev: *mut bindings::net_device) -> &'a Self {
        // CAST: `Device` is transparent.
        let dev = dev.cast::<Self>();
        // SAFETY: By the safety requirements of this function.
        unsafe { &*dev }
    }

    /// Returns the pointer that C wants.
    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::net_device {
        self.0.get()
    }

    /// Returns the name.
    pub fn name(&self) -> Name {
        // SAFETY: The device is valid by the type invariants.
        unsafe { Name::of(self.as_raw()) }
    }

    /// Returns whether no other device transmits by way of this one, nor does a BPF program
    /// (`bpf_clone_redirect()`, or `bpf_redirect()` where traffic control runs it), on this CPU now.
    ///
    /// Each that is below another one's `ndo_start_xmit` counts, and so does this one within its own
    /// [`start_xmit`](Operations::start_xmit), unless it has a queue. What sits on a device with a queue does
    /// not. A route of a lightweight tunnel (`encap`) counts as well, as do packet sockets that bypass the
    /// queue that this has.
    #[inline]
    pub fn is_outermost(&self, _bh: &bh::Guard) -> bool {
        // SAFETY: The device is valid by the type invariants. Bottom halves are off, so that the CPU stays the
        // same and the queue lives.
        unsafe { bindings::wg_dev_is_outermost(self.as_raw()) }
    }

    /// Returns the MTU.
    #[inline]
    pub fn mtu(&self) -> u32 {
        // SAFETY: The device is valid by the type invariants.
        let mtu = unsafe { addr_of!((*self.as_raw()).mtu) };
        // SAFETY: The field is valid, and may be changed any time, hence volatile.
        unsafe { mtu.read_volatile() }
    }

    /// Returns the index.
    pub fn ifindex(&self) -> u32 {
        // SAFETY: The device is valid by the type invariants.
        let index = unsafe { addr_of!((*self.as_raw()).ifindex) };
        // SAFETY: The field is valid, and may be changed any time, hence volatile.
        let index = unsafe { index.read_volatile() };
        // CAST: Indices are positive.
        index as u32
    }

    /// Returns the namespace that the device is in at present.
    pub fn net<'g>(&'g self, _guard: &'g rcu::Guard) -> &'g Net {
        // SAFETY: The device is valid by the type invariants.
        let net = unsafe { bindings::dev_net_rcu(self.as_raw()) };
        // SAFETY: Devices are moved out of a namespace, or unregistered, before the grace period
        // that precedes the end of the namespace.
        unsafe { Net::from_raw(net) }
    }

    /// Tells the stack that there is no carrier.
    pub fn carrier_off(&self) {
        // SAFETY: The device is valid by the type invariants.
        unsafe { bindings::netif_carrier_off(self.as_raw()) };
    }

    /// Keeps IPv4 from sending redirects for packets that leave by the device they came by.
    pub fn disable_redirects(&self, _rtnl: &rtnetlink::Guard) {
        // SAFETY: The device is valid by the type invariants, and RTNL is held.
        unsafe { bindings::wg_in_dev_disable_redirects(self.as_raw()) };
    }

    /// Keeps IPv6 from generating addresses for the device.
    pub fn disable_address_generation(&self, _rtnl: &rtnetlink::Guard) {
        // SAFETY: The device is valid by the type invariants, and RTNL is held.
        unsafe { bindings::wg_in6_dev_disable_addr_gen(self.as_raw()) };
    }

    /// Returns whether received packets may be merged (GRO).
    #[inline]
    pub fn merges_packets(&self) -> bool {
        // SAFETY: The device is valid by the type invariants.
        unsafe { bindings::wg_netif_merges_packets(self.as_raw()) }
    }

    /// Counts packets that were dropped instead of being sent.
    #[inline]
    pub fn tx_dropped_add(&self, n: u64) {
        // SAFETY: The device is valid by the type invariants.
        unsafe { bindings::wg_dev_stats_tx_dropped_add(self.as_raw(), n as c_ulong) };
    }

    /// Counts a packet that could not be sent.
    #[inline]
    pub fn tx_errors_inc(&self) {
        // SAFETY: The device is valid by the type invariants.
        unsafe { bindings::wg_dev_stats_tx_errors_inc(self.as_raw()) };
    }

    /// Counts received packets with errors.
    #[inline]
    pub fn rx_errors_add(&self, n: u64) {
        // SAFETY: The device is valid by the type invariants.
        unsafe { bindings::wg_dev_stats_rx_errors_add(self.as_raw(), n as c_ulong) };
    }

    /// Counts received packets with frame errors.
    #[inline]
    pub fn rx_frame_errors_add(&self, n: u64) {
        // SAFETY: The device is valid by the type invariants.
        unsafe { bindings::wg_dev_stats_rx_frame_errors_add(self.as_raw(), n as c_ulong) };
    }

    /// Counts received packets with length errors.
    #[inline]
    pub fn rx_length_errors_add(&self, n: u64) {
        // SAFETY: The device is valid by the type invariants.
        unsafe { bindings::wg_dev_stats_rx_length_errors_add(self.as_raw(), n as c_ulong) };
    }

    /// Counts packets that were received successfully, and their bytes.
    #[inline]
    pub fn sw_rx_add(&self, packets: u64, bytes: u64, _bh: &bh::Guard) {
        // SAFETY: The device has statistics by the type invariants, and bottom halves are disabled.
        unsafe { bindings::wg_dev_rx_add(self.as_raw(), packets, bytes) };
    }
}

/// A reference that keeps a device of `T` from going away.
///
/// The device may be unregistered nonetheless, but not to the end. Do not keep this for long.
///
/// # Invariants
///
/// Owns a reference to a device that `T` has made.
pub struct DeviceRef<T: Operations>(NonNull<bindings::net_device>, PhantomData<T>);

// SAFETY: References may be dropped in any thread, and `Device` and the data may be shared.
unsafe impl<T: Operations> Send for DeviceRef<T> {}

// SAFETY: `Device` and the data may be shared.
unsafe impl<T: Operations> Sync for DeviceRef<T> {}

impl<T: Operations> DeviceRef<T> {
    /// Finds a device by its index.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if there is none, and [`EOPNOTSUPP`] if it is none of `T`.
    pub fn by_index(net: &Net, index: u32) -> Result<Self> {
        // CAST: Numbers out of range are those of no device, as all indices are positive.
        let index = index as c_int;
        // SAFETY: The namespace is valid.
        let dev = unsafe { bindings::dev_get_by_index(net.as_raw(), index) };
        // SAFETY: The reference that the call returned is given away.
        unsafe { Self::new(dev) }
    }

    /// Finds a device by its name.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if there is none, and [`EOPNOTSUPP`] if it is none of `T`.
    pub fn by_name(net: &Net, name: Name) -> Result<Self> {
        // SAFETY: The namespace is valid, and a name ends with a null byte.
        let dev = unsafe { bindings::dev_get_by_name(net.as_raw(), name.0.as_ptr().cast()) };
        // SAFETY: The reference that the call returned is given away.
        unsafe { Self::new(dev) }
    }

    /// Takes a reference to a device that may be of `T`.
    ///
    /// # Safety
    ///
    /// `dev` must be null or a device that is or was registered. A reference to it is given away.
    unsafe fn new(dev: *mut bindings::net_device) -> Result<Self> {
        let dev = NonNull::new(dev).ok_or(ENODEV)?;
        // SAFETY: There is a reference to the device. The field is not changed after registration.
        let ops = unsafe { (*dev.as_ptr()).rtnl_link_ops };
        if !core::ptr::eq(ops, T::link_ops().as_raw()) {
            // SAFETY: There is a reference to give up.
            unsafe { bindings::dev_put(dev.as_ptr()) };
            return Err(EOPNOTSUPP);
        }
        // INVARIANT: The reference is ours, and the device has the link operations of `T`.
        Ok(Self(dev, PhantomData))
    }

    /// Returns the private data of the device.
    pub fn data(&self) -> &Arc<T::Data> {
        // SAFETY: By the type invariants this is a device of `T` that has been registered, and
        // which keeps its private data while there is a reference to it.
        unsafe { Private::<T>::of(self.0.as_ptr()) }.data()
    }
}

impl<T: Operations> Deref for DeviceRef<T> {
    type Target = Device;

    fn deref(&self) -> &Device {
        // SAFETY: There is a reference to the device, which has been registered.
        unsafe { Device::from_raw(self.0.as_ptr()) }
    }
}

impl<T: Operations> Drop for DeviceRef<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants there is a reference to give up.
        unsafe { bindings::dev_put(self.0.as_ptr()) };
    }
}

/// Maximum length of a name, with the null byte.
const NAME_LEN: usize = bindings::IFNAMSIZ as usize;

/// The name of a device.
///
/// # Invariants
///
/// The last byte is null.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name([u8; NAME_LEN]);

impl Name {
    /// Returns the name that `bytes` begins with, up to a null byte or the end.
    ///
    /// Returns nothing if it is too long for a device.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut name = [0; NAME_LEN];
        let mut rest = name.iter_mut();
        for &byte in bytes.iter().take_while(|&&byte| byte != 0) {
            *rest.next()? = byte;
        }
        // The last byte must be left.
        rest.next()?;
        // INVARIANT: The last byte was left as it was.
        Some(Self(name))
    }

    /// Returns the name without the null bytes at its end.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split(|&byte| byte == 0).next().unwrap_or_default()
    }

    /// Returns the name with one null byte at its end.
    pub fn as_bytes_with_nul(&self) -> &[u8] {
        self.0
            .split_inclusive(|&byte| byte == 0)
            .next()
            .unwrap_or_default()
    }

    /// Returns the name of a device.
    ///
    /// # Safety
    ///
    /// The device must be valid.
    unsafe fn of(dev: *mut bindings::net_device) -> Self {
        // SAFETY: The device is valid by the safety requirements.
        let name = unsafe { addr_of!((*dev).name) };
        // CAST: Characters are bytes.
        let name = name.cast::<[u8; NAME_LEN]>();
        // SAFETY: The field is valid, and the device may be renamed meanwhile, hence volatile.
        let mut name = unsafe { name.read_volatile() };
        if let Some(last) = name.last_mut() {
            *last = 0;
        }
        // INVARIANT: The last byte was just set.
        Self(name)
    }

    /// Returns the bytes of the name in words.
    fn to_words(self) -> [u64; 2] {
        // CAST: The high half is shifted down, the low half is cut off.
        let all = u128::from_ne_bytes(self.0);
        [all as u64, (all >> 64) as u64]
    }

    /// Returns a name from its words.
    fn from_words([low, high]: [u64; 2]) -> Self {
        let mut name = (u128::from(low) | u128::from(high) << 64).to_ne_bytes();
        if let Some(last) = name.last_mut() {
            *last = 0;
        }
        // INVARIANT: The last byte was just set.
        Self(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(BStr::from_bytes(self.as_bytes()), f)
    }
}

/// Returns whether a filter of traffic control (`act_mirred`) has this CPU transmit now.
///
/// If it is a filter of a queue, that queue's lock is held: whoever sends to the same device waits for himself.
/// Filters of `clsact` hold no lock; the two are not told apart.
#[inline]
pub fn is_mirred(_bh: &bh::Guard) -> bool {
    // SAFETY: Bottom halves are off, so that the CPU stays the same.
    unsafe { bindings::wg_dev_is_mirred() }
}
