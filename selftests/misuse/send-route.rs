// SPDX-License-Identifier: GPL-2.0
//
// A route must not be released by a thread that no grace period waits for.
//
// refused: E0277
// says: cannot be sent between threads safely

#![forbid(unsafe_code)]

use wg_kernel::net::{
    family::Inet6,
    route::Route, //
};

fn is_send<T: Send>(_value: T) {}

pub fn send(route: Route<'_, Inet6>) {
    is_send(route)
}
