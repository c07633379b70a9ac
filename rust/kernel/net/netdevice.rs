// SPDX-License-Identifier: GPL-2.0

//! Network devices.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use kernel::types::Opaque;
use wg_bindings as bindings;

/// A network device, alive while it is borrowed.
#[repr(transparent)]
pub struct Device(Opaque<bindings::net_device>);

impl Device {
    /// Returns the C device, valid while `self` is borrowed.
    pub(crate) fn as_raw(&self) -> *mut bindings::net_device {
        self.0.get()
    }
}
