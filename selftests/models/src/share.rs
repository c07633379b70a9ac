// SPDX-License-Identifier: GPL-2.0

//! A job's share of the work, of which there is never too much: `models/share.rs` has the real one.

use crate::device::Device;
use kernel::sync::Arc;

/// Which way the packets of a job go.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    Out(#[allow(dead_code)] usize),
    In(#[allow(dead_code)] usize),
}

pub(crate) struct Share {
    device: Arc<Device>,
    size: u32,
}

impl Share {
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    pub(crate) fn take(device: &Arc<Device>, _: Direction, size: usize) -> Option<Self> {
        let device = device.clone();
        let size = size as u32;
        Some(Self { device, size })
    }

    pub(crate) fn is_left(_: &Device, _: Direction) -> bool {
        true
    }

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    pub(crate) fn give_back(&self) {}
}
