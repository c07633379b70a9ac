// SPDX-License-Identifier: GPL-2.0

//! CPUs that tasks may be put on.
//!
//! C header: [`include/linux/cpumask.h`](srctree/include/linux/cpumask.h)

use kernel::cpu::nr_cpu_ids;
use wg_bindings as bindings;

/// The number of a CPU that was active a moment ago: online, and not about to go offline, when work for it
/// may run on others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Active(u32);

impl Active {
    /// Returns the next active CPU after `cpu`, wrapping around.
    #[inline]
    pub fn after(cpu: u32) -> Self {
        let ids = nr_cpu_ids();
        // CAST: Numbers of CPUs are small.
        let last = if cpu < ids { cpu as i32 } else { -1 };
        // SAFETY: The number is one below the bound, or -1.
        let next = unsafe { bindings::wg_cpumask_next_active(last) };
        if next < ids {
            return Self(next);
        }
        // SAFETY: As above.
        Self(unsafe { bindings::wg_cpumask_next_active(-1) })
    }

    /// Returns `cpu` if it is active, and otherwise the next one that is, wrapping around.
    #[inline]
    pub fn at_or_after(cpu: u32) -> Self {
        Self::after(cpu.wrapping_sub(1))
    }

    /// Returns the number.
    #[inline]
    pub fn as_raw(self) -> u32 {
        self.0
    }
}

/// Returns the number of CPUs that are online.
#[inline]
pub fn online_count() -> u32 {
    // SAFETY: An FFI call without requirements.
    unsafe { bindings::wg_num_online_cpus() }
}
