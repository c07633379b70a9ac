// SPDX-License-Identifier: GPL-2.0
//
// An attribute that a table of policies has no room for would be checked by none.
//
// refused: E0080
// says: index out of bounds: the length is 2 but the index is 2

#![forbid(unsafe_code)]

use wg_kernel::net::netlink::Policy;

pub static POLICY: [Policy; 2] = Policy::table([(1, Policy::U8), (2, Policy::U32)]);
