// SPDX-License-Identifier: GPL-2.0
//
// Bottom halves are off for the thread that has turned them off.
//
// refused: E0277
// says: `*mut ()` cannot be sent between threads safely

#![forbid(unsafe_code)]

use wg_kernel::sync::bh;

fn send<T: Send>(_value: T) {}

pub fn elsewhere() {
    send(bh::disable());
}
