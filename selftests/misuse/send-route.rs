// SPDX-License-Identifier: GPL-2.0
//
// A route must not be released by a thread that no grace period waits for.
//
// refused: E0277
// says: cannot be sent between threads safely

#![forbid(unsafe_code)]

use wg_kernel::net::route::Route6;

fn is_send<T: Send>(_value: T) {}

pub fn send(route: Route6<'_>) {
    is_send(route)
}
