// SPDX-License-Identifier: GPL-2.0

//! How much of a CPU's time goes into encryption or decryption.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use wg_kernel::time;

/// For how long time is added up before it is judged, in nanoseconds.
const WINDOW_NS: i64 = 4_000_000;

/// Into how many parts a window is divided.
const PARTS: i64 = 8;

/// How much time the messages that arrive on one CPU take to be decrypted, or those that are sent by
/// one to be encrypted, on whatever CPU.
///
/// Written by the CPU that polls an instance and by those that work for it; what is lost if they
/// do so at once does not matter.
pub(crate) struct Meter {
    /// When the window began, in nanoseconds.
    began_ns: Atomic<i64>,
    /// The time that was spent since.
    busy_ns: Atomic<i64>,
    /// How many parts of the window before that was.
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

    /// Returns how many eighths of a CPU's time it was lately.
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

    /// Adds `ns` of work, which has ended at `now_ns`.
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
