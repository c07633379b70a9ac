// SPDX-License-Identifier: GPL-2.0

//! What the kernel calls: the operations of the networking core, and events around a device, which are the
//! exit of the namespace that its sockets are in, suspend, and a fork of the virtual machine.

use super::Device;
use crate::{
    control,
    globals::Globals,
    outbox::Outbox,
    peer::Peer, //
};
use wg_kernel::{
    net::{
        namespace::{
            Net,
            PernetOperations, //
        },
        napi::Napi, //
    },
    notifier::{
        PmNotifier,
        VmForkNotifier, //
    },
    prelude::*, //
};
use wg_proto::wire;

/// What our headers and the outer ones add to a packet.
const OVERHEAD: u32 = (wire::DATA_MIN_LEN + control::OUTER_HEADERS) as u32;

/// MTU of Ethernet.
const ETHERNET_MTU: u32 = 1500;

/// The largest MTU: the padded length still fits a signed integer.
const MAX_MTU: u32 = (i32::MAX as u32) / wire::PADDING_MULTIPLE * wire::PADDING_MULTIPLE - OVERHEAD;

/// The kind of interface that this module creates.
pub(crate) struct WireGuard;

/// How many suspends and hibernations are going on, of which one may be within another.
static RESTS: Atomic<i32> = Atomic::new(0);

/// Whether keys were wiped since processes were frozen.
static WIPED: Atomic<bool> = Atomic::new(false);

/// The rtnetlink operations, by which our interfaces are recognised.
static LINK_OPS: netdevice::LinkOps<WireGuard> = netdevice::LinkOps::new();

#[vtable]
impl netdevice::Operations for WireGuard {
    const KIND: &'static CStr = c"wireguard";

    type Data = Device;

    fn link_ops() -> &'static netdevice::LinkOps<Self> {
        &LINK_OPS
    }

    fn setup(setup: &mut netdevice::Setup<'_>) {
        setup.ip_tunnel();
        setup.room(control::HEADROOM as u16, control::TAILROOM as u16);
        setup.mtu(ETHERNET_MTU - OVERHEAD, MAX_MTU);
        // A softirq is done by whatever task enables bottom halves there, be it a real-time task, and one that
        // is preempted in it keeps other devices of the CPU from receiving.
        if cfg!(CONFIG_PREEMPT_RT) {
            setup.poll_in_threads();
        }
    }

    fn new_link(link: netdevice::Link, net: &Net, name: netdevice::Name) -> Result<Arc<Device>> {
        Device::new(link, net, name)
    }

    fn registered(data: &Arc<Device>, _rtnl: &rtnetlink::Guard) {
        let place = data.place.lock().take();
        if let (Some(globals), Some(place)) = (Globals::get(), place) {
            globals.add_device(data.clone(), place);
        }
        pr_debug!("{}: Interface created\n", data.name());
    }

    fn open(data: &Arc<Device>, dev: &netdevice::Device, rtnl: &rtnetlink::Guard) -> Result {
        dev.disable_redirects(rtnl);
        dev.disable_address_generation(rtnl);

        let mut config = data.config.lock();
        let port = config.port;
        data.open_sockets(&mut config, port)?;
        data.begin_epoch();
        for peer in config.peers() {
            Peer::send_staged(peer.borrow());
            if peer.persistent_keepalive() != 0 {
                Peer::send_keepalive(peer.borrow());
            }
        }
        Ok(())
    }

    fn stop(data: &Arc<Device>, _dev: &netdevice::Device, _rtnl: &rtnetlink::Guard) {
        let config = data.config.lock();
        data.end_epoch();
        // No more datagrams are received. This also waits for readers that saw the interface up: from here on
        // nothing is begun.
        if !data.close_sockets() {
            rcu::synchronize_net();
        }
        for peer in config.peers() {
            peer.stop();
            Outbox::drain_for_worker(peer);
        }
    }

    #[inline]
    fn start_xmit(
        data: &Arc<Device>,
        dev: &netdevice::Device,
        skb: OutgoingSkBuff<'_>,
        softirq: Softirq<'_>,
    ) -> Result {
        data.start_xmit(dev, skb, softirq)
    }

    #[inline]
    fn poll(data: &Arc<Device>, instance: usize, napi: &Napi<'_>, budget: usize) -> usize {
        data.poll(instance, napi, budget)
    }

    fn freeze() {
        // New sessions may have been needed for file systems to be synced. Now nothing can make keys any more.
        // Devices are also frozen where nobody is told: a machine that is copied or moved by Xen goes on at
        // once, and its sessions with it.
        if RESTS.load(Relaxed) > 0 && !WIPED.xchg(true, Full) {
            wipe_all_keys();
        }
    }

    fn thaw() {
        WIPED.store(false, Relaxed);
    }

    fn destruct(data: Arc<Device>) {
        // As long as it has sockets or routes in the transport namespace, the exit of that must find it.
        data.close_sockets();
        data.remove_peers_and_wait();
        data.transport_net.clear();
        if let Some(globals) = Globals::get() {
            globals.remove_device(&data);
        }
        data.set_identity(None);
        pr_debug!("{}: Interface destroyed\n", data.name());
    }
}

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

/// Wipes the keys of all sessions and handshakes, and all other secrets that can be made again.
fn wipe_all_keys() {
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

impl PmNotifier for WireGuard {
    fn prepare() {
        RESTS.fetch_add(1, Relaxed);
        // The last device may have gone before it was told that the last one was over.
        WIPED.store(false, Relaxed);
        wipe_all_keys();
    }

    fn finish() {
        // The module may have come after it began. All of this is under one lock of power management.
        if RESTS.load(Relaxed) > 0 {
            RESTS.fetch_sub(1, Relaxed);
        }
        // Packets that wait for a session, the handshake for which was wiped.
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
