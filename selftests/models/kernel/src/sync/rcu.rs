// SPDX-License-Identifier: GPL-2.0

//! RCU's readers.

use crate::{
    model,
    types::NotThreadSafe, //
};

/// A reader.
pub struct Guard(u64, NotThreadSafe);

/// Begins a read-side critical section.
pub fn read_lock() -> Guard {
    model::nest(1);
    Guard(model::begin_reader(), NotThreadSafe)
}

impl Drop for Guard {
    fn drop(&mut self) {
        model::nest(-1);
        model::end_reader(self.0);
    }
}
