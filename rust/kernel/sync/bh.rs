// SPDX-License-Identifier: GPL-2.0

//! Bottom halves.
//!
//! C header: [`include/linux/bottom_half.h`](srctree/include/linux/bottom_half.h)

use kernel::{
    sync::rcu,
    types::NotThreadSafe, //
};
use wg_bindings as bindings;

/// Evidence that bottom halves are disabled on the current CPU.
///
/// # Invariants
///
/// Bottom halves are disabled while instances of this type exist.
pub struct Guard(NotThreadSafe);

/// Disables bottom halves on the current CPU until the guard is dropped.
///
/// Nests, and may be called where bottom halves are off already.
#[inline]
pub fn disable() -> Guard {
    // SAFETY: May be called from any context but hard interrupts, in which code on top of this crate must
    // not be run, nor with interrupts off.
    unsafe { bindings::local_bh_disable() };
    // INVARIANT: Bottom halves were just disabled.
    Guard(NotThreadSafe)
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariants, there is a disable that this call undoes.
        unsafe { bindings::local_bh_enable() };
    }
}

/// Returns whether this runs in a softirq, or in a thread that polls in place of one, and not in a task
/// that has disabled bottom halves: no other softirq runs on this CPU until the poll is done, however
/// many guards are dropped. With `PREEMPT_RT`, a poll by a thread that is preempted counts for the tasks that
/// preempt it, or is not noticed.
#[inline]
pub fn in_softirq(_bh: &Guard) -> bool {
    // SAFETY: An FFI call without requirements.
    let serving = unsafe { bindings::wg_in_serving_softirq() };
    // SAFETY: An FFI call without requirements; what it reads is of this CPU, as bottom halves are off.
    serving || unsafe { bindings::wg_in_napi_threaded_poll() }
}

/// How often softirqs are gone on with.
const MAX_SOFTIRQS: u32 = 10;

/// Evidence that no other task, of whatever priority, preempts this one, be bottom halves on or off.
///
/// On a kernel with `PREEMPT_RT` it is evidence of nothing: tasks are preempted there with bottom halves
/// off, too, and code that relies on those must cope with it.
///
/// # Invariants
///
/// Preemption is disabled while instances of this type exist, unless the kernel has `PREEMPT_RT`.
pub struct Unpreempted(NotThreadSafe);

/// Disables preemption until the guard is dropped, so that a [`Guard`] can be dropped meanwhile: softirqs
/// run when that is dropped, but no other tasks.
#[inline]
pub fn keep_cpu(_bh: &Guard) -> Unpreempted {
    if !cfg!(CONFIG_PREEMPT_RT) {
        // SAFETY: May be called from any context.
        unsafe { bindings::preempt_disable() };
    }
    // INVARIANT: Preemption was just disabled, unless the kernel has `PREEMPT_RT`.
    Unpreempted(NotThreadSafe)
}

impl Unpreempted {
    /// Enables bottom halves, and has softirqs of this CPU receive what virtual devices were given on it until now:
    /// they are cut short after some milliseconds, the rest being left to a task. Gives up in the end.
    ///
    /// With `PREEMPT_RT`, and if there are other guards, this only drops this one.
    #[inline]
    pub fn enable(&self, bh: Guard) {
        if cfg!(CONFIG_PREEMPT_RT) {
            return drop(bh);
        }
        // SAFETY: By the type invariants, preemption is off.
        let tail = unsafe { bindings::wg_backlog_tail() };
        drop(bh);
        for _ in 0..MAX_SOFTIRQS {
            // SAFETY: By the type invariants, preemption is off, and has been since.
            if !unsafe { bindings::wg_backlog_is_pending(tail) } {
                break;
            }
            drop(disable());
        }
    }
}

impl Drop for Unpreempted {
    #[inline]
    fn drop(&mut self) {
        if !cfg!(CONFIG_PREEMPT_RT) {
            // SAFETY: By the type invariants, there is a disable that this call undoes.
            unsafe { bindings::preempt_enable() };
        }
    }
}

/// Evidence of the context of a softirq: this is an RCU read-side critical section, and bottom halves are
/// off. A task that has both guards can have it, too.
#[derive(Clone, Copy)]
pub struct Softirq<'g> {
    rcu: &'g rcu::Guard,
    bh: &'g Guard,
}

impl<'g> Softirq<'g> {
    /// Combines both guards.
    #[inline]
    pub fn new(rcu: &'g rcu::Guard, bh: &'g Guard) -> Self {
        Self { rcu, bh }
    }

    /// Returns the evidence that this is an RCU read-side critical section.
    #[inline]
    pub fn rcu(self) -> &'g rcu::Guard {
        self.rcu
    }

    /// Returns the evidence that bottom halves are off.
    #[inline]
    pub fn bh(self) -> &'g Guard {
        self.bh
    }
}
