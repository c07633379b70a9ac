// SPDX-License-Identifier: GPL-2.0

//! WireGuard secure network tunnel.

#![forbid(unsafe_code)]

use kernel::prelude::*;

module! {
    type: WireGuard,
    name: "wireguard",
    authors: ["The authors"],
    description: "WireGuard secure network tunnel",
    license: "GPL v2",
}

struct WireGuard;

impl kernel::Module for WireGuard {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
