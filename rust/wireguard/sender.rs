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

/// The CPU that sends a peer's packets.
pub(crate) struct Sender {
    cpu: Atomic<u32>,
    /// When it last did, in nanoseconds since boot.
    sent_ns: Atomic<u64>,
}

impl Sender {
    /// Creates one that is not chosen yet.
    pub(crate) fn new() -> Self {
        Self {
            cpu: Atomic::new(NONE),
            sent_ns: Atomic::new(0),
        }
    }

    /// Returns whether `cpu`, on which packets were sent while no job was under way, may encrypt and send them
    /// at once.
    #[inline]
    pub(crate) fn may_be(&self, cpu: usize, parallel: Parallel) -> bool {
        !ONE_CPU || self.is_or_becomes(cpu as u32, parallel)
    }

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

    /// Returns whether it is this CPU, as long as the guard lives.
    #[inline]
    pub(crate) fn is_here(&self, bh: &bh::Guard) -> bool {
        if !ONE_CPU {
            return true;
        }
        if self.cpu.load(Relaxed) == NONE {
            self.become_here(bh);
        }
        self.cpu.load(Relaxed) == CpuId::current().as_u32()
    }

    /// Makes it this CPU if that stands for one that is not active, or if the other has sent nothing for long.
    #[inline]
    pub(crate) fn take_over(&self, bh: &bh::Guard) {
        let this = CpuId::current().as_u32();
        if ONE_CPU && (self.cpu().as_raw() == this || self.was_quiet()) {
            self.become_here(bh);
        }
    }

    /// Makes it this CPU.
    fn become_here(&self, _bh: &bh::Guard) {
        self.cpu.store(CpuId::current().as_u32(), Relaxed);
    }

    /// Returns the CPU, or the next one if that is not active.
    pub(crate) fn cpu(&self) -> cpu::Active {
        cpu::Active::at_or_after(self.cpu.load(Relaxed))
    }

    /// Notes that it sends something.
    #[inline]
    pub(crate) fn note_sent(&self) {
        if ONE_CPU {
            self.sent_ns.store(time::boottime_coarse_ns(), Relaxed);
        }
    }

    /// Returns whether nothing was sent for long.
    pub(crate) fn was_quiet(&self) -> bool {
        let ns = time::boottime_coarse_ns().saturating_sub(self.sent_ns.load(Relaxed));
        ns > QUIET_NS
    }
}
