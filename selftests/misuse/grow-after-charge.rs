// SPDX-License-Identifier: GPL-2.0
//
// A socket gets back what a packet takes when it is freed: that must be what it was charged.
//
// refused: E0382
// says: borrow of moved value: `datagram`

#![forbid(unsafe_code)]

use wg_kernel::net::skbuff::{
    NewSkBuff,
    Pages,
    SkBuff, //
};

pub fn charge(mut datagram: NewSkBuff, original: &mut SkBuff, pages: &mut Pages) -> SkBuff {
    let charged = datagram.charge(original, true);
    pages.give(&mut datagram, 0, 64);
    charged
}
