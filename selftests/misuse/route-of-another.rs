// SPDX-License-Identifier: GPL-2.0
//
// What is sent along a route is sent by what the route was looked up for, and what is kept of it is
// kept in the namespace of that: nobody is asked for another.
//
// refused: E0061
// says: takes 3 arguments but 4 arguments were supplied

#![forbid(unsafe_code)]

use wg_kernel::{
    net::{
        family::Inet,
        route::{
            DstCache,
            Flow,
            Route, //
        },
        udp_tunnel::Sender, //
    },
    sync::bh, //
};

pub fn keep(
    cache: &DstCache<Inet>,
    route: &Route<'_, Inet>,
    another: &Sender<'_, Inet>,
    flow: &Flow<Inet>,
    bh: &bh::Guard,
) {
    cache.set(another, route, flow, bh)
}
