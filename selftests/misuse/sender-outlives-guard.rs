// SPDX-License-Identifier: GPL-2.0
//
// Nor a socket that was seen open.
//
// refused: E0505
// says: cannot move out of `guard` because it is borrowed

#![forbid(unsafe_code)]

use wg_kernel::{
    net::{
        family::Inet,
        route::{
            Flow,
            Route, //
        },
        udp_tunnel::{
            Receive,
            Socket, //
        }, //
    },
    sync::rcu, //
};

pub fn goes_out<T: Receive>(socket: &Socket<T, Inet>, flow: &mut Flow<Inet>) -> Option<u32> {
    let guard = rcu::read_lock();
    let sender = socket.sender(&guard);
    drop(guard);
    let route = Route::lookup(&sender?, flow).ok()?;
    Some(route.oif())
}
