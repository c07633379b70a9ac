// SPDX-License-Identifier: GPL-2.0

//! How much work is under way: the jobs of a device, which are limited, and those that wait on one CPU.

use crate::{
    control,
    device::Device,
    queue::Task, //
};
use wg_kernel::{
    prelude::*,
    workqueue::{
        self,
        OwnedQueue, //
    }, //
};
use wg_proto::limits;

/// How many messages a device may have in jobs that decrypt.
///
/// If all are of one session, and the first job is held up, its counters must still be in the window once the
/// others are delivered. The last job may exceed this by the messages of a poll and of a datagram.
const MAX_MESSAGES_IN: usize = 4 * limits::MAX_QUEUED_PACKETS;
const _: () = assert!(((MAX_MESSAGES_IN + 1024) as u64) < limits::COUNTER_WINDOW_SIZE);

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
        if self.waiting.fetch_add(1, Relaxed) == 0 {
            self.since_ns.store(now_ns, Relaxed);
        }
    }

    /// Notes that the CPU has reached a job, even if another CPU has already done it.
    pub(crate) fn remove(&self) {
        self.since_ns.store(time::boottime_coarse_ns(), Relaxed);
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// Notes that a job was taken back from the CPU; this work item takes its place in `queue`.
    pub(crate) fn withdraw(self: &Arc<Self>, queue: &OwnedQueue, cpu: cpu::Online) {
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
        self.waiting.load(Relaxed) > 0
            && now_ns.saturating_sub(self.since_ns.load(Relaxed)) > STUCK_NS
    }
}

/// A job's share of the work that a device may have under way at a time.
pub(crate) struct Share {
    device: Arc<Device>,
    direction: Direction,
    /// Zero once it was given back.
    size: Atomic<u32>,
}

/// Which way the packets of a job go.
#[derive(Clone, Copy)]
enum Direction {
    Out,
    In,
}

impl Share {
    /// Returns the device.
    #[inline]
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Returns the share of a job with these packets, unless the limit is reached.
    pub(crate) fn take(device: &Arc<Device>, task: &Task, packets: &SkBuffList) -> Option<Self> {
        let (direction, size, limit) = match task {
            // Packets that are sent at once are, or were, one GSO packet or a part of it, unless they waited for
            // a session.
            Task::Encrypt { .. } => (Direction::Out, 1, limits::MAX_QUEUED_PACKETS),
            Task::Decrypt { .. } => (
                Direction::In,
                control::count_messages(packets),
                MAX_MESSAGES_IN,
            ),
        };
        let share = Self {
            device: device.clone(),
            direction,
            size: Atomic::new(u32::try_from(size).ok()?),
        };
        // Subtracted again when the share is given back.
        let taken = share.total().fetch_add(share.size.load(Relaxed), Relaxed) as usize;
        (taken < limit).then_some(share)
    }

    /// Returns whether there is a share left for incoming messages.
    #[inline]
    pub(crate) fn is_left_in(device: &Device) -> bool {
        (device.load.messages_in.load(Relaxed) as usize) < MAX_MESSAGES_IN
    }

    /// Returns the sum of all shares of this kind.
    fn total(&self) -> &Atomic<u32> {
        match self.direction {
            Direction::Out => &self.device.load.jobs_out,
            Direction::In => &self.device.load.messages_in,
        }
    }

    /// Gives the share back, as the job is about to be delivered: a stuck CPU may hold a reference to the job
    /// for long.
    pub(crate) fn give_back(&self) {
        let size = self.size.xchg(0, Relaxed);
        self.total().fetch_sub(size, Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back();
    }
}
