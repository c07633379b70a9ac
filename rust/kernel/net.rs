// SPDX-License-Identifier: GPL-2.0

//! Networking.

mod context;

pub mod addr;
pub mod family;
pub mod genetlink;
pub mod namespace;
pub mod napi;
pub mod netdevice;
pub mod netlink;
pub mod route;
pub mod rtnetlink;
pub mod skbuff;
pub mod udp_tunnel;

pub use addr::SocketAddr;
pub use skbuff::{
    SkBuff,
    SkBuffList, //
};
