// SPDX-License-Identifier: GPL-2.0

//! What the driver's sources use of the kernel crate, upon loom.
//!
//! Only as much as the sources need that are modelled. Where the kernel's own code is trusted, such as in
//! its lists, this is simple; where the driver relies on what the kernel promises, such as grace periods
//! and work items, [`model`] does the worst that the promise allows.

pub mod alloc;
pub mod error;
pub mod list;
pub mod model;
pub mod sync;
pub mod task;
pub mod types;
pub mod workqueue;

/// Finds the struct from the address of its field.
#[macro_export]
macro_rules! container_of {
    ($field:expr, $type:ty, $($name:tt)+) => {
        ($field)
            .cast::<u8>()
            .sub(::core::mem::offset_of!($type, $($name)+))
            .cast::<$type>()
    };
}

/// Creates an initialiser for a mutex.
#[macro_export]
macro_rules! new_mutex {
    ($inner:expr, $name:literal) => {
        $crate::sync::Mutex::new($inner)
    };
}

pub mod prelude {
    //! What most sources import.

    pub use crate::{
        alloc::{
            flags::{
                GFP_ATOMIC,
                GFP_KERNEL, //
            },
            KBox,
            KVVec, //
        },
        error::{
            code::*,
            Error,
            Result, //
        },
        new_mutex,
        sync::PinInitArc,
        types::Project, //
    };
    pub use core::pin::Pin;
    pub use pinned_init::{
        pin_data,
        pin_init,
        pinned_drop,
        try_pin_init,
        Init,
        PinInit, //
    };
}
