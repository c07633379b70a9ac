// SPDX-License-Identifier: GPL-2.0
//
// What is passed on while a device is polled came in by that device, and no other.
//
// refused: E0061
// says: this method takes 1 argument but 2 arguments were supplied

#![forbid(unsafe_code)]

use wg_kernel::net::{
    napi::Napi,
    netdevice::Device,
    skbuff::SkBuff, //
};

pub fn deliver(napi: &Napi<'_>, skb: SkBuff, other: &Device) {
    napi.gro_receive(skb, other);
}
