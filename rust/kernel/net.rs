// SPDX-License-Identifier: GPL-2.0

//! Networking.

pub mod addr;
pub mod namespace;
pub mod netdevice;
pub mod route;
pub mod skbuff;
pub mod udp_tunnel;

pub use addr::SocketAddr;
pub use skbuff::{
    SkBuff,
    SkBuffList, //
};
