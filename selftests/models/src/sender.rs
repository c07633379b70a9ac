// SPDX-License-Identifier: GPL-2.0

//! The CPU that sends, which is any.

use wg_kernel::{
    cpu::Active,
    sync::bh, //
};

pub(crate) const ONE_CPU: bool = false;

pub(crate) struct Sender;

impl Sender {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn is_here(&self, _bh: &bh::Guard) -> bool {
        true
    }

    pub(crate) fn take_over(&self, _bh: &bh::Guard) {}

    pub(crate) fn note_sent(&self) {}

    pub(crate) fn cpu(&self) -> Option<Active> {
        None
    }

    pub(crate) fn moves_worker(&self, _bh: &bh::Guard) -> bool {
        false
    }
}
