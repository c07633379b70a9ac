// SPDX-License-Identifier: GPL-2.0

//! Work done in parallel and delivered in order.
//!
//! The unit of work is a [`Job`]: some packets that are encrypted or decrypted with one session. It
//! is a work item of the device's per-CPU workqueue and, at the same time, an element of an
//! [`Ordered`] list, from whose front finished jobs are taken. Packets that find their list empty
//! need no job: they are worked on where they are.

use crate::{
    backlog::{
        Backlog,
        Share, //
    },
    device::Device,
    keypair::Keypair,
    seal::Sealing, //
};
use kernel::{
    list::{
        impl_list_arc_safe,
        impl_list_item,
        List,
        ListArc,
        ListLinks, //
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
    new_spinlock_bh,
    sync::{
        bh,
        rcu::RcuArc,
        SpinLockBh, //
    },
    task::cond_resched,
    time,
    workqueue, //
};
use wg_proto::wire::Index;

/// How many jobs, and of how many sessions, are passed over for one of another session that is done.
const MAX_JOBS_PASSED: usize = 256;
const MAX_SESSIONS_PASSED: usize = 4;

/// How many jobs that are not done are looked at for one that waits for a CPU that does not get to it.
const MAX_JOBS_LOOKED_AT: usize = 16;

/// Work number of a job that waits for the CPU it was given to.
const OWN: u64 = 0;

/// Work number of a job that is no longer left to that CPU.
const RESCUE: u64 = 1;

/// What is to be done with the packets of a job.
pub(crate) enum Task {
    /// Encrypt them, and send them in the peer's order.
    Encrypt {
        /// How, and the nonces to do so with.
        sealing: Sealing,
        /// Number of the CPU that they were sent on.
        instance: usize,
    },
    /// Decrypt them, and deliver them in the order of a NAPI instance.
    Decrypt {
        /// Number of the instance.
        instance: usize,
    },
}

/// Packets that are encrypted or decrypted with one session.
pub(crate) struct Batch {
    /// The session.
    pub(crate) keypair: RcuArc<Keypair>,
    /// The packets.
    pub(crate) packets: SkBuffList,
}

/// Work on a batch.
///
/// Others may refer to a job for long when it is over, such as a CPU that it was given to and that does
/// not get to it. Hence it lets go of the batch, and with it of keys, as soon as that is delivered, or
/// will not be.
#[pin_data]
pub(crate) struct Job {
    #[pin]
    work: Work<Job, OWN>,
    #[pin]
    rescue: Work<Job, RESCUE>,
    #[pin]
    links: ListLinks,
    /// The CPU that it was given to.
    cpu: Option<cpu::Online>,
    begun: Atomic<bool>,
    share: Share,
    /// The index of the session.
    session: Index,
    /// What is to be done, until that is begun.
    #[pin]
    task: SpinLockBh<Option<Task>>,
    /// The batch: before work on it has begun and, if it was not cancelled, from its end on until it is
    /// delivered.
    #[pin]
    batch: SpinLockBh<Option<Batch>>,
    done: Atomic<bool>,
}

impl_has_work! {
    impl HasWork<Job, 0> for Job { self.work }
    impl HasWork<Job, 1> for Job { self.rescue }
}

impl_list_arc_safe! {
    impl ListArcSafe<0> for Job { untracked; }
}

impl_list_item! {
    impl ListItem<0> for Job { using ListLinks { self.links }; }
}

impl Job {
    /// Puts packets at the end of `order`, has them worked on by another CPU, and says so.
    ///
    /// Drops them if there is no memory, or if there is too much under way already.
    pub(crate) fn submit(
        device: &Arc<Device>,
        order: &Ordered,
        task: Task,
        keypair: RcuArc<Keypair>,
        packets: SkBuffList,
    ) -> bool {
        let Some(share) = Share::take(device, &task, &packets) else {
            return false;
        };
        let now_ns = time::boottime_coarse_ns();
        let cpu = device.next_cpu(now_ns);
        let session = keypair.clone();
        let job = ListArc::pin_init(
            try_pin_init!(Self {
                work <- new_work!("Job::work"),
                rescue <- new_work!("Job::rescue"),
                cpu,
                begun: Atomic::new(false),
                links <- ListLinks::new(),
                share,
                session: keypair.local_index(),
                task <- new_spinlock_bh!(Some(task), "Job::task"),
                batch <- new_spinlock_bh!(Some(Batch { keypair, packets }), "Job::batch"),
                done: Atomic::new(false),
            }? Error),
            GFP_ATOMIC,
        );
        let Ok(job) = job else {
            return false;
        };
        let work = job.clone_arc();
        order.push(job);
        let queues = device.queues();
        // This fails if somebody who has done or cancelled the job already is about to withdraw it.
        match cpu {
            Some(cpu) => {
                let backlog = device.backlog(cpu);
                if let Some(backlog) = backlog {
                    backlog.add(now_ns);
                }
                let enqueued = queues.crypt.enqueue_on::<_, OWN>(cpu, work.clone());
                if let (Err(_), Some(backlog)) = (enqueued, backlog) {
                    backlog.forget();
                }
            }
            None => {
                let _ = queues.rescue.enqueue::<_, RESCUE>(work.clone());
            }
        }
        // Whoever has ended the session may have looked for its jobs before this one was there, or before
        // it could be withdrawn.
        if session.is_over() {
            device.cancel_jobs(&session);
        }
        if work.done.load(Relaxed) {
            work.withdraw();
        }
        order.rescue_stuck(device, now_ns);
        true
    }

    /// Returns whether it waits for a CPU that does not get to it.
    fn is_stuck(&self, device: &Device, now_ns: u64) -> bool {
        let backlog = self.cpu.and_then(|cpu| device.backlog(cpu));
        !self.begun.load(Relaxed) && backlog.is_some_and(|backlog| backlog.is_stuck(now_ns))
    }

    /// Takes the batch.
    fn take_batch(&self) -> Option<Batch> {
        self.batch.lock().take()
    }

    /// Hands the batch on to whoever delivers the job.
    fn finish(&self, batch: Batch) {
        *self.batch.lock() = Some(batch);
        // Pairs with `Acquire` in `Ordered::pop_done`.
        self.done.store(true, Release);
    }

    /// Does the work, unless another CPU has begun to.
    fn work(&self) {
        if self.begun.xchg(true, Full) {
            return;
        }
        let task = self.task.lock().take();
        let (Some(Batch { keypair, packets }), Some(task)) = (self.take_batch(), task) else {
            return;
        };
        let device = self.share.device();
        let now_ns = time::boottime_coarse_ns();
        match task {
            Task::Encrypt { sealing, instance } => {
                let packets =
                    device.measure_encryption(instance, || keypair.seal(packets, sealing));
                let peer = keypair.peer().clone();
                self.finish(Batch { keypair, packets });
                peer.outbox.drain(cond_resched);
                peer.outbox.order().rescue_stuck(device, now_ns);
            }
            Task::Decrypt { instance } => {
                let mut packets = packets;
                let merge = device.merges_packets();
                let inbox = device.inboxes().get(instance);
                if let Some(inbox) = inbox {
                    inbox.meter().measure(|| keypair.open(&mut packets, merge));
                }
                self.finish(Batch { keypair, packets });
                device.link().schedule_napi(instance, &bh::disable());
                if let Some(inbox) = inbox {
                    inbox.order().rescue_stuck(device, now_ns);
                }
            }
        }
    }

    /// Cancels the job if its session is over, unless it was begun. Returns whether that is so.
    fn cancel_if_over(self: &Arc<Self>) -> bool {
        let mut slot = self.batch.lock();
        let is_over = slot.as_ref().is_some_and(|batch| batch.keypair.is_over());
        if !is_over || self.begun.xchg(true, Full) {
            return false;
        }
        let batch = slot.take();
        // Whoever finds that there is no batch finds the job done, too.
        self.done.store(true, Release);
        drop(slot);
        drop(batch);
        self.share.give_back();
        self.withdraw();
        true
    }

    /// Takes it from the queues in which it waits, as there is nothing to do any more.
    fn withdraw(self: &Arc<Self>) {
        let device = self.share.device();
        workqueue::cancel::<_, RESCUE>(self);
        if !workqueue::cancel::<_, OWN>(self) {
            return;
        }
        if let Some((cpu, backlog)) = self.cpu.and_then(|cpu| Some((cpu, device.backlog(cpu)?))) {
            backlog.withdraw(&device.queues().crypt, cpu);
        }
    }
}

impl WorkItem<OWN> for Job {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        let device = this.share.device();
        if let Some(backlog) = this.cpu.and_then(|cpu| device.backlog(cpu)) {
            backlog.remove();
        }
        this.work();
    }
}

