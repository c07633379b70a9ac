// SPDX-License-Identifier: GPL-2.0
//
// The stack looks at the device of each packet that it is given.
//
// refused: E0061
// says: this method takes 2 arguments but 1 argument was supplied

#![forbid(unsafe_code)]

use wg_kernel::net::{
    napi::Napi,
    skbuff::SkBuff, //
};

pub fn deliver(napi: &Napi<'_>, skb: SkBuff) {
    napi.gro_receive(skb);
}
