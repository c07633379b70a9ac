// SPDX-License-Identifier: GPL-2.0

//! Work done in parallel and delivered in order.
//!
//! The unit of work is a [`Job`]: some packets that are encrypted or decrypted with one session. It is a work
//! item of the device's per-CPU workqueue and, at the same time, an element of an [`Ordered`] list, from
//! whose front finished jobs are taken. Packets that find their list empty need no job: they are encrypted or
//! decrypted inline.

mod ordered;

pub(crate) use ordered::Ordered;

use crate::{
    backlog::Backlog,
    control,
    device::{
        Device,
        Epoch, //
    },
    keypair::Keypair,
    load::Meter,
    outbox::Outbox,
    seal::Sealing,
    share::{
        Direction,
        Share, //
    }, //
};
use kernel::{
    list::{
        impl_list_arc_safe,
        impl_list_item,
        ListArc,
        ListLinks, //
    },
    sync::atomic::Release, //
};
use wg_kernel::{
    prelude::*,
    workqueue, //
};
use wg_proto::wire;

/// Work number of a job that waits for the CPU it was given to.
const OWN: u64 = 0;

/// Work number of a job that any CPU may do.
const RESCUE: u64 = 1;

/// The task of a job: what to do with its packets.
pub(crate) enum Task {
    /// Encrypt them, and send them in the peer's order.
    Encrypt {
        /// How.
        sealing: Sealing<RcuArc<Keypair>>,
        /// Number of the CPU that they were sent on.
        cpu: usize,
    },
    /// Decrypt them, and deliver them in the order of a NAPI instance.
    Decrypt {
        /// The session.
        keypair: RcuArc<Keypair>,
        /// Number of the instance.
        instance: usize,
    },
}

impl Task {
    /// Returns the session.
    fn keypair(&self) -> &Keypair {
        match self {
            Self::Encrypt { sealing, .. } => sealing.keypair(),
            Self::Decrypt { keypair, .. } => keypair,
        }
    }
}

/// Packets that were encrypted or decrypted with one session.
pub(crate) struct Batch {
    /// The session.
    pub(crate) keypair: RcuArc<Keypair>,
    /// The packets.
    pub(crate) packets: SkBuffList,
    /// When they came: they are void if the interface has gone down since.
    pub(crate) epoch: Epoch,
    /// What the job counted for.
    pub(crate) size: u32,
}

/// What a job holds, but for the time when it is worked on.
enum State {
    /// What is to be done.
    Waiting {
        task: Task,
        packets: SkBuffList,
        epoch: Epoch,
    },
    /// What came of it.
    Done(Batch),
}

/// Work on a batch.
///
/// References to a job may be held long after it is over, such as by a stuck CPU that it was given to. Hence
/// it drops what it holds, and with it the keys, as soon as the batch is delivered or cancelled.
#[pin_data]
pub(crate) struct Job {
    #[pin]
    work: Work<Job, OWN>,
    #[pin]
    rescue: Work<Job, RESCUE>,
    #[pin]
    links: ListLinks,
    /// The CPU that it was given to.
    cpu: Option<cpu::Active>,
    begun: Atomic<bool>,
    share: Share,
    /// The index of the session.
    session: wire::Index,
    /// Nothing while it is worked on, and once it was delivered or cancelled.
    #[pin]
    state: SpinLockBh<Option<State>>,
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
    /// Adds packets at the end of `order`, as a job for another CPU, and returns whether that worked. The
    /// session is that of the task.
    ///
    /// Drops them if there is no memory, or if too much is under way already.
    pub(crate) fn submit(
        device: &Arc<Device>,
        order: &Ordered,
        task: Task,
        session: Borrow<'_, Keypair>,
        packets: SkBuffList,
    ) -> bool {
        let now_ns = time::boottime_coarse_ns();
        let submitted = Self::try_submit(device, order, task, session, packets, now_ns).is_some();
        // If not, jobs that wait for a stuck CPU may have all that there is room for.
        order.rescue_stuck(device, now_ns);
        if submitted {
            session.peer().watch_jobs();
        }
        submitted
    }

