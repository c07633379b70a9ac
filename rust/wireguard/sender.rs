// SPDX-License-Identifier: GPL-2.0

//! Which CPU sends the packets of a peer, where that matters.

use crate::load::Parallel;
use kernel::cpu::CpuId;
use wg_kernel::prelude::*;

/// Whether one CPU sends all packets of a peer, so that they stay in order.
///
/// What a virtual device is given waits in a queue of the kernel's, of which each CPU has its own, for a softirq.
/// That has run once bottom halves are enabled, before another CPU sends what comes next: but with
/// `PREEMPT_RT`, it may be a task of the CPU that runs it, and that was preempted meanwhile.
pub(crate) const ONE_CPU: bool = cfg!(CONFIG_PREEMPT_RT);

/// For how many nanoseconds nothing was sent once another CPU may send: if nothing was there to be sent, or
/// something more urgent occupies the one that was to do it.
const QUIET_NS: u64 = 1_000_000_000;

/// The number of no CPU.
const NONE: u32 = u32::MAX;

/// What is to be known if one CPU sends.
struct State {
    cpu: Atomic<u32>,
    /// When it last did, in nanoseconds since boot.
    sent_ns: Atomic<u64>,
    /// Whether the worker was moved to another queue, to be put on the CPU.
    moved: Atomic<bool>,
}

/// The CPU that sends a peer's packets. Takes no memory if each CPU does.
pub(crate) struct Sender([State; ONE_CPU as usize]);

impl Sender {
    /// Creates one that is not chosen yet.
    pub(crate) fn new() -> Self {
        Self(core::array::from_fn(|_| State {
            cpu: Atomic::new(NONE),
            sent_ns: Atomic::new(0),
            moved: Atomic::new(false),
        }))
    }

    #[inline]
    fn state(&self) -> Option<&State> {
        self.0.first()
    }

    /// Returns whether `cpu`, on which packets were sent while no job was under way, may encrypt and send them
    /// at once.
    #[inline]
    pub(crate) fn may_be(&self, cpu: usize, parallel: Parallel) -> bool {
        self.state()
            .is_none_or(|state| state.is_or_becomes(cpu as u32, parallel))
    }

    /// Returns whether it is this CPU, as long as the guard lives.
    #[inline]
    pub(crate) fn is_here(&self, bh: &bh::Guard) -> bool {
        self.state().is_none_or(|state| state.is_here(bh))
    }

    /// Makes it this CPU if that stands for one that is not active, or if the other has sent nothing for long.
    #[inline]
    pub(crate) fn take_over(&self, bh: &bh::Guard) {
        if let Some(state) = self.state() {
            state.take_over(bh);
        }
    }

    /// Notes that it sends something.
    #[inline]
    pub(crate) fn note_sent(&self) {
        if let Some(state) = self.state() {
            state.note_sent();
        }
    }

    /// Returns the CPU that a worker is to send on, or the next one if that is not active; none if any may, as
    /// nothing was sent for long, or each CPU does.
    #[inline]
    pub(crate) fn cpu(&self) -> Option<cpu::Active> {
        let state = self.state()?;
        (!state.was_quiet()).then(|| state.cpu())
    }

    /// Returns whether the worker, which a queue is running, is to be moved to another queue first, so that it
    /// gets to the CPU: a queue puts an item that it is running on the CPU that runs it.
    pub(crate) fn moves_worker(&self, bh: &bh::Guard) -> bool {
        self.state().is_some_and(|state| {
            let moves = !state.is_here(bh) && !state.moved.load(Relaxed);
            state.moved.store(moves, Relaxed);
            moves
        })
    }
}

impl State {
    fn is_or_becomes(&self, cpu: u32, parallel: Parallel) -> bool {
        let sender = self.cpu.load(Relaxed);
        // If each CPU sends its own packets, they are in order already. The jobs that there are nevertheless
        // are sent by the CPU that was the last to send before them.
        let free = parallel == Parallel::Never || self.was_quiet();
        let is_sender = sender == cpu || free && self.cpu.cmpxchg(sender, cpu, Relaxed).is_ok();
        if is_sender {
            self.note_sent();
        }
        is_sender || parallel == Parallel::Never
    }

    fn is_here(&self, _bh: &bh::Guard) -> bool {
        let this = CpuId::current().as_u32();
        // Of two CPUs that find none, one becomes it.
        match self.cpu.load(Relaxed) {
            NONE => match self.cpu.cmpxchg(NONE, this, Relaxed) {
                Ok(_) => {
                    self.note_sent();
                    true
                }
                // Or of two tasks of this one.
                Err(cpu) => cpu == this,
            },
            cpu => cpu == this,
        }
    }

    fn take_over(&self, _bh: &bh::Guard) {
        let this = CpuId::current().as_u32();
        let sender = self.cpu.load(Relaxed);
        let free = cpu::Active::at_or_after(sender).as_raw() == this || self.was_quiet();
        // Noted at once, so that no other finds it quiet until it has sent something.
        if free && self.cpu.cmpxchg(sender, this, Relaxed).is_ok() {
            self.note_sent();
        }
    }

    fn cpu(&self) -> cpu::Active {
        cpu::Active::at_or_after(self.cpu.load(Relaxed))
    }

    fn note_sent(&self) {
        self.sent_ns.store(time::boottime_coarse_ns(), Relaxed);
    }

    /// Returns whether nothing was sent for long.
    fn was_quiet(&self) -> bool {
        let ns = time::boottime_coarse_ns().saturating_sub(self.sent_ns.load(Relaxed));
        ns > QUIET_NS
    }
}
