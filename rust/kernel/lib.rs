// SPDX-License-Identifier: GPL-2.0

//! Abstractions over C kernel APIs that the `kernel` crate does not have yet.
//!
//! Modules lie where they would lie in `rust/kernel/`, so that moving one upstream is a rename.
