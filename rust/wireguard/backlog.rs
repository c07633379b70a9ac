// SPDX-License-Identifier: GPL-2.0

//! The jobs that wait on one CPU, and whether that is stuck.

use kernel::sync::atomic::{
    Acquire,
    Release, //
};
use wg_kernel::{
    prelude::*,
    workqueue::{
        self,
        OwnedQueue, //
    }, //
};

/// After how many nanoseconds a CPU that has not begun another job counts as stuck, that is, busy with
/// something else: longer than any job takes, and than a tick.
const STUCK_NS: u64 = 20_000_000;

/// The jobs that wait on one CPU to be begun.
///
/// It is also a work item, which waits on the CPU in place of jobs that other CPUs have done meanwhile; when
/// the CPU gets to it, it is no longer stuck.
#[pin_data]
pub(crate) struct Backlog {
    #[pin]
    work: Work<Backlog>,
    waiting: Atomic<u32>,
    /// When a job was last begun or, if none waited then, when one was added, in nanoseconds since boot.
    since_ns: Atomic<u64>,
}

impl_has_work! {
    impl HasWork<Backlog> for Backlog { self.work }
}

impl WorkItem for Backlog {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.remove();
    }
}

impl Backlog {
    /// Creates an empty backlog.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                work <- new_work!("Backlog::work"),
                waiting: Atomic::new(0),
                since_ns: Atomic::new(0),
            }),
            GFP_KERNEL,
        )
    }

    /// Notes that a job was given to the CPU.
    pub(crate) fn add(&self, now_ns: u64) {
        // First, or a CPU that has had nothing to do for long would seem to be stuck.
        if self.waiting.load(Relaxed) == 0 {
            self.since_ns.store(now_ns, Relaxed);
        }
        self.waiting.fetch_add(1, Release);
    }

    /// Notes that the CPU has reached a job, even if another CPU has already done it.
    pub(crate) fn remove(&self) {
        self.since_ns.store(time::boottime_coarse_ns(), Relaxed);
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// Notes that a job was taken back from the CPU; this work item takes its place in `queue`.
    pub(crate) fn withdraw(self: &Arc<Self>, queue: &OwnedQueue, cpu: cpu::Active) {
        if queue.enqueue_on::<_, 0>(cpu, self.clone()).is_err() {
            // It is queued there already, and counts once.
            self.forget();
        }
    }

    /// Notes that a job was added but not given to the CPU after all.
    pub(crate) fn forget(&self) {
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// Stops waiting for the CPU.
    pub(crate) fn stop(self: &Arc<Self>) {
        if workqueue::cancel::<_, 0>(self) {
            self.remove();
        }
    }

    /// Returns whether the CPU is stuck: something more urgent keeps it from its jobs.
    pub(crate) fn is_stuck(&self, now_ns: u64) -> bool {
        // Pairs with `Release` in `add`.
        self.waiting.load(Acquire) > 0
            && now_ns.saturating_sub(self.since_ns.load(Relaxed)) > STUCK_NS
    }
}
