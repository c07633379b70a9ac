// SPDX-License-Identifier: GPL-2.0
//
// Statistics of this CPU need bottom halves to be off.
//
// refused: E0061
// says: this method takes 3 arguments but 2 arguments were supplied

#![forbid(unsafe_code)]

use wg_kernel::net::netdevice::Device;

pub fn count(dev: &Device) {
    dev.sw_rx_add(1, 1500);
}
