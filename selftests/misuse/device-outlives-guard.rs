// SPDX-License-Identifier: GPL-2.0
//
// Nor a device, which may be gone then.
//
// refused: E0505
// says: cannot move out of `guard` because it is borrowed

#![forbid(unsafe_code)]

use wg_kernel::{
    net::netdevice::Link,
    sync::rcu, //
};

pub fn mtu(link: &Link) -> u32 {
    let guard = rcu::read_lock();
    let dev = link.get(&guard);
    drop(guard);
    dev.map_or(0, |dev| dev.mtu())
}
