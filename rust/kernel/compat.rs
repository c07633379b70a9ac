// SPDX-License-Identifier: GPL-2.0

//! APIs in which Linux 7.2 differs, in the form that Linux 7.3 has them.
//!
//! Nothing else depends on the series. When support for 7.2 ends, this file goes, as does the line about
//! `linux_7_2` in `Kbuild.include`, and its users import from the `kernel` crate instead.

#[cfg(not(linux_7_2))]
mod series {
    pub use kernel::{
        error::code as errors,
        num::casts::u32_as_usize,
        sync::rcu::rcu_barrier, //
    };

    /// `kernel::sync::barrier::smp_mb(Full)`.
    #[inline]
    pub(crate) fn smp_mb() {
        kernel::sync::barrier::smp_mb(kernel::sync::barrier::Full);
    }

    /// Returns the value of a module's parameter, as its `value` returns that.
    #[inline]
    pub fn param<T: Copy>(value: T) -> T {
        value
    }
}

#[cfg(linux_7_2)]
mod series {
    use kernel::{
        bindings,
        prelude::*, //
    };

    /// Errors that this series has no constants for.
    pub mod errors {
        use super::*;
        use core::num::NonZeroI32;

        macro_rules! declare {
            ($($name:ident),* $(,)?) => {
                $(
                    #[doc = concat!("`", stringify!($name), "`.")]
                    pub const $name: Error = errno(bindings::$name);
                )*
            };
        }

        declare! {
            EADDRINUSE,
            EBADMSG,
            EBADR,
            EDESTADDRREQ,
            ENETUNREACH,
            ENOKEY,
            ENONET,
            EOPNOTSUPP,
            EPFNOSUPPORT,
            EPROTONOSUPPORT,
        }

        /// Returns the error of that number. For constants only.
        const fn errno(number: u32) -> Error {
            assert!(0 < number && number <= bindings::MAX_ERRNO);
            let Some(number) = NonZeroI32::new(-(number as i32)) else {
                unreachable!();
            };
            // SAFETY: In this series an `Error` is such a number and nothing else, and this one is in the
            // range that it has to be in.
            unsafe { core::mem::transmute::<NonZeroI32, Error>(number) }
        }
    }

    /// Returns `value` as a `usize`, which is at least as large.
    #[inline]
    pub const fn u32_as_usize(value: u32) -> usize {
        const { assert!(size_of::<usize>() >= size_of::<u32>()) };
        // CAST: This was just asserted.
        value as usize
    }

    /// Waits until all pending RCU callbacks have run.
    #[inline]
    pub fn rcu_barrier() {
        // SAFETY: An FFI call that may sleep, as documented.
        unsafe { wg_bindings::rcu_barrier() };
    }

    /// A full memory barrier.
    #[inline]
    pub(crate) fn smp_mb() {
        kernel::sync::barrier::smp_mb();
    }

    /// Returns the value of a module's parameter, a reference to which its `value` returns.
    #[inline]
    pub fn param<T: Copy>(value: &T) -> T {
        *value
    }
}

pub use self::series::*;
