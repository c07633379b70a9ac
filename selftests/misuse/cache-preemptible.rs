// SPDX-License-Identifier: GPL-2.0
//
// A cache has an entry for each CPU, and the one of this CPU needs bottom halves to be off.
//
// refused: E0061
// says: this method takes 3 arguments but 2 arguments were supplied

#![forbid(unsafe_code)]

use wg_kernel::net::{
    family::Inet,
    route::{
        DstCache,
        Flow, //
    },
    udp_tunnel::Sender, //
};

pub fn cached(cache: &DstCache<Inet>, sender: &Sender<'_, Inet>, flow: &mut Flow<Inet>) -> bool {
    cache.get(sender, flow).is_some()
}
