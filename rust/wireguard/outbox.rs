// SPDX-License-Identifier: GPL-2.0

//! The packets of a peer that other CPUs encrypt, sent in the order in which they came.

use crate::{
    device::Device,
    keypair::Keypair,
    peer::{
        Peer,
        DRAIN, //
    },
    queue::Ordered,
    seal::Sealing,
    sender::{
        self,
        Sender, //
    },
    share::{
        Direction,
        Share, //
    }, //
};
use wg_kernel::{
    prelude::*,
    workqueue, //
};

/// How many datagrams are sent with bottom halves off: rings and backlogs below hold a few hundred.
const MAX_AT_ONCE: usize = 128;

/// How many jobs a worker sends before it lets those of other peers go first, if they wait for the same CPU.
const MAX_JOBS_AT_ONCE: u32 = 64;

/// How many bytes, of several packets, are encrypted or sent so: it must not take long.
const MAX_BYTES_AT_ONCE: usize = 256 << 10;

/// The jobs of a peer that send packets. The CPU that finishes one sends the packets of those in turn.
#[pin_data]
pub(crate) struct Outbox {
    /// The list that jobs are put on.
    #[pin]
    pub(crate) order: Ordered,
    draining: Atomic<bool>,
    /// The CPU that sends.
    pub(crate) sender: Sender,
    /// Whether the last UDP GSO packet was segmented before it was sent.
    cut: Atomic<bool>,
}

impl Outbox {
    /// Creates an initialiser for an empty outbox.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            order <- Ordered::new(),
            draining: Atomic::new(false),
            sender: Sender::new(),
            cut: Atomic::new(false),
        })
    }

    /// Notes whether a UDP GSO packet was sent whole, or was segmented first.
    #[inline]
    pub(crate) fn note_large(&self, whole: bool) {
        if self.cut.load(Relaxed) == whole {
            self.cut.store(!whole, Relaxed);
        }
    }

    /// Returns whether these messages are to be left to a task, as they would leave as many datagrams: the
    /// device below may have a short ring, which is not emptied before the softirq that fills it returns, or
    /// before a task that has been called with bottom halves off does.
    #[inline]
    pub(crate) fn is_for_task(
        &self,
        sealing: &Sealing<Borrow<'_, Keypair>>,
        bh: &bh::Guard,
    ) -> bool {
        let leaves_whole = sealing.is_bundle() && !self.cut.load(Relaxed);
        let count = sealing.count();
        count > MAX_AT_ONCE || !leaves_whole && count > 1 && bh::in_softirq(bh)
    }

    /// Returns whether these messages, which are to be left to others, would be lost then, as all jobs that the
    /// device may have are other peers', and are few enough to be sent at once instead.
    pub(crate) fn is_better_inline(
        &self,
        device: &Device,
        sealing: &Sealing<Borrow<'_, Keypair>>,
    ) -> bool {
        sealing.count() <= MAX_AT_ONCE && !Share::is_left(device, Direction::Out(0))
    }

    /// Sends the packets of all jobs at the front that are done. Returns false if some are left to a worker:
    /// of [another CPU](Sender), or of this one, as they are many. Process context only.
    ///
    /// To be called after a job was finished, with bottom halves off since then, so that no task comes
    /// between. If another CPU is draining, it will see this job.
    pub(crate) fn drain(&self, bh: bh::Guard) -> bool {
        let mut bh = bh;
        let mut left = MAX_JOBS_AT_ONCE;
        while left > 0 && self.sender.is_here(&bh) {
            if !self.drain_one(bh) {
                return true;
            }
            cond_resched();
            bh = bh::disable();
            if sender::ONE_CPU {
                left = left.wrapping_sub(1);
            }
        }
        !self.order.is_front_done()
    }

    /// Sends those packets on this CPU, whichever is to send them.
    pub(crate) fn drain_here(&self, bh: bh::Guard) {
        let mut bh = bh;
        while self.drain_one(bh) {
            cond_resched();
            bh = bh::disable();
        }
    }

    /// Has a worker send those of `peer`: one of the CPU that is to send them, unless that is stuck.
    pub(crate) fn leave_to_worker(peer: RcuArc<Peer>) {
        let device = peer.device().clone();
        let queues = &device.queues;
        // If it is queued already, the reference is just dropped.
        if !sender::ONE_CPU {
            let _ = queues.rescue.enqueue::<_, DRAIN>(peer);
            return;
        }
        // Held to the end: who has the peer or the interface end takes it back after a grace period.
        let guard = rcu::read_lock();
        let cpu = match peer.is_active(&guard) {
            true => peer.outbox.sender.cpu(),
            false => None,
        };
        if let Some(cpu) = cpu {
            let _ = queues.crypt.enqueue_on::<_, DRAIN>(cpu, peer);
            return;
        }
        workqueue::cancel_rcu::<_, DRAIN>(&peer);
        let _ = queues.rescue.enqueue::<_, DRAIN>(peer);
    }

    /// Same, to be called by the worker.
    fn hand_on(peer: RcuArc<Peer>) {
        if peer.outbox.sender.moves_worker(&bh::disable()) {
            // Others have enqueued it meanwhile, where it is running.
            workqueue::cancel_rcu::<_, DRAIN>(&peer);
            let device = peer.device().clone();
            let _ = device.queues.rescue.enqueue::<_, DRAIN>(peer);
        } else {
            Self::leave_to_worker(peer);
        }
    }

    /// Takes `peer` back from the worker that it waits for, which may be that of a stuck CPU, and does what is
    /// to be done.
    pub(crate) fn drain_for_worker(peer: &RcuArc<Peer>) {
        if sender::ONE_CPU {
            workqueue::cancel_rcu::<_, DRAIN>(peer);
            // Even if nothing was cancelled: it may just have kept another CPU from enqueueing it.
            peer.outbox.drain_here(bh::disable());
        }
    }

    /// Sends the packets of the first job if it is done, and returns whether the next one is done, too.
    ///
    /// Does nothing if another CPU is draining: the exchanges order its last check after our `finish`, or our
    /// exchange after its release of `draining`. No task preempts it before that check, as other CPUs leave
    /// their jobs to it.
    fn drain_one(&self, mut bh: bh::Guard) -> bool {
        if self.draining.xchg(true, Full) {
            return false;
        }
        let Some(mut batch) = self.order.pop_done() else {
            // Others, who may have finished the first one meanwhile, do not wait for softirqs of this CPU.
            self.draining.xchg(false, Full);
            return self.order.is_front_done();
        };
        self.sender.note_sent();
        let kept = loop {
            let some = take_some(&mut batch.packets);
            let guard = rcu::read_lock();
            let peer = batch.keypair.peer();
            let sends = peer.is_active_in(batch.epoch, &guard);
            if sends {
                Peer::transmit(peer.borrow(), some, Softirq::new(&guard, &bh));
            }
            drop(guard);
            let kept = bh::keep_cpu(&bh);
            // The device below may be emptied by softirqs of this CPU: they are to run before the next packets are
            // sent, be it by other CPUs, and before its ring is full.
            match sends {
                true => kept.enable(bh),
                false => drop(bh),
            }
            if batch.packets.is_empty() {
                break kept;
            }
            bh = bh::disable();
            drop(kept);
        };
        drop(batch);
        self.sender.note_sent();
        self.order.delivered();
        self.draining.xchg(false, Full);
        let more = self.order.is_front_done();
        drop(kept);
        more
    }
}

