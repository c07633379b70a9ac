// SPDX-License-Identifier: GPL-2.0

//! How much of a CPU's time goes into decryption.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};
use wg_kernel::time;

/// For how long time is added up before it is judged, in nanoseconds.
const WINDOW_NS: i64 = 4_000_000;

/// Which part of a window is much: one in so many.
const MUCH: i64 = 4;

/// How much time the messages that arrive on one CPU take to be decrypted, on whatever CPU.
///
/// Written by the CPU that polls an instance and by those that work for it; what is lost if they
/// do so at once does not matter.
pub(crate) struct Meter {
    /// When the window began, in nanoseconds.
    began_ns: Atomic<i64>,
    /// The time that decryption has taken since.
    busy_ns: Atomic<i64>,
    /// Whether that was much in the window before.
    loaded: Atomic<bool>,
}

impl Meter {
    /// Creates a meter that has measured nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            began_ns: Atomic::new(0),
            busy_ns: Atomic::new(0),
            loaded: Atomic::new(false),
        }
    }

    /// Returns whether decryption takes much of a CPU's time.
    #[inline]
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load(Relaxed)
    }

    /// Calls `f`, which decrypts, and measures how long that takes.
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
            self.loaded
                .store(busy.saturating_mul(MUCH) > passed, Relaxed);
        }
    }
}
