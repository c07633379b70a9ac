// SPDX-License-Identifier: GPL-2.0
//
// So does the list of what this CPU is to poll.
//
// refused: E0061
// says: this method takes 2 arguments but 1 argument was supplied

#![forbid(unsafe_code)]

use wg_kernel::net::netdevice::Link;

pub fn poll(link: &Link) {
    link.schedule_napi(0);
}
