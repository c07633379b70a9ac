// SPDX-License-Identifier: GPL-2.0
//
// What shuts the timers of an object down before it is freed is made by a macro only.
//
// refused: E0200
// says: the trait `Object` requires an `unsafe impl` declaration

#![forbid(unsafe_code)]

use core::ptr::NonNull;
use wg_kernel::sync::rcu::{
    Inner,
    Object,
    Release, //
};

pub struct Peer;

impl Release for Peer {}

impl Object for Peer {
    fn bind(&self, _this: NonNull<Inner<Self>>) {}

    fn quiesce(&self) {}
}
