// SPDX-License-Identifier: GPL-2.0

//! Events around a device: the exit of the namespace that its sockets are in, suspend, and a fork of the
//! virtual machine.

use super::WireGuard;
use crate::{
    globals::{
        self,
        Globals, //
    },
    peer::Peer, //
};
use wg_kernel::{
    net::namespace::{
        Net,
        PernetOperations, //
    },
    notifier::{
        PmNotifier,
        Rest,
        VmForkNotifier, //
    },
    prelude::*, //
};

impl PernetOperations for WireGuard {
    fn exit_rtnl(net: &Net, _rtnl: &rtnetlink::Guard) {
        Globals::for_each_device(|device| {
            if !device.transport_net.is(net) {
                return;
            }
            pr_debug!("{}: Creating namespace exiting\n", device.name());
            let guard = rcu::read_lock();
            if let Some(netdev) = device.link.get(&guard) {
                netdev.carrier_off();
            }
            drop(guard);
            let config = device.config.lock();
            device.transport_net.clear();
            device.close_sockets();
            // Nothing is sent any more. The following needs no memory, and one grace period does for all
            // peers.
            config.peers().for_each(|peer| peer.close_routes());
            rcu::synchronize_net();
            config.peers().for_each(|peer| peer.release_routes());
            // Our address that a peer last sent to means nothing in another namespace.
            config
                .peers()
                .for_each(|peer| peer.clear_source(GFP_KERNEL));
        });
    }
}

impl PmNotifier for WireGuard {
    fn prepare(rest: Rest) {
        globals::set_suspending(rest, true);
        Globals::for_each_device(|device| {
            let config = device.config.lock();
            config.peers().for_each(|peer| peer.forget_keys());
            drop(config);
            device.cookies.lock().forget();
        });
        // First for the entries of the index table, then for the sessions, which they refer to.
        rcu::rcu_barrier();
        rcu::rcu_barrier();
    }

    fn finish(rest: Rest) {
        globals::set_suspending(rest, false);
        if globals::is_suspending() {
            return;
        }
        // Packets that wait for a session could not begin a handshake.
        Globals::for_each_device(|device| {
            let config = device.config.lock();
            if device.is_running() {
                config
                    .peers()
                    .for_each(|peer| Peer::send_staged(peer.borrow()));
            }
        });
    }
}

impl VmForkNotifier for WireGuard {
    fn forked() {
        Globals::for_each_device(|device| {
            let config = device.config.lock();
            config.peers().for_each(|peer| peer.expire_sessions());
        });
    }
}
