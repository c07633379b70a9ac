// SPDX-License-Identifier: GPL-2.0

//! Generic netlink families.
//!
//! A driver implements [`Family`], which consists of tables, and [`Do`] or [`Dump`] for each row of the
//! table of operations. It has a `static` [`Descriptor`], and keeps a [`Registration`].
//!
//! All operations and multicast groups require `CAP_NET_ADMIN` in the user namespace of the network
//! namespace. Attributes are validated strictly against the policy of the operation before it is
//! called. The operations of a family are called one at a time, in process context.
//!
//! C header: [`include/net/genetlink.h`](srctree/include/net/genetlink.h)

mod group;
mod message;
mod operation;
mod registration;
mod request;

pub use self::{
    group::Group,
    message::{
        DumpMessage,
        Message, //
    },
    operation::{
        Do,
        Dump,
        Operation,
        Progress, //
    },
    registration::{
        Descriptor,
        Registration, //
    },
    request::Request, //
};

use kernel::prelude::*;

/// A family.
pub trait Family: Sized + 'static {
    /// The name, of 15 bytes at most.
    const NAME: &'static CStr;

    /// The version.
    const VERSION: u8;

    /// The operations, sorted by command. If a command has two, the dump is the second.
    const OPERATIONS: &'static [Operation];

    /// The multicast groups, each known by its number in this table.
    const GROUPS: &'static [Group] = &[];

    /// Returns the `static` descriptor of the family.
    fn descriptor() -> &'static Descriptor<Self>;
}
