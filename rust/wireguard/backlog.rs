// SPDX-License-Identifier: GPL-2.0

//! How much is under way: the jobs of a device, of which there is a limit, and those that wait on one
//! CPU.

use crate::{
    control::count_messages,
    device::Device,
    queue::Task, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    workqueue::{
        impl_has_work,
        new_work,
        Work,
        WorkItem, //
    }, //
};
use wg_kernel::{
    cpu,
    net::skbuff::SkBuffList,
    time,
    workqueue::{
        self,
        OwnedQueue, //
    }, //
};
use wg_proto::limits;

/// How many messages a device may have in jobs that decrypt.
///
/// If all are of one session, and the first job is held up, its counters must not be too old once the
/// others are through. The last job may exceed this by what a poll and a datagram hold.
const MAX_MESSAGES_IN: usize = 4 * limits::MAX_QUEUED_PACKETS;
const _: () = assert!(((MAX_MESSAGES_IN + 1024) as u64) < limits::COUNTER_WINDOW_SIZE);

/// After which time a CPU that has not begun another job is taken to be busy with something else, in
/// nanoseconds: it is longer than that of any job, and than a tick.
const STUCK_NS: u64 = 20_000_000;

/// The jobs that wait on one CPU to be begun.
///
/// It is a work item, too, which waits on the CPU in place of jobs that others have done meanwhile, until
/// the CPU gets to it, and is not stuck any more.
#[pin_data]
pub(crate) struct Backlog {
    #[pin]
    work: Work<Backlog>,
    waiting: Atomic<u32>,
    /// When one was begun last or, if none waited then, when one came, in nanoseconds since boot.
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
    /// Creates an empty one.
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

    /// Notes that the CPU has come to a job, be it to find it done by another one.
    pub(crate) fn remove(&self) {
        self.since_ns.store(time::boottime_coarse_ns(), Relaxed);
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// Notes that a job was taken back from the CPU, in place of which this waits in its `queue` now.
    pub(crate) fn withdraw(self: &Arc<Self>, queue: &OwnedQueue, cpu: cpu::Online) {
        if queue.enqueue_on::<_, 0>(cpu, self.clone()).is_err() {
            // It waits there already, and counts as one.
            self.forget();
        }
    }

    /// Notes that a job that was added was not given to the CPU after all.
    pub(crate) fn forget(&self) {
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// Stops waiting for the CPU.
    pub(crate) fn stop(self: &Arc<Self>) {
        if workqueue::cancel::<_, 0>(self) {
            self.remove();
        }
    }

    /// Returns whether the CPU does not get to its jobs, as something more urgent has it.
    pub(crate) fn is_stuck(&self, now_ns: u64) -> bool {
        self.waiting.load(Relaxed) > 0
            && now_ns.saturating_sub(self.since_ns.load(Relaxed)) > STUCK_NS
    }
}

/// What a job takes of that which a device may have under way at a time.
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

    /// Returns the share of a job with these packets, unless all is taken.
    pub(crate) fn take(device: &Arc<Device>, task: &Task, packets: &SkBuffList) -> Option<Self> {
        let (direction, size, limit) = match task {
            // Packets that are sent at once are one large one, or were, but for those that waited for a
            // session.
            Task::Encrypt { .. } => (Direction::Out, 1, limits::MAX_QUEUED_PACKETS),
            Task::Decrypt { .. } => (Direction::In, count_messages(packets), MAX_MESSAGES_IN),
        };
        let share = Self {
            device: device.clone(),
            direction,
            size: Atomic::new(u32::try_from(size).ok()?),
        };
        // What was added is taken back when the share is given back.
        let taken = share.total().fetch_add(share.size.load(Relaxed), Relaxed) as usize;
        (taken < limit).then_some(share)
    }

    /// Returns whether there is one left for messages that came in.
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

    /// Gives the share back, as the job is about to be delivered: a CPU that did not get to it in time
    /// may refer to it for long.
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
