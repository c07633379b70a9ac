// SPDX-License-Identifier: GPL-2.0

//! Address families as types, so that objects of one family cannot be mistaken for those of the other.

use super::route::raw::Raw;

/// The family of IPv4, which the kernel calls `AF_INET`, where an address is four bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inet {}

/// The family of IPv6, `AF_INET6`, where an address is sixteen bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inet6 {}

/// [`Inet`] or [`Inet6`].
pub trait Family: Raw {}

impl Family for Inet {}
impl Family for Inet6 {}
