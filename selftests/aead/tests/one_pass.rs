// SPDX-License-Identifier: GPL-2.0

//! `rust/kernel/crypto/chacha20poly1305/one_pass.rs` in user space, with what it needs of the kernel's library made
//! of RustCrypto: it agrees with that, and notices if what is in front of a message changes meanwhile.

#![allow(non_camel_case_types, non_upper_case_globals)]

extern crate self as wg_bindings;

#[path = "one_pass/library.rs"]
mod library;

pub use library::*;

mod compat {
    pub(crate) const fn u32_as_usize(value: u32) -> usize {
        value as usize
    }
}

#[path = "."]
mod crypto {
    pub(crate) fn eq(a: &[u8], b: &[u8]) -> bool {
        a == b
    }

    pub(crate) fn wipe(bytes: &mut [u8]) {
        bytes.fill(0);
    }

    #[path = "."]
    mod chacha20poly1305 {
        pub(crate) const KEY_LEN: usize = 32;
        pub(crate) const TAG_LEN: usize = 16;

        #[path = "../../../rust/kernel/crypto/chacha20poly1305/one_pass.rs"]
        mod one_pass;

        #[path = "one_pass/tests.rs"]
        mod tests;
    }
}