impl WorkItem<RESCUE> for Job {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.work();
        // It is done, or whoever it was given to has begun it.
        this.withdraw();
    }
}

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
    fn push(&self, job: ListArc<Job>) {
        let mut jobs = self.jobs.lock();
        // Not under the lock when it goes down, hence atomic.
        // Fully ordered, as whoever ends a session is: either he sees the job, or it sees that the session
        // is over.
        self.count.fetch_add(1, Full);
        jobs.push_back(job);
    }

    /// Has the first job that waits for a CPU that does not get to it worked on by any that is free.
    /// Others wait for it: those behind it, or those of its session.
    fn rescue_stuck(&self, device: &Device, now_ns: u64) {
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
            let _ = device.queues().rescue.enqueue::<_, RESCUE>(job);
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
    fn cancel_if_over(&self) -> bool {
        if self.is_empty() {
            return false;
        }
        let jobs = self.jobs.lock();
        let mut any = false;
        for job in jobs.iter() {
            let job: Arc<Job> = job.into();
            any |= job.cancel_if_over();
        }
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

impl Device {
    /// Returns the jobs that wait on a CPU.
    pub(crate) fn backlog(&self, cpu: cpu::Online) -> Option<&Arc<Backlog>> {
        let inbox = self.inboxes().get(cpu.as_raw() as usize)?;
        Some(inbox.backlog())
    }

    /// Has nothing done any more with `keypair`, which is over, by jobs that nobody has begun. Other jobs
    /// let go of it when they are delivered.
    pub(crate) fn cancel_jobs(&self, keypair: &Keypair) {
        let outbox = &keypair.peer().outbox;
        if outbox.order().cancel_if_over() {
            outbox.drain(|| ());
        }
        let instance = self.instance_of(keypair.local_index());
        let inbox = self.inboxes().get(instance);
        if inbox.is_some_and(|inbox| inbox.order().cancel_if_over()) {
            // For those that wait behind the cancelled ones.
            self.link().schedule_napi(instance, &bh::disable());
        }
    }
}
