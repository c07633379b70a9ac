// SPDX-License-Identifier: GPL-2.0

//! The load of a device: when other CPUs are asked to help with encryption and decryption, which ones, and
//! how much work is under way.

use kernel::cpu::CpuId;
use wg_kernel::{
    compat::param,
    prelude::*, //
};

/// How many packets must be sent at once for other CPUs to be asked to help: those of a bulk transfer, which
/// come as one GSO packet, and not those of interactive traffic.
const PARALLEL_BATCH: usize = 8;

/// How many eighths of a CPU's time encryption must take for others to be asked to help: so many that little
/// is left for the sender of the packets.
const MUCH_ENCRYPTION: u32 = 6;

/// How many eighths of a CPU's time decryption must take for others to be asked to help.
const MUCH_DECRYPTION: u32 = 2;

/// How many messages must wait to be decrypted on one CPU, besides those that it is about to
/// decrypt, for others to be asked to help.
const PARALLEL_BACKLOG: usize = 64;

/// How many of the messages that are taken at a time are decrypted by the CPU that they arrived on even then:
/// so those of a session that is not busy do not wait behind the jobs of other CPUs.
const MESSAGES_ALONE: usize = 8;

/// The length of the window over which time is added up, in nanoseconds.
const WINDOW_NS: i64 = 4_000_000;

/// Into how many parts a window is divided.
const PARTS: i64 = 8;

/// When other CPUs are used to encrypt and to decrypt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parallel {
    /// Never, except for nested tunnels and filters, on a short stack, and where a ring would be filled.
    Never,
    /// When there is enough to do at once to justify waking another CPU.
    IfLoaded,
    /// Always; for tests.
    Always,
}

impl Parallel {
    /// Returns the setting of the module parameter.
    pub(crate) fn from_parameter() -> Self {
        match param(crate::module_parameters::parallel.value()) {
            0 => Self::Never,
            1 => Self::IfLoaded,
            _ => Self::Always,
        }
    }

    /// Returns whether `count` packets are to be encrypted by other CPUs, given the meter of the one that
    /// sends them.
    #[inline]
    pub(crate) fn wants_encryption(self, count: usize, meter: Option<&Meter>) -> bool {
        match self {
            Self::Never => false,
            Self::IfLoaded => {
                count >= PARALLEL_BATCH
                    && meter.is_some_and(|meter| meter.eighths() >= MUCH_ENCRYPTION)
                    && cpu::online_count() > 1
            }
            Self::Always => true,
        }
    }

    /// Calls `f`, which encrypts packets, and measures how long that takes if it matters.
    #[inline]
    pub(crate) fn measure_encryption<R>(self, meter: Option<&Meter>, f: impl FnOnce() -> R) -> R {
        match meter {
            Some(meter) if self == Self::IfLoaded => meter.measure(f),
            _ => f(),
        }
    }

    /// Returns how many of the messages at hand this CPU decrypts itself if their sessions have only few,
    /// given how many more wait, and how much time decryption takes.
    #[inline]
    pub(crate) fn messages_decrypted_alone(self, waiting: usize, meter: &Meter) -> usize {
        match self {
            Self::Never => usize::MAX,
            Self::IfLoaded
                if waiting < PARALLEL_BACKLOG && meter.eighths() < MUCH_DECRYPTION
                    || cpu::online_count() < 2 =>
            {
                usize::MAX
            }
            Self::IfLoaded => MESSAGES_ALONE,
            Self::Always => 0,
        }
    }
}

/// The work that a device has under way in jobs, and the CPU that was asked last.
pub(crate) struct Load {
    /// When other CPUs are used.
    pub(crate) parallel: Parallel,
    /// The CPU that was given a job last.
    last_cpu: Atomic<u32>,
    /// How many pages the packets in jobs that encrypt take, or did before.
    pub(crate) pages_out: Atomic<u32>,
    /// How much the messages in jobs that decrypt weigh.
    pub(crate) weight_in: Atomic<u32>,
}

impl Load {
    /// Creates the load of a device that has nothing to do yet.
    pub(crate) fn new() -> Self {
        Self {
            parallel: Parallel::from_parameter(),
            last_cpu: Atomic::new(0),
            pages_out: Atomic::new(0),
            weight_in: Atomic::new(0),
        }
    }

    /// Returns the CPU whose turn it is to work on a job: any but this one, if there is another, and none
    /// that `is_stuck`. If there is no such CPU, returns [`None`], and the scheduler is to find one.
    pub(crate) fn next_cpu(&self, is_stuck: impl Fn(cpu::Active) -> bool) -> Option<cpu::Active> {
        let mut cpu = cpu::Active::after(self.last_cpu.load(Relaxed));
        let this = CpuId::current().as_u32();
        // All that are active are online.
        for _ in 0..cpu::online_count() {
            let next = cpu::Active::after(cpu.as_raw());
            let alone = next == cpu;
            if (cpu.as_raw() != this || alone) && !is_stuck(cpu) {
                self.last_cpu.store(cpu.as_raw(), Relaxed);
                return Some(cpu);
            }
            cpu = next;
        }
        None
    }
}

/// How much time it takes to decrypt the messages that arrive on one CPU, or to encrypt those that are sent
/// on one, on whatever CPU that is done.
///
/// Written by the CPU that polls an instance and by those that work for it; updates that are lost if they do
/// so at once do not matter.
pub(crate) struct Meter {
    /// When the window began, in nanoseconds.
    began_ns: Atomic<i64>,
    /// The time that was spent on the work since.
    busy_ns: Atomic<i64>,
    /// How many parts of the previous window were spent on it.
    parts: Atomic<u32>,
}

impl Meter {
    /// Creates a meter that has measured nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            began_ns: Atomic::new(0),
            busy_ns: Atomic::new(0),
            parts: Atomic::new(0),
        }
    }

    /// Returns how many eighths of a CPU's time the work took lately.
    #[inline]
    pub(crate) fn eighths(&self) -> u32 {
        self.parts.load(Relaxed)
    }

    /// Calls `f` and measures how long that takes.
    #[inline]
    pub(crate) fn measure<R>(&self, f: impl FnOnce() -> R) -> R {
        let start_ns = time::monotonic_ns();
        let result = f();
        let end_ns = time::monotonic_ns();
        self.add(end_ns, end_ns.wrapping_sub(start_ns));
        result
    }

    /// Adds `ns` of work, which ended at `now_ns`.
    #[inline]
    fn add(&self, now_ns: i64, ns: i64) {
        self.busy_ns.add(ns, Relaxed);
        let passed = now_ns.wrapping_sub(self.began_ns.load(Relaxed));
        if passed > WINDOW_NS {
            let busy = self.busy_ns.xchg(0, Relaxed);
            self.began_ns.store(now_ns, Relaxed);
            let parts = busy.saturating_mul(PARTS).checked_div(passed);
            let parts = parts.and_then(|parts| u32::try_from(parts).ok());
            self.parts.store(parts.unwrap_or(0), Relaxed);
        }
    }
}
