// SPDX-License-Identifier: GPL-2.0
//
// Nor the namespace that a device is in.
//
// refused: E0505
// says: cannot move out of `guard` because it is borrowed

#![forbid(unsafe_code)]

use wg_kernel::{
    net::netdevice::Device,
    sync::rcu, //
};

pub fn namespace(dev: &Device) -> usize {
    let guard = rcu::read_lock();
    let net = dev.net(&guard);
    drop(guard);
    net.id()
}
