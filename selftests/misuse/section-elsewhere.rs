// SPDX-License-Identifier: GPL-2.0
//
// A section of RCU is of the thread that has begun it.
//
// refused: E0277
// says: `*mut ()` cannot be sent between threads safely

#![forbid(unsafe_code)]

use wg_kernel::sync::rcu;

fn send<T: Send>(_value: T) {}

pub fn elsewhere() {
    send(rcu::read_lock());
}
