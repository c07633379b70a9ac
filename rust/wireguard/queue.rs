// SPDX-License-Identifier: GPL-2.0

//! Work done in parallel and delivered in order.
//!
//! The unit of work is a [`Job`]: some packets that are encrypted or decrypted with one session. It
//! is a work item of the device's per-CPU workqueue and, at the same time, an element of an
//! [`Ordered`] list, from whose front finished jobs are taken. Packets that find their list empty
//! need no job: they are worked on where they are.

use crate::{
    backlog::Share,
    device::Device,
    keypair::Keypair,
    meter::Meter,
    peer::Peer,
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
        rcu::{
            self,
            RcuArc, //
        },
        SpinLockBh, //
    },
    task::cond_resched,
    time, //
};
/// How many packets must be sent at once for other CPUs to be asked to help: those of a bulk
/// transfer, which come as one large packet, and not those of a conversation.
const PARALLEL_BATCH: usize = 8;

/// How many eighths of a CPU's time encryption must take for others to be asked to help: so many
/// that little is left for whatever makes the packets.
const MUCH_ENCRYPTION: u32 = 6;

/// How many eighths of a CPU's time decryption must take for others to be asked to help.
const MUCH_DECRYPTION: u32 = 2;

/// How many messages must wait to be decrypted on one CPU, besides those that it is about to
/// decrypt, for others to be asked to help.
const PARALLEL_BACKLOG: usize = 64;

/// Work number of a job that waits for the CPU it was given to.
const OWN: u64 = 0;

/// Work number of a job that is no longer left to that CPU.
const RESCUE: u64 = 1;

/// When other CPUs are used to encrypt and to decrypt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parallel {
    /// Never, save for tunnels in tunnels.
    Never,
    /// If there is so much to do at once that it is worth to wake another one.
    IfLoaded,
    /// Always; for tests.
    Always,
}

impl Parallel {
    /// Returns what the module's parameter says.
    pub(crate) fn from_parameter() -> Self {
        match crate::module_parameters::parallel.value() {
            0 => Self::Never,
            1 => Self::IfLoaded,
            _ => Self::Always,
        }
    }
}

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
#[pin_data]
pub(crate) struct Job {
    #[pin]
    work: Work<Job, OWN>,
    #[pin]
    rescue: Work<Job, RESCUE>,
    #[pin]
    links: ListLinks,
    /// Number of the CPU that it was given to.
    cpu: usize,
    begun: Atomic<bool>,
    share: Share,
    keypair: RcuArc<Keypair>,
    /// What is to be done, until that is begun.
    #[pin]
    task: SpinLockBh<Option<Task>>,
    #[pin]
    packets: SpinLockBh<SkBuffList>,
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
    /// Puts packets at the end of `order` and has them worked on by another CPU.
    ///
    /// Drops them if there is no memory, or if there is too much under way already.
    pub(crate) fn submit(
        device: &Arc<Device>,
        order: &Ordered,
        task: Task,
        keypair: RcuArc<Keypair>,
        packets: SkBuffList,
    ) {
        let Some(share) = Share::take(device, &task, &packets) else {
            return;
        };
        let now_ns = time::boottime_coarse_ns();
        let cpu = device.next_cpu(now_ns);
        let job = ListArc::pin_init(
            try_pin_init!(Self {
                work <- new_work!("Job::work"),
                rescue <- new_work!("Job::rescue"),
                cpu: cpu.map_or(usize::MAX, |cpu| cpu.as_raw() as usize),
                begun: Atomic::new(false),
                links <- ListLinks::new(),
                share,
                keypair,
                task <- new_spinlock_bh!(Some(task), "Job::task"),
                packets <- new_spinlock_bh!(packets, "Job::packets"),
                done: Atomic::new(false),
            }? Error),
            GFP_ATOMIC,
        );
        let Ok(job) = job else {
            return;
        };
        let work = job.clone_arc();
        order.push(job);
        let queues = device.queues();
        // A job is enqueued once on each queue, so this cannot fail.
        match cpu {
            Some(cpu) => {
                if let Some(inbox) = device.inboxes().get(work.cpu) {
                    inbox.backlog().add(now_ns);
                }
                let _ = queues.crypt.enqueue_on::<_, OWN>(cpu, work);
            }
            None => {
                let _ = queues.rescue.enqueue::<_, RESCUE>(work);
            }
        }
        order.rescue_front(device, now_ns);
    }

