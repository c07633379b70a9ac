// SPDX-License-Identifier: GPL-2.0

//! Functions that sleep, called where one must not. They have nothing to wait for, as they would otherwise wait
//! for their caller.

use crate::Plain;
use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};
use wg_kernel::{
    module,
    net::{
        family::Inet,
        route::DstCache, //
    },
    random,
    sync::{
        bh,
        rcu::{
            self,
            hash::HashTable,
            RcuArc, //
        }, //
    }, //
};

/// Calls a function with bottom halves off, having said so.
///
/// Under RCU, the kernel would complain as well, but lockdep look at nothing from then on, once there was a mutex.
fn try_it(what: &str, f: impl FnOnce()) {
    pr_info!("sleeps: {what}\n");
    let guard = bh::disable();
    f();
    drop(guard);
    // The kernel says so once a second.
    fsleep(Delta::from_millis(1500));
}

/// Tries all.
pub(crate) fn all() -> Result {
    let queue = crate::queue()?;
    try_it("a queue is flushed", || queue.flush());
    try_it("a queue is dropped", || drop(queue));

    let table = KBox::pin_init(HashTable::<u32, Arc<u32>>::new(), GFP_KERNEL)?;
    let value = Arc::new(0, GFP_KERNEL)?;
    try_it("a value is put into a table", || {
        let _ = table.insert(1, value);
    });
    try_it("a table is dropped", || drop(table));

    let retired = RcuArc::retire(RcuArc::pin_init(Plain, GFP_KERNEL)?);
    let cache = DstCache::<Inet>::new()?;
    cache.close();
    // What the next two would wait for.
    rcu::synchronize_net();
    try_it("an object is taken back", || {
        let _ = retired.map(|retired| retired.into_inner());
    });
    try_it("a cache of routes is released", || {
        cache.release();
    });

    try_it("randomness is waited for", || {
        let _ = random::wait();
    });
    try_it("nothing is waited for", || {
        module::wait_until_none(|| 0);
    });
    Ok(())
}
