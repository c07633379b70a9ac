// SPDX-License-Identifier: GPL-2.0

//! Abstractions over C kernel APIs that the `kernel` crate does not have yet.
//!
//! All `unsafe` code of the project is here. Modules lie where they would lie in `rust/kernel/`,
//! so that moving one upstream is a rename:
//!
//! - [`cpu`]: CPU numbers.
//! - [`net`]: devices, NAPI, namespaces and netlink.
//! - [`notifier`]: what happens to the machine.
//! - [`sync`]: RCU pointers and tables, locks and guards that keep bottom halves off.
//! - [`timer`]: timers that belong to an RCU-freed object.
//! - [`workqueue`]: workqueues of one's own.

pub mod cpu;
pub mod net;
pub mod notifier;
pub mod sync;
pub mod timer;
pub mod workqueue;
