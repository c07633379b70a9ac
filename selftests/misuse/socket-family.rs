// SPDX-License-Identifier: GPL-2.0
//
// A socket of IPv4 has none of the parts that looking up a route over IPv6 uses.
//
// refused: E0308
// says: expected `&Sender<'_, Inet6>`, found `&Sender<'_, Inet>`

#![forbid(unsafe_code)]

use wg_kernel::net::{
    family::{
        Inet,
        Inet6, //
    },
    route::{
        Flow,
        Route, //
    },
    udp_tunnel::Sender, //
};

pub fn look_up(sender: &Sender<'_, Inet>, flow: &mut Flow<Inet6>) -> Option<u32> {
    Some(Route::<Inet6>::lookup(sender, flow).ok()?.oif())
}
