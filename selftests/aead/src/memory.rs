// SPDX-License-Identifier: GPL-2.0

//! Memory between pages that nobody may touch.

use std::ptr::null_mut;

/// Bytes of a page.
const PAGE: usize = 4096;

/// Some pages, between two that cannot be accessed.
pub struct Guarded {
    start: *mut u8,
    len: usize,
}

impl Guarded {
    /// Returns pages for at least `len` bytes.
    pub fn new(len: usize) -> Self {
        let len = len.max(1).next_multiple_of(PAGE);
        // SAFETY: This maps new memory.
        let outside = unsafe {
            libc::mmap(
                null_mut(),
                len + 2 * PAGE,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(outside, libc::MAP_FAILED);
        let start = outside.cast::<u8>().wrapping_add(PAGE);
        // SAFETY: These pages were just mapped, and nothing refers to them.
        let result =
            unsafe { libc::mprotect(start.cast(), len, libc::PROT_READ | libc::PROT_WRITE) };
        assert_eq!(result, 0);
        Self { start, len }
    }

    /// Returns the first byte.
    pub fn first(&self) -> *mut u8 {
        self.start
    }

    /// Returns the last `len` bytes.
    pub fn last(&self, len: usize) -> *mut u8 {
        assert!(len <= self.len);
        self.start.wrapping_add(self.len - len)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let outside = self.start.wrapping_sub(PAGE);
        // SAFETY: It was mapped by `new`, and what refers to it is gone.
        unsafe { libc::munmap(outside.cast(), self.len + 2 * PAGE) };
    }
}

/// Returns whether a process of its own that does `what` comes to its end, and `what` is true.
pub fn survives(what: impl FnOnce() -> bool) -> bool {
    // SAFETY: The child calls nothing that needs other threads: what allocates was done before, or uses the
    // allocator of the system, which can be used after a fork.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let status = i32::from(!what());
        // SAFETY: This ends the child.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: `status` is valid for writes.
    let ended = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(ended, child);
    status == 0
}
