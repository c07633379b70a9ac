// SPDX-License-Identifier: GPL-2.0

//! What the fuzzers in `targets/` share.
//!
//! Each is given bytes, and makes of them what it tests: a message, a packet, a sequence of calls. It
//! compares what `rust/proto` says of these with what a model says, which is written as plainly as can
//! be, and after the specification rather than after the code.

#![forbid(unsafe_code)]

pub mod bytes;
pub mod packet;

pub use bytes::Bytes;
pub use libfuzzer_sys::fuzz_target;
