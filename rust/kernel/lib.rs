// SPDX-License-Identifier: GPL-2.0

//! Abstractions over C kernel APIs that the `kernel` crate does not have yet.
//!
//! All `unsafe` code of the project is here. Modules are where they would be in `rust/kernel/`, so
//! that each could go upstream:
//!
//! - [`compat`]: APIs in which Linux 7.2 differs.
//! - [`cpu`]: CPUs that tasks may be put on.
//! - [`crypto`]: authenticated encryption, hashes and key agreement, over slices and packets.
//! - [`debug`]: messages through dynamic debug.
//! - `fpu`: vectors of x86-64, for `crypto`.
//! - [`mm`][]: memory.
//! - [`module`]: safe unloading of a module.
//! - [`net`]: devices, NAPI, namespaces, netlink, packets, addresses, tunnel sockets, routes.
//! - [`notifier`]: notifications of suspend, hibernation and VM forks.
//! - [`prelude`]: what most sources import.
//! - [`random`]: random numbers.
//! - [`sync`]: RCU pointers and tables, locks and guards that keep bottom halves off.
//! - [`task`]: the current task.
//! - [`mod@time`]: clocks and jiffies.
//! - [`timer`]: timers that belong to an RCU-freed object.
//! - [`workqueue`]: workqueues of the module's own.

pub mod compat;
pub mod cpu;
pub mod crypto;
pub mod debug;
#[cfg(all(CONFIG_X86_64, not(CONFIG_KMSAN)))]
mod fpu;
pub mod mm;
pub mod module;
pub mod net;
pub mod notifier;
pub mod prelude;
pub mod random;
pub mod sync;
pub mod task;
pub mod time;
pub mod timer;
pub mod workqueue;
