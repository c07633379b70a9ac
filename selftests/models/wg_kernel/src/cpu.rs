// SPDX-License-Identifier: GPL-2.0

//! CPUs.

/// The number of one.
#[derive(Clone, Copy)]
pub struct Active(pub u32);

impl Active {
    pub fn as_raw(self) -> u32 {
        self.0
    }
}
