// SPDX-License-Identifier: GPL-2.0

//! Timers.

/// A timer.
pub struct timer_list(u8);