    /// Returns whether it waits for a CPU that does not get to it.
    fn is_stuck(&self, device: &Device, now_ns: u64) -> bool {
        let inbox = device.inboxes().get(self.cpu);
        !self.begun.load(Relaxed) && inbox.is_some_and(|inbox| inbox.backlog().is_stuck(now_ns))
    }

    /// Returns the session the packets belong to.
    pub(crate) fn keypair(&self) -> &RcuArc<Keypair> {
        &self.keypair
    }

    /// Returns the packets, or what is left of them.
    pub(crate) fn take_packets(&self) -> SkBuffList {
        core::mem::replace(&mut *self.packets.lock(), SkBuffList::new())
    }

    /// Hands the packets on to whoever delivers the job.
    fn finish(&self, packets: SkBuffList) {
        drop(core::mem::replace(&mut *self.packets.lock(), packets));
        // Pairs with `Acquire` in `Ordered::pop_done`.
        self.done.store(true, Release);
    }

    /// Does the work, unless another CPU has begun to.
    fn work(&self) {
        if self.begun.xchg(true, Full) {
            return;
        }
        let packets = self.take_packets();
        let keypair = &self.keypair;
        let device = self.share.device();
        let Some(task) = self.task.lock().take() else {
            return;
        };
        let now_ns = time::boottime_coarse_ns();
        match task {
            Task::Encrypt { sealing, instance } => {
                let sealed = device.measure_encryption(instance, || keypair.seal(packets, sealing));
                self.finish(sealed);
                let outbox = &keypair.peer().outbox;
                outbox.drain();
                outbox.order.rescue_front(device, now_ns);
            }
            Task::Decrypt { instance } => {
                let mut packets = packets;
                let merge = device.merges_packets();
                let inbox = device.inboxes().get(instance);
                if let Some(inbox) = inbox {
                    inbox.meter().measure(|| keypair.open(&mut packets, merge));
                }
                self.finish(packets);
                device.link().schedule_napi(instance, &bh::disable());
                if let Some(inbox) = inbox {
                    inbox.order().rescue_front(device, now_ns);
                }
            }
        }
    }
}

impl WorkItem<OWN> for Job {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        if let Some(inbox) = this.share.device().inboxes().get(this.cpu) {
            inbox.backlog().remove();
        }
        this.work();
    }
}

impl WorkItem<RESCUE> for Job {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.work();
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
        self.count.fetch_add(1, Relaxed);
        jobs.push_back(job);
    }

    /// Has the first job that is not done worked on by any CPU that is free, if it waits for one that
    /// does not get to it: the others wait for the first.
    fn rescue_front(&self, device: &Device, now_ns: u64) {
        let jobs = self.jobs.lock();
        let mut left = jobs.iter().skip_while(|job| job.done.load(Relaxed));
        let stuck = left.next().filter(|job| job.is_stuck(device, now_ns));
        let stuck: Option<Arc<Job>> = stuck.map(Into::into);
        drop(jobs);
        if let Some(job) = stuck {
            // If it is enqueued already, the reference is just dropped.
            let _ = device.queues().rescue.enqueue::<_, RESCUE>(job);
        }
    }

    /// Takes the first job if it is done.
    ///
    /// It goes on to count until [`Ordered::delivered`] is called for it: packets that find the
    /// list empty may overtake it otherwise.
    #[inline]
    pub(crate) fn pop_done(&self) -> Option<Arc<Job>> {
        if self.is_empty() {
            return None;
        }
        let mut jobs = self.jobs.lock();
        let job = match is_front_done(&jobs) {
            true => jobs.pop_front().map(ListArc::into_arc)?,
            false => return None,
        };
        drop(jobs);
        job.share.give_back();
        Some(job)
    }

    /// Returns whether the first job is done.
    fn is_front_done(&self) -> bool {
        is_front_done(&self.jobs.lock())
    }

    /// Notes that a job that was taken is delivered.
    pub(crate) fn delivered(&self) {
        // Pairs with `Acquire` in `is_empty`.
        self.count.fetch_sub(1, Release);
    }
}

