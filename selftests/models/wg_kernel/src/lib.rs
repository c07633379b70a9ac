// SPDX-License-Identifier: GPL-2.0

//! `wg_kernel`, of which RCU's objects and tables, and the timers, are the driver's own sources.

pub mod compat;
pub mod cpu;
pub mod crypto;
pub mod module;
pub mod net;
pub mod prelude;
pub mod random;
pub mod task;
pub mod time;
pub mod workqueue;

/// The sources of the driver.
#[path = "../../../../rust/kernel"]
#[allow(dead_code)]
mod sources {
    pub mod sync {
        pub mod rcu;
    }
    pub mod timer;
}

pub use sources::timer;

pub mod sync {
    //! Synchronisation.

    pub mod bh;

    pub use crate::sources::sync::rcu;

    /// A spin lock.
    pub type SpinLockBh<T> = kernel::sync::Lock<T, true>;
}

/// Creates an initialiser for a spin lock.
#[macro_export]
macro_rules! new_spinlock_bh {
    ($inner:expr, $name:literal) => {
        $crate::sync::SpinLockBh::new($inner)
    };
}

/// Says something.
#[macro_export]
macro_rules! pr_debug {
    ($($argument:tt)*) => {
        let _ = || format!($($argument)*);
    };
}
pub use pr_debug as pr_debug_ratelimited;
