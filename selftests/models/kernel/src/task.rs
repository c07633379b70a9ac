// SPDX-License-Identifier: GPL-2.0

//! Tasks.

use crate::model;

/// To be called where a task may sleep: not with a spin lock held, nor in an RCU section.
pub fn might_sleep() {
    assert!(!model::is_atomic(), "sleeps in atomic context");
}
