// SPDX-License-Identifier: GPL-2.0

//! What most sources import.

pub use crate::{
    cpu,
    net::skbuff::{
        SkBuff,
        SkBuffList, //
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
pub use kernel::{
    new_mutex,
    prelude::*,
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