/// Returns whether the first job is done.
fn is_front_done(jobs: &List<Job>) -> bool {
    // Pairs with `Release` in `Job::finish`.
    jobs.iter().next().is_some_and(|job| job.done.load(Acquire))
}

/// The jobs of a peer that send packets. Whoever finishes one sends those that are in turn.
#[pin_data]
pub(crate) struct Outbox {
    #[pin]
    order: Ordered,
    draining: Atomic<bool>,
}

impl Outbox {
    /// Creates an initialiser for an empty outbox.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            order <- Ordered::new(),
            draining: Atomic::new(false),
        })
    }

    /// Returns the list that jobs are put on.
    #[inline]
    pub(crate) fn order(&self) -> &Ordered {
        &self.order
    }

    /// Sends the packets of all jobs at the front that are done.
    ///
    /// To be called after a job was finished. If somebody else is at it, he will see the job: the
    /// exchanges order his last look after our finishing, or our exchange after his.
    fn drain(&self) {
        while !self.draining.xchg(true, Full) {
            while let Some(job) = self.order.pop_done() {
                let bh = bh::disable();
                let guard = rcu::read_lock();
                Peer::transmit(job.keypair.peer().borrow(), job.take_packets(), &guard, &bh);
                drop(guard);
                drop(bh);
                self.order.delivered();
                // Others may go on to finish jobs.
                cond_resched();
            }
            self.draining.xchg(false, Full);
            if !self.order.is_front_done() {
                return;
            }
        }
    }
}

impl Device {
    /// Returns whether packets are to be encrypted by other CPUs, given how many there are, and on
    /// which CPU they are sent.
    #[inline]
    pub(crate) fn wants_parallel_encryption(&self, count: usize, instance: usize) -> bool {
        match self.parallel() {
            Parallel::Never => false,
            Parallel::IfLoaded => {
                count >= PARALLEL_BATCH
                    && self
                        .inboxes()
                        .get(instance)
                        .is_some_and(|inbox| inbox.encryption().eighths() >= MUCH_ENCRYPTION)
                    && cpu::online_count() > 1
            }
            Parallel::Always => true,
        }
    }

    /// Returns whether packets are to be decrypted by other CPUs, given how many more wait, and how
    /// much time goes into them.
    #[inline]
    pub(crate) fn wants_parallel_decryption(&self, waiting: usize, meter: &Meter) -> bool {
        match self.parallel() {
            Parallel::Never => false,
            Parallel::IfLoaded => {
                (waiting >= PARALLEL_BACKLOG || meter.eighths() >= MUCH_DECRYPTION)
                    && cpu::online_count() > 1
            }
            Parallel::Always => true,
        }
    }

    /// Calls `f`, which encrypts packets that CPU `instance` sends, and measures how long that takes if
    /// it matters.
    #[inline]
    pub(crate) fn measure_encryption<R>(&self, instance: usize, f: impl FnOnce() -> R) -> R {
        match self.inboxes().get(instance) {
            Some(inbox) if self.parallel() == Parallel::IfLoaded => inbox.encryption().measure(f),
            _ => f(),
        }
    }

    /// Returns the CPU whose turn it is to work on a job: any but this one, if there is another, and
    /// none that does not get to the jobs that it has. If there is no such CPU, nor this one, the
    /// scheduler is to find one.
    fn next_cpu(&self, now_ns: u64) -> Option<cpu::Online> {
        let mut cpu = cpu::Online::after(self.last_cpu().load(Relaxed));
        let this = cpu::current();
        for _ in 0..cpu::online_count() {
            let inbox = self.inboxes().get(cpu.as_raw() as usize);
            let stuck = inbox.is_some_and(|inbox| inbox.backlog().is_stuck(now_ns));
            let alone = cpu::online_count() == 1;
            if (cpu.as_raw() != this || alone) && !stuck {
                self.last_cpu().store(cpu.as_raw(), Relaxed);
                return Some(cpu);
            }
            cpu = cpu::Online::after(cpu.as_raw());
        }
        None
    }
}
