// SPDX-License-Identifier: GPL-2.0

//! Generic netlink families of two commands: one gets by dumping, and one sets.
//!
//! A driver implements [`Family`], has a `static` [`Descriptor`], and keeps a [`Registration`].
//!
//! Both commands are for those who may administrate the network of their namespace. Attributes are
//! checked against the tables of the family, strictly, before the family sees them. The callbacks
//! of a family are called one at a time, in process context.
//!
//! C header: [`include/net/genetlink.h`](srctree/include/net/genetlink.h)

mod message;
mod registration;
mod request;

pub use self::{
    message::DumpMessage,
    registration::{
        Descriptor,
        Registration, //
    },
    request::Request, //
};

use super::netlink::Policy;
use kernel::prelude::*;

/// A family.
#[vtable]
pub trait Family: Sized + 'static {
    /// The name, of 15 bytes at most.
    const NAME: &'static CStr;

    /// The version.
    const VERSION: u8;

    /// The command that gets. Less than the one that sets.
    const GET_COMMAND: u8;

    /// The attributes of the command that gets.
    const GET_POLICY: &'static [Policy];

    /// The command that sets.
    const SET_COMMAND: u8;

    /// The attributes of the command that sets.
    const SET_POLICY: &'static [Policy];

    /// How far a dump has come. Dropped when the dump has come to its end, or was abandoned.
    type Dump: Send + 'static;

    /// Returns a `static` for what is registered.
    fn descriptor() -> &'static Descriptor<Self>;

    /// Begins a dump.
    fn start(request: &Request<'_>) -> Result<Self::Dump>;

    /// Fills one message of a dump.
    ///
    /// In case of an error the message is cancelled and the dump comes to its end.
    fn dump(state: &mut Self::Dump, message: &mut DumpMessage<'_>) -> Result<Progress>;

    /// Sets what is requested.
    fn set(request: &mut Request<'_>) -> Result;
}

/// Whether a dump has come to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Another message is to be filled.
    More,

    /// This message was the last.
    Done,
}
