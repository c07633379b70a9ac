// SPDX-License-Identifier: GPL-2.0

//! The order in which jobs are delivered.

use super::{
    Batch,
    Job,
    RESCUE, //
};
use crate::device::Device;
use kernel::{
    list::{
        List,
        ListArc, //
    },
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc, //
    }, //
};
use wg_kernel::{
    net::skbuff::SkBuffList,
    new_spinlock_bh,
    sync::SpinLockBh, //
};

/// How many jobs, and of how many sessions, are passed over for one of another session that is done.
const MAX_JOBS_PASSED: usize = 256;
const MAX_SESSIONS_PASSED: usize = 4;

/// How many jobs that are not done are looked at for one that waits for a CPU that does not get to it.
const MAX_JOBS_LOOKED_AT: usize = 16;

/// Jobs in the order in which they are to be delivered.
#[pin_data]
pub(crate) struct Ordered {
    #[pin]
    jobs: SpinLockBh<List<Job>>,
    count: Atomic<u32>,
}

impl Ordered {
    /// Creates an initialiser for an empty list.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            jobs <- new_spinlock_bh!(List::new(), "Ordered::jobs"),
            count: Atomic::new(0),
        })
    }

    /// Returns whether no job is under way.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Acquire) == 0
    }

    /// Adds a job.
    pub(super) fn push(&self, job: ListArc<Job>) {
        let mut jobs = self.jobs.lock();
        // Not under the lock when it goes down, hence atomic.
        // Fully ordered, as whoever ends a session is: either he sees the job, or it sees that the session
        // is over.
        self.count.fetch_add(1, Full);
        jobs.push_back(job);
    }

    /// Has the first job that waits for a CPU that does not get to it worked on by any that is free.
    /// Others wait for it: those behind it, or those of its session.
    pub(crate) fn rescue_stuck(&self, device: &Device, now_ns: u64) {
        let jobs = self.jobs.lock();
        let mut looked_at: usize = 0;
        let mut stuck: Option<Arc<Job>> = None;
        for job in jobs.iter().filter(|job| !job.done.load(Relaxed)) {
            if job.is_stuck(device, now_ns) {
                stuck = Some(job.into());
                break;
            }
            looked_at = looked_at.wrapping_add(1);
            if looked_at == MAX_JOBS_LOOKED_AT {
                break;
            }
        }
        drop(jobs);
        if let Some(job) = stuck {
            // If it is enqueued already, the reference is just dropped.
            let _ = device.queues.rescue.enqueue::<_, RESCUE>(job);
        }
    }

    /// Takes the first job if it is done, and passes over those that were cancelled.
    ///
    /// It goes on to count until [`Ordered::delivered`] is called for it: packets that find the
    /// list empty may overtake it otherwise.
    #[inline]
    pub(crate) fn pop_done(&self) -> Option<Batch> {
        self.pop_batch(|jobs| match is_front_done(jobs) {
            true => jobs.pop_front(),
            false => None,
        })
    }

    /// Does the same with the first job that is done and that no other one of its session is before:
    /// sessions do not wait for each other.
    pub(crate) fn pop_done_of_session(&self) -> Option<Batch> {
        self.pop_batch(take_done_of_session)
    }

    /// Takes the batch of the first job that `pop` finds and that was not cancelled.
    #[inline]
    fn pop_batch(&self, pop: impl Fn(&mut List<Job>) -> Option<ListArc<Job>>) -> Option<Batch> {
        while !self.is_empty() {
            let job = pop(&mut self.jobs.lock())?.into_arc();
            job.share.give_back();
            let batch = job.take_batch();
            if batch.is_some() {
                return batch;
            }
            self.delivered();
        }
        None
    }

    /// Cancels those jobs that nobody has begun and whose session is over, and returns whether there were
    /// any.
    pub(super) fn cancel_if_over(&self) -> bool {
        if self.is_empty() {
            return false;
        }
        let jobs = self.jobs.lock();
        let mut any = false;
        let mut dropped = SkBuffList::new();
        for job in jobs.iter() {
            let job: Arc<Job> = job.into();
            any |= job.cancel_if_over(&mut dropped);
        }
        drop(jobs);
        drop(dropped);
        any
    }

    /// Returns whether the first job is done.
    pub(crate) fn is_front_done(&self) -> bool {
        is_front_done(&self.jobs.lock())
    }

    /// Notes that a job that was taken is delivered.
    pub(crate) fn delivered(&self) {
        // Pairs with `Acquire` in `is_empty`.
        self.count.fetch_sub(1, Release);
    }
}

/// Takes the first job that is done and that no other one of its session is before. If there are many,
/// it looks at some.
fn take_done_of_session(jobs: &mut List<Job>) -> Option<ListArc<Job>> {
    let mut waiting = [None; MAX_SESSIONS_PASSED];
    let mut cursor = jobs.cursor_front();
    for _ in 0..MAX_JOBS_PASSED {
        let next = cursor.peek_next()?;
        let session = Some(next.session);
        if !waiting.contains(&session) {
            // Pairs with `Release` in `Job::finish`.
            if next.done.load(Acquire) {
                return Some(next.remove());
            }
            *waiting.iter_mut().find(|place| place.is_none())? = session;
        }
        cursor.move_next();
    }
    None
}

/// Returns whether the first job is done.
fn is_front_done(jobs: &List<Job>) -> bool {
    // Pairs with `Release` in `Job::finish`.
    jobs.iter().next().is_some_and(|job| job.done.load(Acquire))
}
