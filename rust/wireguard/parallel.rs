// SPDX-License-Identifier: GPL-2.0

//! When other CPUs are asked to help with encryption and decryption, and which.

use crate::{
    device::Device,
    meter::Meter, //
};
use kernel::{
    cpu::CpuId,
    sync::atomic::Relaxed, //
};
use wg_kernel::{
    compat::param,
    cpu, //
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

/// How many of the messages that are taken at a time are decrypted by the CPU that they came to even
/// then: so those of a session that is not busy do not wait behind what others are asked to do.
const MESSAGES_ALONE: usize = 8;

/// When other CPUs are used to encrypt and to decrypt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parallel {
    /// Never, save for tunnels in tunnels, and for softirqs that would fill a ring.
    Never,
    /// If there is so much to do at once that it is worth to wake another one.
    IfLoaded,
    /// Always; for tests.
    Always,
}

impl Parallel {
    /// Returns what the module's parameter says.
    pub(crate) fn from_parameter() -> Self {
        match param(crate::module_parameters::parallel.value()) {
            0 => Self::Never,
            1 => Self::IfLoaded,
            _ => Self::Always,
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

    /// Returns how many of the messages at hand are not to be decrypted by other CPUs if they are of
    /// sessions of which there are few, given how many more wait, and how much time goes into them.
    #[inline]
    pub(crate) fn messages_decrypted_alone(&self, waiting: usize, meter: &Meter) -> usize {
        match self.parallel() {
            Parallel::Never => usize::MAX,
            Parallel::IfLoaded
                if waiting < PARALLEL_BACKLOG && meter.eighths() < MUCH_DECRYPTION
                    || cpu::online_count() < 2 =>
            {
                usize::MAX
            }
            Parallel::IfLoaded => MESSAGES_ALONE,
            Parallel::Always => 0,
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
    pub(crate) fn next_cpu(&self, now_ns: u64) -> Option<cpu::Online> {
        let mut cpu = cpu::Online::after(self.last_cpu().load(Relaxed));
        let this = CpuId::current().as_u32();
        for _ in 0..cpu::online_count() {
            let stuck = self
                .backlog(cpu)
                .is_some_and(|backlog| backlog.is_stuck(now_ns));
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
