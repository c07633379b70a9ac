// SPDX-License-Identifier: GPL-2.0

//! WireGuard secure network tunnel.
//!
//! The driver: what the protocol of `wg_proto` decides, done by means of `wg_kernel`. Where to start
//! reading: [`device`] for the life of an interface, [`send`] and [`receive`] for that of a packet,
//! [`handshake`] for that of a session.

#![forbid(unsafe_code)]

mod admission;
mod allowed_ips;
mod backlog;
mod bundle;
mod config;
mod crypto;
mod device;
mod gather;
mod globals;
mod handshake;
mod inbox;
mod keying;
mod keypair;
mod lookup;
mod meter;
mod netlink;
mod peer;
mod queue;
mod receive;
mod seal;
mod send;
mod socket;
mod timers;

use crate::{
    device::WireGuard,
    netlink::Genl, //
};
use kernel::prelude::*;
use wg_kernel::{
    module::Use,
    net::{
        genetlink,
        namespace::PernetRegistration,
        netdevice, //
    },
    notifier::{
        PmRegistration,
        VmForkRegistration, //
    }, //
};

module! {
    type: Module,
    name: "wireguard",
    authors: ["The rust-wireguard authors"],
    description: "WireGuard secure network tunnel, in Rust",
    license: "GPL v2",
    alias: [
        "rtnl-link-wireguard",
        "net-pf-16-proto-16-family-wireguard",
    ],
    params: {
        outer_gro: u8 {
            default: 1,
            description: "Whether large packets of many messages are received as they are",
        },
        outer_gso: u8 {
            default: 1,
            description: "Whether many messages are handed to UDP as one large packet",
        },
        parallel: u8 {
            default: 1,
            description: "Use of other CPUs: 0 never, 1 if there is much to do at once, 2 always",
        },
    },
}

/// The version of the module.
///
/// `modinfo` and `/sys/module/wireguard/version` have it from `rust/helpers/module.c`.
const VERSION: &str = "1.0.0-rust";

/// All that is registered with the kernel, in the order in which it has to go.
struct Module {
    _genl: genetlink::Registration<Genl>,
    _links: netdevice::Registration<WireGuard>,
    _pernet: PernetRegistration<WireGuard>,
    _vm_fork: VmForkRegistration<WireGuard>,
    _pm: PmRegistration<WireGuard>,
    _globals: globals::Registration,
    // Waits, when all else is gone, until nothing of it is left that the module's code must free.
    _last: Use,
}

impl kernel::Module for Module {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let last = Use::new();
        let globals = globals::Globals::register()?;
        let pm = PmRegistration::new()?;
        let vm_fork = VmForkRegistration::new()?;
        let pernet = PernetRegistration::new()?;
        let links = netdevice::Registration::new()?;
        let genl = genetlink::Registration::new(module)?;

        pr_info!("WireGuard {VERSION} loaded. See www.wireguard.com for information.\n");
        pr_info!("Copyright (C) 2026 The rust-wireguard authors.\n");
        Ok(Self {
            _genl: genl,
            _links: links,
            _pernet: pernet,
            _vm_fork: vm_fork,
            _pm: pm,
            _globals: globals,
            _last: last,
        })
    }
}
