// SPDX-License-Identifier: GPL-2.0

//! Models of what the driver does without locks, or with few: each runs its sources, as they are, in all
//! orders in which a few CPUs may.
//!
//! `sources` are files of the driver, the modules beside it what they need of the rest of it, with as little
//! in it as will do.

#![cfg(test)]

mod backlog;
mod control;
mod crypto;
mod device;
mod load;
mod open;
mod peer;
mod seal;
mod sender;
mod share;

#[path = "../../../rust/wireguard"]
#[allow(dead_code)]
mod sources {
    pub(crate) mod inbox;
    pub(crate) mod keypair;
    pub(crate) mod lookup;
    pub(crate) mod outbox;
    pub(crate) mod queue;
    pub(crate) mod quota;
    #[path = "share.rs"]
    pub(crate) mod real_share;
    pub(crate) mod staged;
}

pub(crate) use sources::*;

mod models;
