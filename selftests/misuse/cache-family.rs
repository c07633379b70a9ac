// SPDX-License-Identifier: GPL-2.0
//
// A route over IPv6 is not one over IPv4, which C would take it for.
//
// refused: E0308
// says: expected `&Sender<'_, Inet6>`, found `&Sender<'_, Inet>`

#![forbid(unsafe_code)]

use wg_kernel::{
    net::{
        family::{
            Inet,
            Inet6, //
        },
        route::{
            DstCache,
            Flow, //
        },
        udp_tunnel::Sender, //
    },
    sync::bh, //
};

pub fn find(
    cache: &DstCache<Inet6>,
    sender: &Sender<'_, Inet>,
    flow: &mut Flow<Inet6>,
    bh: &bh::Guard,
) -> bool {
    cache.get(sender, flow, bh).is_some()
}