/// Returns whether packets, of which each becomes a datagram, are encrypted and sent at once.
#[inline]
pub(crate) fn fit_at_once(packets: &SkBuffList) -> bool {
    let count = packets.len();
    let bytes = || packets.iter().map(|skb| skb.len() as usize);
    count <= 1
        || count <= MAX_AT_ONCE && bytes().fold(0, usize::saturating_add) <= MAX_BYTES_AT_ONCE
}

/// Takes the first packets, up to that with which they may leave [`MAX_AT_ONCE`] datagrams or more, or have
/// [`MAX_BYTES_AT_ONCE`] or more.
pub(crate) fn take_some(packets: &mut SkBuffList) -> SkBuffList {
    let mut some = SkBuffList::new();
    let mut room = MAX_AT_ONCE;
    let mut bytes = MAX_BYTES_AT_ONCE;
    while room > 0 && bytes > 0 {
        let Some(skb) = packets.pop_front() else {
            break;
        };
        let len = skb.len() as usize;
        let size = skb.datagram_size().map_or(len, |size| size as usize);
        room = room.saturating_sub(len.div_ceil(size.max(1)));
        bytes = bytes.saturating_sub(len);
        some.push_back(skb);
    }
    some
}

impl WorkItem<DRAIN> for Peer {
    type Pointer = RcuArc<Self>;

    fn run(this: RcuArc<Self>) {
        let bh = bh::disable();
        let outbox = &this.outbox;
        if sender::ONE_CPU && !this.is_active(&rcu::read_lock()) {
            return outbox.drain_here(bh);
        }
        outbox.sender.take_over(&bh);
        if !outbox.drain(bh) {
            Outbox::hand_on(this);
        }
    }
}
