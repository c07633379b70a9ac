// SPDX-License-Identifier: GPL-2.0
//
// ICMP needs the device of the packet that it is about.
//
// refused: E0599
// says: no method named `icmp_unreachable` found for struct `SkBuff`

#![forbid(unsafe_code)]

use wg_kernel::net::skbuff::SkBuff;

pub fn complain(mut skb: SkBuff) {
    skb.icmp_unreachable();
}
