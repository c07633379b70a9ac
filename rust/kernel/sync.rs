// SPDX-License-Identifier: GPL-2.0

//! Synchronisation primitives.

pub mod bh;
pub mod rcu;
pub mod spinlock_bh;

pub use spinlock_bh::{
    SpinLockBh,
    SpinLockBhGuard, //
};
