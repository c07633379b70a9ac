// SPDX-License-Identifier: GPL-2.0

//! Generic netlink families.
//!
//! A driver implements [`Family`], which is tables, and [`Do`] or [`Dump`] for each row of that of
//! operations. It has a `static` [`Descriptor`], and keeps a [`Registration`].
//!
//! All operations are for those who may administrate the network of their namespace, as are
//! multicast groups. Attributes are checked against the policies of the operation, strictly, before
//! it sees them. The operations of a family are called one at a time, in process context.
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

    /// The operations, sorted by command. If a command has two, that which dumps is the second.
    const OPERATIONS: &'static [Operation];

    /// The multicast groups, each known by its number in this table.
    const GROUPS: &'static [Group] = &[];

    /// Returns a `static` for what is registered.
    fn descriptor() -> &'static Descriptor<Self>;
}
