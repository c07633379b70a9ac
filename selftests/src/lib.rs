// SPDX-License-Identifier: GPL-2.0

//! What the tests in `tests/` share.
//!
//! They test `rust/proto` as its users see it, and against other implementations. Tests of single
//! items are at the foot of the files there.

#![forbid(unsafe_code)]

// So that `suite` and `vectors`, which the unit tests of `rust/proto` share too, find it there.
use wg_proto::crypto;

pub mod pair;
pub mod suite;
pub mod vectors;
