// SPDX-License-Identifier: GPL-2.0

//! Timers that are armed while they expire, and shut down while they are armed.

use super::check_both;
use core::{
    cell::Cell,
    ptr::NonNull, //
};
use kernel::{
    model::{
        jiffies,
        set_jiffies, //
    },
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    }, //
};
use wg_bindings::{
    count_pending,
    latest,
    run_timer,
    timer_list,
    wg_timer_expires, //
};
use wg_kernel::{
    sync::rcu::{
        self,
        Borrow,
        Inner,
        Object,
        RcuArc,
        Release,
        Slot, //
    },
    timer::{
        Expire,
        Timers, //
    }, //
};

/// An object with two timers.
#[pin_data]
struct Clock {
    /// How often each has expired.
    expired: [Atomic<u32>; 2],
    /// What the first one's handler is to do, and has done.
    work: Atomic<u32>,
    done: Atomic<u32>,
    /// Whether the handler arms its timer again.
    again: Cell<bool>,
    /// Last, so that all else is dropped before.
    #[pin]
    timers: Timers<Clock, 2>,
}

// SAFETY: A model runs in one thread of the system, and the cell is set before it has others.
unsafe impl Sync for Clock {}

// SAFETY: Only the timers get the pointer. This is what `rcu_object!` makes, which older compilers refuse
// without a feature that the kernel enables.
unsafe impl Object for Clock {
    unsafe fn bind(&self, this: NonNull<Inner<Self>>) {
        // SAFETY: By the safety requirements of this function.
        unsafe { self.timers.bind(this) };
    }

    fn quiesce(&self) {
        self.timers.shutdown();
    }
}

impl Release for Clock {}

impl Expire<2> for Clock {
    fn expired(this: Borrow<'_, Self>, timer: usize) {
        this.expired[timer].fetch_add(1, Relaxed);
        if timer == 0 {
            this.done.store(this.work.load(Relaxed), Relaxed);
        }
        if this.again.get() {
            this.timers.arm(timer, 1);
        }
        // As handlers do that give work to others.
        drop(this.get());
    }
}

impl Clock {
    fn new() -> RcuArc<Self> {
        set_jiffies(1000);
        RcuArc::pin_init(
            try_pin_init!(Self {
                timers <- Timers::new(),
                expired: [Atomic::new(0), Atomic::new(0)],
                work: Atomic::new(0),
                done: Atomic::new(0),
                again: Cell::new(false),
            }? Error),
            GFP_KERNEL,
        )
        .expect("memory")
    }

    /// Returns the kernel's timer, which is the first field of these.
    fn entry(&self) -> *mut timer_list {
        core::ptr::from_ref(&self.timers).cast_mut().cast()
    }

    /// Has the time pass, as the last thread.
    fn pass(&self, delay: u64) {
        set_jiffies(jiffies() + delay);
        // SAFETY: The caller has a reference.
        while unsafe { run_timer(self.entry()) } {}
    }

    fn count(&self) -> [u32; 2] {
        self.expired.each_ref().map(|count| count.load(Relaxed))
    }
}

/// Both timers are armed at once while neither is pending: the first one expires in its time.
#[test]
fn two_timers_are_armed() {
    check_both(2, |pair| {
        let clock = Clock::new();
        let (first, second) = (clock.clone(), clock.clone());
        pair.run(
            move || first.timers.arm(0, 10),
            move || second.timers.arm(1, 500),
        );
        clock.pass(10);
        assert_eq!(
            clock.count(),
            [1, 0],
            "a timer that is pending has not expired"
        );
        clock.pass(latest(490));
        assert_eq!(clock.count(), [1, 1]);
    });
}

/// A timer is armed when another one that was far off is about to expire, or before that: it expires in its time,
/// and so does one that relies on the other.
#[test]
fn a_timer_is_armed_when_a_distant_one_is_due() {
    // The last one is for what is early enough, but called too late.
    for (distant, before, near) in [(50000, 10, 20), (50000, 1000, 20), (4000, 490, 500)] {
        check_both(2, move |pair| {
            let clock = Clock::new();
            clock.timers.arm(1, distant);
            clock.pass(distant as u64 - before);
            let (first, second) = (clock.clone(), clock.clone());
            pair.run(
                move || first.timers.arm(0, near),
                move || second.timers.arm(1, 10000),
            );
            let near = latest(near as u64);
            clock.pass(near);
            assert_eq!(
                clock.count(),
                [1, 0],
                "a timer that is pending has not expired"
            );
            clock.pass(latest(10000) - near);
            assert_eq!(clock.count(), [1, 1]);
        });
    }
}

/// A timer is armed while something keeps the CPU of the entry, which is due, from its function: the entry leaves it.
#[test]
fn a_timer_is_armed_while_the_function_is_not_called() {
    check_both(2, |pair| {
        let clock = Clock::new();
        clock.timers.arm(1, 5);
        set_jiffies(1100);
        let (first, second) = (clock.clone(), clock.clone());
        pair.run(move || first.timers.arm(0, 10), move || drop(second));
        // SAFETY: There is a reference.
        let expires = unsafe { wg_timer_expires(clock.entry()) };
        assert!(expires >= 1100, "a timer waits for another CPU");
        clock.pass(10);
        assert_eq!(clock.count(), [1, 1]);
    });
}

