// SPDX-License-Identifier: GPL-2.0

//! The settings of a device, made before it is registered.

use super::{
    registration::Adapter,
    Device,
    Operations, //
};
use crate::net::skbuff::MAX_HEADROOM;
use core::{
    marker::PhantomData,
    ptr::addr_of, //
};
use wg_bindings as bindings;

/// A device that is being set up.
///
/// # Invariants
///
/// Nothing else uses the device.
pub struct Setup<'a> {
    /// The device.
    dev: *mut bindings::net_device,

    /// The device is borrowed.
    _device: PhantomData<&'a mut Device>,
}

/// Sets fields of the device.
macro_rules! set {
    ($self:ident, $($field:ident $op:tt $value:expr),* $(,)?) => {
        $(
            // SAFETY: The device is valid and not used by others, by the type invariants.
            unsafe { (*$self.dev).$field $op $value };
        )*
    };
}

impl Setup<'_> {
    /// The offload features that a software tunnel handles.
    const FEATURES: bindings::netdev_features_t = bindings::RUST_CONST_HELPER_NETIF_F_HW_CSUM
        | bindings::RUST_CONST_HELPER_NETIF_F_RXCSUM
        | bindings::RUST_CONST_HELPER_NETIF_F_SG
        | bindings::RUST_CONST_HELPER_NETIF_F_GSO
        | bindings::RUST_CONST_HELPER_NETIF_F_GSO_SOFTWARE
        | bindings::RUST_CONST_HELPER_NETIF_F_HIGHDMA;

    /// Sets up the device for `T`.
    ///
    /// # Safety
    ///
    /// The device must be valid, fresh from allocation, and not used by others.
    pub(super) unsafe fn new<T: Operations>(dev: *mut bindings::net_device) -> Self {
        // INVARIANT: By the safety requirements.
        let setup = Self {
            dev,
            _device: PhantomData,
        };
        set!(
            setup,
            netdev_ops = Adapter::<T>::netdev_ops(),
            needs_free_netdev = true,
        );
        // SAFETY: The device is valid and not used by others, by the type invariants.
        unsafe { (*setup.dev).dev.type_ = &Adapter::<T>::DEVICE_TYPE };
        // SAFETY: The device is valid and not used by others, by the type invariants.
        unsafe { bindings::wg_netdev_set_tstats(dev) };
        setup
    }

    /// Makes the device a tunnel of IP packets.
    ///
    /// It is point-to-point, without link-layer header and addresses, without a queue, and without
    /// a lock around [`Operations::start_xmit`]; it takes nonlinear packets, GSO packets and packets
    /// without checksums; and packets keep their routes (`IFF_XMIT_DST_RELEASE` is cleared).
    pub fn ip_tunnel(&mut self) {
        set!(
            self,
            header_ops = addr_of!(bindings::ip_tunnel_header_ops),
            hard_header_len = 0,
            addr_len = 0,
            // CAST: The constant is one of `unsigned short`.
            type_ = bindings::ARPHRD_NONE as u16,
            flags =
                bindings::net_device_flags_IFF_POINTOPOINT | bindings::net_device_flags_IFF_NOARP,
            features |= Self::FEATURES,
            hw_features |= Self::FEATURES,
            hw_enc_features |= Self::FEATURES,
        );
        // SAFETY: The device is valid and not used by others, by the type invariants.
        unsafe { bindings::wg_netdev_set_no_queue(self.dev) };
        // SAFETY: The device is valid and not used by others, by the type invariants.
        unsafe { bindings::wg_netdev_set_lltx(self.dev) };
        // SAFETY: The device is valid and not used by others, by the type invariants.
        unsafe { bindings::netif_keep_dst(self.dev) };
        // SAFETY: The device is valid and not used by others, by the type invariants.
        unsafe { bindings::netif_set_tso_max_size(self.dev, bindings::GSO_MAX_SIZE) };
    }

    /// Has threads poll the NAPI instances, one each, and no softirqs, until the administrator decides
    /// otherwise. If there cannot be as many, softirqs do.
    pub fn poll_in_threads(&mut self) {
        // SAFETY: The device is valid and not used by others, by the type invariants; it has no instance yet.
        unsafe { bindings::netif_threaded_enable(self.dev) };
    }

    /// Sets the needed headroom and tailroom of packets, at most [`MAX_HEADROOM`].
    pub fn room(&mut self, head: u16, tail: u16) {
        // CAST: A small constant.
        let (head, tail) = (head.min(MAX_HEADROOM as u16), tail.min(MAX_HEADROOM as u16));
        set!(self, needed_headroom = head, needed_tailroom = tail);
    }

    /// Sets the initial MTU, and the maximum that it may be changed to: [`i32::MAX`] if they are larger, as C
    /// calculates with signed numbers.
    pub fn mtu(&mut self, initial: u32, max: u32) {
        // CAST: It is positive.
        const MAX: u32 = i32::MAX as u32;
        set!(self, mtu = initial.min(MAX), max_mtu = max.min(MAX));
    }
}
