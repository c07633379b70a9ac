// SPDX-License-Identifier: GPL-2.0

//! Networking.

mod context;

pub mod genetlink;
pub mod namespace;
pub mod napi;
pub mod netdevice;
pub mod netlink;
pub mod rtnetlink;
pub mod skbuff;
