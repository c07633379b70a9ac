// SPDX-License-Identifier: GPL-2.0

//! CPUs.

/// The number of one.
#[derive(Clone, Copy)]
pub struct Online(pub u32);

impl Online {
    pub fn as_raw(self) -> u32 {
        self.0
    }
}
