// SPDX-License-Identifier: GPL-2.0
//
// A table of policies is returned by value, for which there may be no room on the stack.
//
// refused: E0080
// says: assertion failed: N <= 128

#![forbid(unsafe_code)]

use wg_kernel::net::netlink::Policy;

pub static POLICY: [Policy; 129] = Policy::table([(1, Policy::U8)]);
