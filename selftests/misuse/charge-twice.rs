// SPDX-License-Identifier: GPL-2.0
//
// A packet that is charged twice is given back once.
//
// refused: E0599
// says: no method named `charge` found for struct `SkBuff`

#![forbid(unsafe_code)]

use wg_kernel::net::skbuff::{
    NewSkBuff,
    SkBuff, //
};

pub fn charge(datagram: NewSkBuff, original: &mut SkBuff) -> SkBuff {
    datagram.charge(original, false).charge(original, true)
}
