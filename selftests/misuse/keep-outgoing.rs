// SPDX-License-Identifier: GPL-2.0
//
// A packet that refers to a device and to a route must not outlive them.
//
// refused: E0521
// says: borrowed data escapes outside of function

#![forbid(unsafe_code)]

use wg_kernel::{
    net::skbuff::OutgoingSkBuff,
    sync::SpinLockBh, //
};

pub fn keep(skb: OutgoingSkBuff<'_>, kept: &SpinLockBh<Option<OutgoingSkBuff<'static>>>) {
    *kept.lock() = Some(skb);
}
