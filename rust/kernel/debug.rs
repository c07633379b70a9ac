// SPDX-License-Identifier: GPL-2.0

//! Debug messages, enabled through dynamic debug.
//!
//! Every use of [`pr_debug!`](crate::pr_debug) is a call site of its own in
//! `/sys/kernel/debug/dynamic_debug/control`. Its arguments are evaluated only if it is enabled.
//! Nothing is printed without `CONFIG_DYNAMIC_DEBUG`.
//!
//! C header: [`include/linux/dynamic_debug.h`](srctree/include/linux/dynamic_debug.h)

use core::{
    cell::UnsafeCell,
    ptr::from_ref, //
};
use kernel::{
    fmt::Arguments,
    str::CStrExt as _, //
};
use wg_bindings as bindings;

#[doc(hidden)]
pub use kernel::prelude::fmt;

/// Dynamic debug's descriptor of a call site. Made by [`pr_debug!`](crate::pr_debug) only.
///
/// # Invariants
///
/// All strings are null-terminated.
#[doc(hidden)]
#[repr(C, align(8))]
pub struct Descriptor(UnsafeCell<bindings::_ddebug>);

// SAFETY: Only C writes to it, to the bit field with the flags, and only C reads that. What is read in
// Rust is never written.
unsafe impl Sync for Descriptor {}

/// Number of bits of the line number.
const LINE_BITS: u32 = 18;

/// Number of bits of the line number and the class.
const LINE_AND_CLASS_BITS: u32 = 24;

impl Descriptor {
    /// Describes a call site.
    ///
    /// # Panics
    ///
    /// If a string is not null-terminated. This function is for initialising statics, so that it
    /// panics at compile time.
    #[doc(hidden)]
    #[inline]
    pub const fn new(module: &'static [u8], at: [&'static str; 3], line: u32) -> Self {
        let [function, file, format] = at;
        assert!(matches!(module, [.., 0]));
        assert!(matches!(function.as_bytes(), [.., 0]));
        assert!(matches!(file.as_bytes(), [.., 0]));
        assert!(matches!(format.as_bytes(), [.., 0]));

        // C lays out bit fields starting at the first byte in memory.
        let line = line & ((1 << LINE_BITS) - 1);
        let class = bindings::_DPRINTK_CLASS_DFLT;
        let bits = if cfg!(target_endian = "little") {
            line | class << LINE_BITS
        } else {
            line << (u32::BITS - LINE_BITS) | class << (u32::BITS - LINE_AND_CLASS_BITS)
        };

        // SAFETY: A descriptor is made of pointers and numbers, which may be zero.
        let mut descriptor: bindings::_ddebug = unsafe { core::mem::zeroed() };
        descriptor.modname = module.as_ptr();
        descriptor.function = function.as_ptr();
        descriptor.filename = file.as_ptr();
        descriptor.format = format.as_ptr();
        descriptor._bitfield_1 = bindings::__BindgenBitfieldUnit::new(bits.to_ne_bytes());
        // INVARIANT: This was checked above.
        Self(UnsafeCell::new(descriptor))
    }

    /// Returns whether the call site is to print its message.
    #[doc(hidden)]
    #[cfg(CONFIG_DYNAMIC_DEBUG)]
    #[inline]
    pub fn is_enabled(&self) -> bool {
        // SAFETY: The descriptor is valid.
        let flags = unsafe { bindings::wg_ddebug_flags(self.0.get()) };
        flags & bindings::_DPRINTK_FLAGS_PRINT != 0
    }

    /// Returns whether the call site is to print its message.
    #[doc(hidden)]
    #[cfg(not(CONFIG_DYNAMIC_DEBUG))]
    #[inline]
    pub fn is_enabled(&self) -> bool {
        false
    }

    /// Prints a message.
    #[doc(hidden)]
    #[cold]
    #[cfg_attr(not(CONFIG_DYNAMIC_DEBUG), expect(unused_variables))]
    pub fn print(&self, args: Arguments<'_>) {
        #[cfg(CONFIG_DYNAMIC_DEBUG)]
        {
            // SAFETY: The descriptor is valid, and the field is never written.
            let module = unsafe { (*self.0.get()).modname };
            // SAFETY: The arguments are what the format asks for: by the type invariants, a string,
            // and formatting arguments.
            unsafe {
                bindings::__dynamic_pr_debug(
                    self.0.get(),
                    c"%s: %pA".as_char_ptr(),
                    module,
                    from_ref(&args),
                )
            };
        }
    }
}

/// Returns whether another message that remote hosts can cause may be printed (`net_ratelimit()`).
#[doc(hidden)]
pub fn ratelimit() -> bool {
    // SAFETY: May be called from any context.
    unsafe { bindings::net_ratelimit() != 0 }
}

/// Prints a message at debug level, with the module's name before it, if that is enabled.
///
/// ```ignore
/// pr_debug!("{}: Peer {} created\n", name, id);
/// ```
#[macro_export]
macro_rules! pr_debug {
    ($($args:tt)+) => {
        $crate::print_debug!(true, $($args)+)
    };
}
pub use pr_debug;

/// As [`pr_debug!`](crate::pr_debug), rate-limited, for messages that remote hosts can cause.
#[macro_export]
macro_rules! pr_debug_ratelimited {
    ($($args:tt)+) => {
        $crate::print_debug!($crate::debug::ratelimit(), $($args)+)
    };
}
pub use pr_debug_ratelimited;

/// Prints a message if its call site is enabled and `$also` holds.
#[doc(hidden)]
#[macro_export]
#[expect(clippy::crate_in_macro_def)]
macro_rules! print_debug {
    ($also:expr, $format:tt $($args:tt)*) => {{
        #[cfg_attr(CONFIG_DYNAMIC_DEBUG, link_section = "__dyndbg")]
        static DESCRIPTOR: $crate::debug::Descriptor = $crate::debug::Descriptor::new(
            crate::__LOG_PREFIX,
            [
                concat!(module_path!(), "\0"),
                concat!(file!(), "\0"),
                concat!($format, "\0"),
            ],
            line!(),
        );
        if DESCRIPTOR.is_enabled() && $also {
            DESCRIPTOR.print($crate::debug::fmt!($format $($args)*));
        }
    }};
}
