// SPDX-License-Identifier: GPL-2.0
//
// Nests without a policy would be taken as they are, whatever bytes they have.
//
// refused: E0080
// says: there is no policy

#![forbid(unsafe_code)]

use wg_kernel::net::netlink::Policy;

pub static POLICY: [Policy; 2] = Policy::table([(1, Policy::nested_array(&[]))]);
