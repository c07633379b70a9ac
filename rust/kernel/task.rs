// SPDX-License-Identifier: GPL-2.0

//! The current task.
//!
//! C headers: [`include/linux/sched.h`](srctree/include/linux/sched.h),
//! [`include/linux/sched/task_stack.h`](srctree/include/linux/sched/task_stack.h)

use crate::sync::bh;
use wg_bindings as bindings;

/// Number of bytes of a task's stack.
const STACK_LEN: usize = bindings::RUST_CONST_HELPER_THREAD_SIZE;

/// Maximum number of bytes of an array that an abstraction takes or returns by value: it lies on the stack,
/// which nothing probes.
pub const MAX_BY_VALUE: usize = 256;

/// Lets another task run if one is due (`cond_resched()`). For loops that may be long, in process
/// context and with no spin lock held.
#[inline]
pub fn cond_resched() {
    // SAFETY: An FFI call that may sleep, as documented.
    unsafe { bindings::cond_resched() };
}

/// Returns whether more than half of the current task's stack is in use, so that what needs much of it had
/// better be left to a worker, whose stack is empty.
///
/// That is so if a task has got deep into a file system or a protocol, and also if a softirq has interrupted
/// it where softirqs have no stack of their own: with `PREEMPT_RT`, and on architectures without
/// `SOFTIRQ_ON_OWN_STACK`. Where they have one, it is empty when a softirq begins, and is not looked at.
#[inline]
pub fn is_stack_short(_bh: &bh::Guard) -> bool {
    // SAFETY: May be called from any context.
    let stack = unsafe { bindings::wg_current_stack_page() }.addr();
    let local: u8 = 0;
    let used_last = match cfg!(CONFIG_STACK_GROWSUP) {
        true => stack.wrapping_add(STACK_LEN / 2),
        false => stack,
    };
    // Wraps around below it: another stack, such as one of interrupts, is not short.
    (&raw const local).addr().wrapping_sub(used_last) < STACK_LEN / 2
}
