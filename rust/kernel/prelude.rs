// SPDX-License-Identifier: GPL-2.0

//! What a driver's sources import most: `use wg_kernel::prelude::*;`.
//!
//! This is the kernel crate's own prelude, with the errors that Linux 7.2 has no constants for, and from both
//! crates the words that are everywhere: packets, RCU, locks that keep bottom halves off, atomics, work, time
//! and messages. What few sources need they import by name, so that it can be seen what they know.

#[doc(no_inline)]
pub use kernel::{
    new_mutex,
    prelude::*,
    rbtree::RBTree,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    workqueue::{
        impl_has_work,
        new_work,
        Work,
        WorkItem, //
    }, //
};

// In Linux 7.3, the kernel crate's prelude has these as well.
#[allow(unused_imports, unreachable_pub)]
#[doc(no_inline)]
pub use crate::compat::errors::*;

#[doc(no_inline)]
pub use crate::{
    cpu,
    net::{
        addr::SocketAddr,
        netdevice,
        rtnetlink,
        skbuff::{
            NewSkBuff,
            Outer,
            OutgoingSkBuff,
            Pages,
            SkBuff,
            SkBuffList, //
        }, //
    },
    new_spinlock_bh,
    pr_debug,
    pr_debug_ratelimited,
    random,
    rcu_object,
    sync::{
        bh::{
            self,
            Softirq, //
        },
        rcu::{
            self,
            Borrow,
            Guard,
            RcuArc,
            Slot, //
        },
        SpinLockBh, //
    },
    task::cond_resched,
    time, //
};