/// A timer is armed while the other one expires: it expires in its time.
#[test]
fn a_timer_is_armed_while_another_expires() {
    check_both(2, |pair| {
        let clock = Clock::new();
        clock.timers.arm(1, 5);
        set_jiffies(1005);
        let (armer, expirer) = (clock.clone(), clock.clone());
        pair.run(
            move || armer.timers.arm(0, 10),
            // SAFETY: There is a reference.
            move || unsafe { run_timer(expirer.entry()) },
        );
        assert_eq!(clock.count(), [0, 1]);
        clock.pass(10);
        assert_eq!(
            clock.count(),
            [1, 1],
            "a timer that is pending has not expired"
        );
    });
}

/// One timer is armed while the other one, which is late, is armed again by the function of both.
#[test]
fn a_timer_is_armed_while_the_function_arms_a_later_one() {
    check_both(2, |pair| {
        let clock = Clock::new();
        clock.timers.arm(1, 500);
        // An earlier one was disarmed, so the function is called for nothing.
        clock.timers.arm(0, 5);
        clock.timers.cancel(0);
        set_jiffies(1005);
        let (armer, expirer) = (clock.clone(), clock.clone());
        pair.run(
            move || armer.timers.arm(0, 10),
            // SAFETY: There is a reference.
            move || unsafe { run_timer(expirer.entry()) },
        );
        clock.pass(10);
        assert_eq!(
            clock.count(),
            [1, 0],
            "a timer that is pending has not expired"
        );
        clock.pass(600);
        assert_eq!(clock.count(), [1, 1]);
    });
}

/// One timer is armed while an earlier one is armed again by the function of both, for which alone that was called.
#[test]
fn a_timer_is_armed_while_the_function_arms_an_earlier_one() {
    check_both(2, |pair| {
        let clock = Clock::new();
        clock.timers.arm(1, 10);
        clock.timers.arm(0, 5);
        clock.timers.cancel(0);
        set_jiffies(1005);
        let (armer, expirer) = (clock.clone(), clock.clone());
        pair.run(
            move || armer.timers.arm(0, 500),
            // SAFETY: There is a reference.
            move || unsafe { run_timer(expirer.entry()) },
        );
        clock.pass(5);
        assert_eq!(
            clock.count(),
            [0, 1],
            "a timer that is pending has not expired"
        );
        clock.pass(latest(495));
        assert_eq!(clock.count(), [1, 1]);
    });
}

/// A timer is armed while the function is called for one that was disarmed, and there is no other.
#[test]
fn a_timer_is_armed_while_the_function_finds_none() {
    check_both(2, |pair| {
        let clock = Clock::new();
        clock.timers.arm(1, 5);
        clock.timers.cancel(1);
        set_jiffies(1005);
        let (armer, expirer) = (clock.clone(), clock.clone());
        pair.run(
            move || armer.timers.arm(0, 10),
            // SAFETY: There is a reference.
            move || unsafe { run_timer(expirer.entry()) },
        );
        clock.pass(10);
        assert_eq!(
            clock.count(),
            [1, 0],
            "a timer that is pending has not expired"
        );
    });
}

/// A timer is armed anew while it expires: be it before or after, it expires in its new time.
#[test]
fn a_timer_is_armed_anew_while_it_expires() {
    check_both(2, |pair| {
        let clock = Clock::new();
        clock.timers.arm(0, 5);
        set_jiffies(1005);
        let (armer, expirer) = (clock.clone(), clock.clone());
        pair.run(
            move || armer.timers.arm(0, 10),
            // SAFETY: There is a reference.
            move || unsafe { run_timer(expirer.entry()) },
        );
        let before = clock.count()[0];
        clock.pass(10);
        assert_eq!(clock.count()[0], before + 1, "a new deadline was lost");
    });
}

/// Work is left to a timer that is pending, while it expires: its handler sees the work, or it is armed again.
#[test]
fn a_handler_sees_its_work() {
    check_both(2, |pair| {
        let clock = Clock::new();
        clock.timers.arm(0, 5);
        set_jiffies(1005);
        let (giver, expirer) = (clock.clone(), clock.clone());
        let give = move || {
            giver.work.fetch_add(1, Full);
            if !giver.timers.is_pending(0) {
                giver.timers.arm(0, 5);
            }
        };
        // SAFETY: There is a reference.
        pair.run(give, move || unsafe { run_timer(expirer.entry()) });
        clock.pass(10);
        assert_eq!(clock.done.load(Relaxed), 1, "work was left undone");
    });
}

/// The last reference goes while a timer expires, whose handler arms it again, and while a reader arms one.
#[test]
fn no_timer_expires_after_its_object() {
    check_both(1, |pair| {
        let clock = Clock::new();
        clock.again.set(true);
        clock.timers.arm(0, 5);
        set_jiffies(1005);
        let slot = Arc::new(Slot::new(Some(clock)));
        let user = {
            let slot = slot.clone();
            move || {
                let guard = rcu::read_lock();
                if let Some(clock) = slot.load(&guard) {
                    // SAFETY: It is there, as the guard is.
                    unsafe { run_timer(clock.entry()) };
                    clock.timers.arm(1, 0);
                }
            }
        };
        pair.run(user, move || drop(slot.swap(None)));
        assert_eq!(count_pending(), 0, "a timer of a freed object is pending");
    });
}
