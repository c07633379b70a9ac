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
    sync::atomic::{
        Acquire,
        Release, //
    }, //
};
use wg_kernel::{
    compat::u32_as_usize,
    prelude::*, //
};
use wg_proto::wire;

/// How many jobs, and of how many sessions, are passed over to reach a finished one of another session.
const MAX_JOBS_PASSED: usize = 256;
const MAX_SESSIONS_PASSED: usize = 4;

/// How many jobs, and how many unfinished ones, are checked to find one that waits for a stuck CPU.
const MAX_JOBS_LOOKED_AT: usize = 64;
const MAX_UNFINISHED_LOOKED_AT: usize = 16;

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

    /// Returns how many jobs are under way.
    pub(crate) fn count(&self) -> usize {
        u32_as_usize(self.count.load(Relaxed))
    }

    /// Adds a job.
    pub(super) fn push(&self, job: ListArc<Job>) {
        let mut jobs = self.jobs.lock();
        // Atomic, as it is decremented without the lock. Fully ordered, like the end of a session: either the
        // CPU that ends the session sees the job, or the one that adds the job sees that the session is over.
        self.count.fetch_add(1, Full);
        jobs.push_back(job);
    }

    /// Has the first job that waits for a stuck CPU done by any CPU that is free. Other jobs wait for it:
    /// those behind it, or those of its session.
    ///
    /// If it is behind many others, it is not found before these are delivered.
    pub(crate) fn rescue_stuck(&self, device: &Device, now_ns: u64) {
        let jobs = self.jobs.lock();
        // `Iterator::take` would count with a check for overflow.
        let first = jobs.iter().zip(0..MAX_JOBS_LOOKED_AT);
        let unfinished = first.filter(|(job, _)| !job.done.load(Relaxed));
        let stuck: Option<Arc<Job>> = unfinished
            .zip(0..MAX_UNFINISHED_LOOKED_AT)
            .find(|((job, _), _)| job.is_stuck(device, now_ns))
            .map(|((job, _), _)| job.into());
        drop(jobs);
        if let Some(job) = stuck {
            // If it is enqueued already, the reference is just dropped.
            let _ = device.queues.rescue.enqueue::<_, RESCUE>(job);
        }
    }

    /// Takes the first job if it is done, and passes over those that were cancelled.
    ///
    /// The job counts until [`Ordered::delivered`] is called for it: otherwise packets that find the list
    /// empty could overtake it.
    #[inline]
    pub(crate) fn pop_done(&self) -> Option<Batch> {
        self.pop_batch(|jobs| match is_front_done(jobs) {
            true => jobs.pop_front(),
            false => None,
        })
    }

    /// Takes the first job that is done and not behind another one of its session, and passes over those that
    /// were cancelled: sessions do not wait for each other.
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

    /// Cancels those jobs of a session that is over that were not begun yet, and returns whether there were any.
    pub(super) fn cancel_if_over(&self, session: wire::Index) -> bool {
        if self.is_empty() {
            return false;
        }
        let jobs = self.jobs.lock();
        let mut any = false;
        let mut dropped = SkBuffList::new();
        for job in jobs.iter().filter(|job| job.session == session) {
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

    /// Notes that a job that was taken has been delivered.
    pub(crate) fn delivered(&self) {
        // Pairs with `Acquire` in `is_empty`.
        self.count.fetch_sub(1, Release);
    }
}

/// Takes the first job that is done and not behind another one of its session. If there are many, it checks
/// only some.
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