    fn try_submit(
        device: &Arc<Device>,
        order: &Ordered,
        task: Task,
        session: Borrow<'_, Keypair>,
        packets: SkBuffList,
        now_ns: u64,
    ) -> Option<()> {
        // The caller found the session in the same RCU section, hence in this epoch.
        let epoch = device.epoch()?;
        let (direction, size) = match task {
            Task::Encrypt { .. } => {
                let own = Direction::Out(order.count());
                (own, control::total_pages(&packets))
            }
            Task::Decrypt { .. } => {
                let own = Direction::In(session.weight_in_jobs());
                (own, control::total_weight(&packets))
            }
        };
        let share = Share::take(device, direction, size)?;
        let cpu = device.load.next_cpu(|cpu| {
            device
                .backlog(cpu)
                .is_some_and(|backlog| backlog.is_stuck(now_ns))
        });
        let job = ListArc::pin_init(
            try_pin_init!(Self {
                work <- new_work!("Job::work"),
                rescue <- new_work!("Job::rescue"),
                cpu,
                begun: Atomic::new(false),
                links <- ListLinks::new(),
                share,
                session: session.local_index(),
                state <- new_spinlock_bh!(Some(State::Waiting { task, packets, epoch }), "Job::state"),
                done: Atomic::new(false),
            }? Error),
            GFP_ATOMIC,
        )
        .ok()?;
        let work = job.clone_arc();
        if let Direction::In(_) = direction {
            // Before the timer checks whether there are jobs to watch.
            session.begin_job(work.share.size());
        }
        order.push(job);
        work.enqueue(device, now_ns);
        // The CPU that ended the session may have looked for its jobs before this one was there, or before it
        // could be withdrawn.
        if session.is_over() {
            device.cancel_jobs(&session);
        }
        if work.done.load(Relaxed) {
            work.withdraw();
        }
        Some(())
    }

    /// Gives the job to its CPU or, if it has none, to any that is free.
    fn enqueue(self: &Arc<Self>, device: &Device, now_ns: u64) {
        // This fails if another CPU has done or cancelled the job already, and is about to withdraw it.
        let Some(cpu) = self.cpu else {
            let _ = device.queues.rescue.enqueue::<_, RESCUE>(self.clone());
            return;
        };
        let backlog = device.backlog(cpu);
        if let Some(backlog) = backlog {
            backlog.add(now_ns);
        }
        let enqueued = device.queues.crypt.enqueue_on::<_, OWN>(cpu, self.clone());
        if let (Err(_), Some(backlog)) = (enqueued, backlog) {
            backlog.forget();
        }
    }

    /// Returns whether it waits for a stuck CPU.
    fn is_stuck(&self, device: &Device, now_ns: u64) -> bool {
        let backlog = self.cpu.and_then(|cpu| device.backlog(cpu));
        !self.begun.load(Relaxed) && backlog.is_some_and(|backlog| backlog.is_stuck(now_ns))
    }

    /// Takes the batch, unless the job was cancelled.
    fn take_batch(&self) -> Option<Batch> {
        let state = self.state.lock().take()?;
        match state {
            State::Done(batch) => Some(batch),
            State::Waiting { .. } => None,
        }
    }

    /// Hands the batch on to the CPU that delivers the job.
    fn finish(&self, batch: Batch) {
        *self.state.lock() = Some(State::Done(batch));
        // Pairs with `Acquire` in `Ordered::pop_done`.
        self.done.store(true, Release);
    }

