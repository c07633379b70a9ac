// SPDX-License-Identifier: GPL-2.0

//! WireGuard secure network tunnel.
//!
//! The driver: it carries out the decisions of the protocol in `wg_proto` by means of `wg_kernel`. Where to
//! start reading: [`device`] for the life of an interface, [`send`] and [`receive`] for that of a packet,
//! [`handshake`] for that of a session.

#![forbid(unsafe_code)]

mod admission;
mod allowed_ips;
mod backlog;
mod config;
mod control;
mod crypto;
mod device;
mod doorkeeper;
mod endpoint;
mod globals;
mod handshake;
mod inbox;
mod keying;
mod keypair;
mod limiter;
mod load;
mod lookup;
mod netlink;
mod open;
mod outbox;
mod peer;
mod queue;
mod quota;
mod receive;
mod seal;
mod send;
mod sender;
mod share;
mod socket;
mod staged;
mod timers;

use crate::{
    device::WireGuard,
    netlink::Genl, //
};
use kernel::InPlaceModule;
use wg_kernel::{
    compat::param,
    crypto::chacha20poly1305,
    module::End,
    net::{
        genetlink,
        namespace::PernetRegistration, //
    },
    notifier::{
        PmRegistration,
        VmForkRegistration, //
    },
    prelude::*, //
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
            description: "UDP GRO packets of many messages: 0 are segmented, 1 are received as they are, 2 are made of single ones as well",
        },
        outer_gso: u8 {
            default: 1,
            description: "Whether many messages are handed to UDP as one GSO packet",
        },
        own_aead: u8 {
            default: 0,
            description: "Whether many messages are encrypted and decrypted by vector code of our own, if the CPU can",
        },
        parallel: u8 {
            default: 1,
            description: "Use of other CPUs: 0 hardly ever, 1 if there is much to do at once, 2 always",
        },
    },
}

/// The version of the module.
///
/// `modinfo` and `/sys/module/wireguard/version` get it from `rust/helpers/module.c`.
const VERSION: &str = "1.0.0-rust";

/// Everything that is registered with the kernel, in the order in which it is unregistered.
#[pin_data]
struct Module {
    _genl: genetlink::Registration<Genl>,
    _links: netdevice::Registration<WireGuard>,
    _pernet: PernetRegistration<WireGuard>,
    _vm_fork: VmForkRegistration<WireGuard>,
    _pm: PmRegistration<WireGuard>,
    _globals: globals::Registration,
    // When all else is gone, waits until no object is left that the module's code must free.
    #[pin]
    _end: End,
}

impl InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _end <- End::new(),
            _: { choose_code() },
            _globals: globals::Globals::register()?,
            _pm: PmRegistration::new()?,
            _vm_fork: VmForkRegistration::new()?,
            _pernet: PernetRegistration::new()?,
            _links: netdevice::Registration::new()?,
            _genl: genetlink::Registration::new(module)?,
            _: {
                pr_info!("WireGuard {VERSION} loaded. See www.wireguard.com for information.\n");
                pr_info!("Copyright (C) 2026 The rust-wireguard authors.\n");
            },
        }? Error)
    }
}

/// Has many messages encrypted and decrypted at a time if the module's parameter asks for it and that works
/// here.
fn choose_code() {
    if param(module_parameters::own_aead.value()) == 0 {
        return;
    }
    if let Err(error) = chacha20poly1305::use_own_code() {
        let what = if error == ENOMEM {
            "cannot be tested"
        } else {
            "fails its test"
        };
        pr_err!("Our own code for ChaCha20-Poly1305 {what}. Using the kernel's alone.\n");
    }
}
