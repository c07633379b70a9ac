// SPDX-License-Identifier: GPL-2.0
//
// An attribute that has two rows in a table of policies would be checked by the last of them.
//
// refused: E0080
// says: an attribute has two policies

#![forbid(unsafe_code)]

use wg_kernel::net::netlink::Policy;

pub static POLICY: [Policy; 2] = Policy::table([(1, Policy::U8), (1, Policy::U32)]);
