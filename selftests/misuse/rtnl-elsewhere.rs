// SPDX-License-Identifier: GPL-2.0
//
// RTNL is held by the task that has taken it.
//
// refused: E0277
// says: `*mut ()` cannot be sent between threads safely

#![forbid(unsafe_code)]

use wg_kernel::net::rtnetlink;

fn send<T: Send>(_value: T) {}

pub fn elsewhere() {
    send(rtnetlink::lock());
}
