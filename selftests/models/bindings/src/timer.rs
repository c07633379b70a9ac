// SPDX-License-Identifier: GPL-2.0

//! Timers, whose functions are called by the models, by way of [`run_timer`].
//!
//! As in the kernel, whether a timer is pending, and for when, is written under a lock, each by itself, but
//! read without it before. Processors other than x86 may show that it is pending before they show for when.
//! Whoever finds it pending does not make it later; whoever finds it idle does, if others have armed it
//! meanwhile.
//!
//! One that is armed for a time that is far off is late: its function is called when the bucket of the kernel's wheel
//! is over that it is in.

use core::cell::RefCell;
use std::collections::BTreeSet;

use kernel::{
    model,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Lock, //
    }, //
};

type Function = unsafe extern "C" fn(*mut timer_list);

/// The data that the lock of the timers protects.
struct Base {
    function: Option<Function>,
    running: bool,
}

/// A timer.
pub struct timer_list {
    base: Lock<Base, true>,
    pending: Atomic<bool>,
    expires: Atomic<u64>,
    /// Its place in the kernel's wheel.
    bucket: Atomic<u32>,
}

/// The kernel's wheel has levels of so many buckets, each eight times as long as one of the level before.
const BUCKETS: u32 = 64;

/// Returns the level for what is so many jiffies off.
fn level(distance: u64) -> u32 {
    (0..).find(|level| distance < 63 << (3 * level)).unwrap()
}

/// Returns how long a bucket is, in jiffies; those of the first level count as none, as they are exact.
fn length(bucket: u32) -> u64 {
    match bucket / BUCKETS {
        0 => 0,
        level => 1 << (3 * level),
    }
}

/// Returns after how many jiffies the function of a timer has been called at the latest that is armed for so many.
pub fn latest(distance: u64) -> u64 {
    distance + length(level(distance) * BUCKETS)
}

thread_local! {
    static PENDING: RefCell<BTreeSet<usize>> = const { RefCell::new(BTreeSet::new()) };
}

/// Returns how many timers are pending, be they freed or not.
pub fn count_pending() -> usize {
    PENDING.with_borrow(BTreeSet::len)
}

impl timer_list {
    /// To be called with the lock held.
    fn set_pending(&self, pending: bool) {
        self.pending.store(pending, Relaxed);
        let address = core::ptr::from_ref(self) as usize;
        PENDING.with_borrow_mut(|timers| match pending {
            true => timers.insert(address),
            false => timers.remove(&address),
        });
    }
}

pub unsafe fn timer_setup(timer: *mut timer_list, function: Option<Function>) {
    let new = timer_list {
        base: Lock::new(Base {
            function,
            running: false,
        }),
        pending: Atomic::new(false),
        expires: Atomic::new(0),
        bucket: Atomic::new(0),
    };
    // SAFETY: There is nothing yet.
    unsafe { timer.write(new) };
}

pub unsafe fn timer_reduce(timer: *mut timer_list, expires: usize) -> i32 {
    // SAFETY: By the caller.
    let timer = unsafe { &*timer };
    let expires = expires as u64;
    let looked = timer.pending.load(Relaxed);
    let is_early = || timer.expires.load(Relaxed) <= expires;
    if looked && is_early() {
        return 1;
    }
    let base = timer.base.lock();
    if base.function.is_none() {
        return 0;
    }
    let was_pending = timer.pending.load(Relaxed);
    if looked && was_pending && is_early() {
        return 1;
    }
    timer.set_pending(true);
    timer.expires.store(expires, Relaxed);
    let distance = expires.saturating_sub(model::jiffies());
    timer.bucket.store(level(distance) * BUCKETS, Relaxed);
    was_pending.into()
}

pub unsafe fn timer_pending(timer: *const timer_list) -> bool {
    // SAFETY: By the caller.
    unsafe { &*timer }.pending.load(Relaxed)
}

pub unsafe fn wg_timer_expires(timer: *const timer_list) -> usize {
    // SAFETY: By the caller.
    unsafe { &*timer }.expires.load(Relaxed) as usize
}

pub unsafe fn wg_timer_bucket(timer: *const timer_list) -> u32 {
    // SAFETY: By the caller.
    unsafe { &*timer }.bucket.load(Relaxed)
}

/// The models' threads are not preempted by others of their CPU.
pub unsafe fn preempt_disable() {}

pub unsafe fn preempt_enable() {}

pub unsafe fn timer_delete(timer: *mut timer_list) -> i32 {
    // SAFETY: By the caller.
    let timer = unsafe { &*timer };
    let _base = timer.base.lock();
    let was_pending = timer.pending.load(Relaxed);
    timer.set_pending(false);
    was_pending.into()
}

fn delete(timer: &timer_list, for_good: bool) {
    loop {
        let mut base = timer.base.lock();
        if for_good {
            base.function = None;
        }
        if !base.running {
            timer.set_pending(false);
            return;
        }
        drop(base);
        model::yield_now();
    }
}

pub unsafe fn timer_delete_sync(timer: *mut timer_list) {
    // SAFETY: By the caller.
    delete(unsafe { &*timer }, false);
}

pub unsafe fn timer_shutdown_sync(timer: *mut timer_list) {
    // SAFETY: By the caller.
    delete(unsafe { &*timer }, true);
}

/// Calls the function of a timer if it is pending and due. Returns whether it was.
///
/// # Safety
///
/// The timer must be there when this begins.
pub unsafe fn run_timer(timer: *mut timer_list) -> bool {
    // SAFETY: By the caller, and whoever frees it waits for its function.
    let this = unsafe { &*timer };
    let mut base = this.base.lock();
    let expires = this.expires.load(Relaxed);
    let fires = match length(this.bucket.load(Relaxed)) {
        0 => expires,
        length => (expires + length) / length * length,
    };
    let due = this.pending.load(Relaxed) && fires <= model::jiffies();
    let Some(function) = base.function.filter(|_| due) else {
        return false;
    };
    this.set_pending(false);
    base.running = true;
    drop(base);
    // SAFETY: It was set up with this function.
    unsafe { function(timer) };
    this.base.lock().running = false;
    true
}
