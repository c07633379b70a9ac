// SPDX-License-Identifier: GPL-2.0
//
// A route must not outlive the socket that it is for: its namespace counts it.
//
// refused: E0597
// says: does not live long enough

#![forbid(unsafe_code)]

use wg_kernel::{
    net::{
        family::Family,
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

pub fn keep<T: Receive, F: Family>(socket: &Socket<T, F>, flow: &mut Flow<F>) -> Option<u32> {
    let route = {
        let guard = rcu::read_lock();
        let sender = socket.sender(&guard)?;
        Route::lookup(&sender, flow).ok()?
    };
    Some(route.oif())
}
