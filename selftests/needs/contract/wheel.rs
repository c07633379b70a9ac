// SPDX-License-Identifier: GPL-2.0

//! The kernel's wheel of timers, which is coarse far ahead: what `kernel/timer.rs` takes it to be.
//!
//! [`Timers`] of four objects are armed far ahead; when their time comes near, another of each is armed, for a little
//! later. Were these called when the first ones are, some would be late.

use crate::check;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};
use wg_kernel::{
    rcu_object,
    sync::rcu::{
        self,
        Borrow,
        RcuArc,
        Release,
        Slot, //
    },
    time,
    timer::{
        Expire,
        Timers, //
    }, //
};

/// How long the clock waits, in steps that are short enough to be exact, in jiffies.
const STEPS: usize = 8;
const STEP: usize = 60;

/// How far ahead the first timers are, whose buckets of the wheel are 64 jiffies long: one a quarter of that after
/// the other, in order.
const AHEAD: [usize; 4] = [508, 524, 540, 556];

/// How much later the second ones expire, and how late that may be, in jiffies.
const LATER: usize = 20;
const LATE: usize = 12;

const JIFFY_NS: i64 = 1_000_000_000 / time::HZ as i64;

/// How often it is tried, as the machine may be busy.
const TRIES: u32 = 4;

/// An object with a timer far ahead, and one that is near.
#[pin_data]
struct Wheel {
    #[pin]
    timers: Timers<Wheel, 2>,
    /// By when the second one has to have expired, as [`time::monotonic_ns`]; then 0, or 1 if it was late.
    until: Atomic<i64>,
}

rcu_object!(Wheel, timers: timers);
impl Release for Wheel {}

impl Expire<2> for Wheel {
    fn expired(this: Borrow<'_, Self>, timer: usize) {
        if timer == 1 {
            let late = time::monotonic_ns() > this.until.load(Relaxed);
            this.until.store(late.into(), Relaxed);
        }
    }
}

/// What arms them.
#[pin_data]
struct Clock {
    #[pin]
    timers: Timers<Clock, 1>,
    steps: Atomic<usize>,
    /// When the first timers were armed, as [`time::monotonic_ns`].
    begun: Atomic<i64>,
    tries: Atomic<u32>,
}

rcu_object!(Clock, timers: timers);
impl Release for Clock {}

static WHEELS: [Slot<Wheel>; AHEAD.len()] = [const { Slot::empty() }; AHEAD.len()];
static CLOCK: Slot<Clock> = Slot::empty();

/// Calls a function for each object, and how far ahead its first timer is.
fn for_each(mut function: impl FnMut(&Wheel, usize)) {
    let guard = rcu::read_lock();
    for (wheel, ahead) in WHEELS.iter().zip(AHEAD) {
        if let Some(wheel) = wheel.load(&guard) {
            function(&wheel, ahead);
        }
    }
}

impl Clock {
    /// Arms the first timers.
    fn begin(&self) {
        self.steps.store(0, Relaxed);
        self.begun.store(time::monotonic_ns(), Relaxed);
        for_each(|wheel, ahead| {
            wheel.timers.cancel(0);
            wheel.timers.arm(0, ahead);
        });
        self.timers.arm(0, STEP);
    }
}

impl Expire<1> for Clock {
    fn expired(this: Borrow<'_, Self>, _timer: usize) {
        let steps = this.steps.load(Relaxed) + 1;
        this.steps.store(steps, Relaxed);
        if steps < STEPS {
            this.timers.arm(0, STEP);
        } else if steps == STEPS {
            let now = time::monotonic_ns();
            let passed = ((now - this.begun.load(Relaxed)) / JIFFY_NS) as usize;
            if passed >= AHEAD[0] {
                // Too late to show anything, which does not count.
                this.begin();
                return;
            }
            for_each(|wheel, ahead| {
                let delay = ahead - passed + LATER;
                let ns = (delay + LATE) as i64 * JIFFY_NS;
                wheel.until.store(now + ns, Relaxed);
                wheel.timers.arm(1, delay);
            });
            // All have expired then, whatever they are taken for.
            this.timers.arm(0, 3 * 64);
        } else {
            let mut late = 0;
            for_each(|wheel, _| late += wheel.until.load(Relaxed));
            let tries = this.tries.load(Relaxed) + 1;
            this.tries.store(tries, Relaxed);
            if late == 0 || tries == TRIES {
                check("timers are in time beside distant ones", late == 0);
                end();
            } else {
                this.begin();
            }
        }
    }
}

/// Has it begin; it takes some seconds.
pub(crate) fn begin() -> Result {
    for wheel in &WHEELS {
        let new = try_pin_init!(Wheel { timers <- Timers::new(), until: Atomic::new(1) }? Error);
        drop(wheel.swap(Some(RcuArc::pin_init(new, GFP_KERNEL)?)));
    }
    let new = try_pin_init!(Clock {
        timers <- Timers::new(),
        steps: Atomic::new(0),
        begun: Atomic::new(0),
        tries: Atomic::new(0),
    }? Error);
    let clock = RcuArc::pin_init(new, GFP_KERNEL)?;
    clock.begin();
    drop(CLOCK.swap(Some(clock)));
    Ok(())
}

/// Drops all that keeps the module.
fn end() {
    drop(CLOCK.swap(None));
    for wheel in &WHEELS {
        drop(wheel.swap(None));
    }
}