    /// Does the work, unless another CPU has begun to.
    fn work(&self) {
        // Off until it is done: no other CPU takes over a job that was begun, so this one must not be kept
        // from it. With `PREEMPT_RT` that keeps nothing away; it would make a task that is preempted one that
        // grace periods wait for, and that no other CPU runs.
        let early = (!cfg!(CONFIG_PREEMPT_RT)).then(bh::disable);
        if self.begun.xchg(true, Full) {
            return;
        }
        let state = self.state.lock().take();
        let Some(State::Waiting {
            task,
            mut packets,
            epoch,
        }) = state
        else {
            return;
        };
        let device = self.share.device();
        let size = self.share.size();
        let now_ns = time::boottime_coarse_ns();
        match task {
            Task::Encrypt { mut sealing, cpu } => {
                let seal = || sealing.seal(packets);
                let meter = device.encryption_meter(cpu);
                let mut packets = device.load.parallel.measure_encryption(meter, seal);
                let keypair = sealing.into_keypair();
                // All packets sent on a CPU take the same queue of a network card, that of the CPU, whichever
                // CPU encrypts them.
                packets.for_each_mut(|skb| skb.set_sender_cpu(cpu));
                let peer = keypair.peer().clone();
                let bh = early.unwrap_or_else(bh::disable);
                self.finish(Batch {
                    keypair,
                    packets,
                    epoch,
                    size,
                });
                if !peer.outbox.drain(bh) {
                    Outbox::leave_to_worker(peer.clone());
                }
                peer.outbox.order.rescue_stuck(device, now_ns);
            }
            Task::Decrypt { keypair, instance } => {
                let merge = device.merges_packets();
                let inbox = device.inbox(instance);
                if let Some(inbox) = inbox {
                    inbox.meter.measure(|| keypair.open(&mut packets, merge));
                }
                let bh = early.unwrap_or_else(bh::disable);
                self.finish(Batch {
                    keypair,
                    packets,
                    epoch,
                    size,
                });
                device.link.schedule_napi(instance, &bh);
                drop(bh);
                if let Some(inbox) = inbox {
                    inbox.order.rescue_stuck(device, now_ns);
                }
            }
        }
    }

    /// Cancels the job if its session is over, unless it was begun. Returns whether it was cancelled.
    ///
    /// Its packets are added to `dropped`, to be freed without locks.
    fn cancel_if_over(self: &Arc<Self>, dropped: &mut SkBuffList) -> bool {
        let mut slot = self.state.lock();
        let is_over = match slot.as_ref() {
            Some(State::Waiting { task, .. }) => task.keypair().is_over(),
            _ => false,
        };
        if !is_over || self.begun.xchg(true, Full) {
            return false;
        }
        let state = slot.take();
        // A CPU that finds nothing here finds the job done, too.
        self.done.store(true, Release);
        drop(slot);
        if let Some(State::Waiting { mut packets, .. }) = state {
            dropped.append(&mut packets);
        }
        self.share.give_back();
        self.withdraw();
        true
    }

    /// Removes it from the workqueues in which it waits, as there is nothing left to do.
    fn withdraw(self: &Arc<Self>) {
        let device = self.share.device();
        workqueue::cancel::<_, RESCUE>(self);
        if !workqueue::cancel::<_, OWN>(self) {
            return;
        }
        if let Some((cpu, backlog)) = self.cpu.and_then(|cpu| Some((cpu, device.backlog(cpu)?))) {
            backlog.withdraw(&device.queues.crypt, cpu);
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
        // It is done, or the CPU that it was given to has begun it.
        this.withdraw();
    }
}

impl Device {
    /// Returns the jobs that wait on a CPU.
    pub(crate) fn backlog(&self, cpu: cpu::Active) -> Option<&Arc<Backlog>> {
        let inbox = self.inbox(cpu.as_raw() as usize)?;
        Some(&inbox.backlog)
    }

    /// Returns the meter of what is sent on a CPU.
    #[inline]
    pub(crate) fn encryption_meter(&self, cpu: usize) -> Option<&Meter> {
        Some(&self.inbox(cpu)?.encryption)
    }

    /// Cancels those jobs of `keypair`, which is over, that were not begun yet. Other jobs drop their
    /// references to it when they are delivered.
    pub(crate) fn cancel_jobs(&self, keypair: &Keypair) {
        let (peer, index) = (keypair.peer(), keypair.local_index());
        if peer.outbox.order.cancel_if_over(index) {
            // For the jobs that wait behind the cancelled ones. There may be many, and this may be in
            // softirq.
            Outbox::leave_to_worker(peer.clone());
        }
        let instance = self.instance_of(index);
        let inbox = self.inbox(instance);
        if inbox.is_some_and(|inbox| inbox.order.cancel_if_over(index)) {
            // For the jobs that wait behind the cancelled ones.
            self.link.schedule_napi(instance, &bh::disable());
        }
    }
}
