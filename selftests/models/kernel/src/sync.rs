// SPDX-License-Identifier: GPL-2.0

//! Synchronisation.

pub mod atomic;
pub mod rcu;

use crate::{
    alloc::Flags,
    error::{
        Error,
        Result, //
    },
    model, //
};
use atomic::{
    Atomic,
    Relaxed, //
};
use core::{
    cell::Cell,
    mem::ManuallyDrop,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::NonNull, //
};
use pinned_init::PinInit;

pub use std::sync::Arc;

/// How an [`Arc`] is made in the kernel crate.
pub trait PinInitArc<T>: Sized {
    fn pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Self>
    where
        Error: From<E>;
}

impl<T> PinInitArc<T> for Arc<T> {
    fn pin_init<E>(init: impl PinInit<T, E>, _flags: Flags) -> Result<Self>
    where
        Error: From<E>,
    {
        let mut memory = Arc::<T>::new_uninit();
        let slot = Arc::get_mut(&mut memory).expect("the only reference");
        // SAFETY: It is not moved until it is complete, and nothing modelled depends on where it is before.
        unsafe { init.__pinned_init(slot.as_mut_ptr()) }?;
        // SAFETY: It was just initialised.
        Ok(unsafe { memory.assume_init() })
    }
}

/// A lock, of which the driver has two kinds.
pub struct Lock<T, const SPINS: bool> {
    alive: model::Alive,
    inner: loom::sync::Mutex<T>,
}

// SAFETY: A model runs in one thread of the system.
unsafe impl<T, const SPINS: bool> Send for Lock<T, SPINS> {}
// SAFETY: As above.
unsafe impl<T, const SPINS: bool> Sync for Lock<T, SPINS> {}

/// A mutex.
pub type Mutex<T> = Lock<T, false>;

/// The guard of a [`Lock`].
pub struct LockGuard<'a, T, const SPINS: bool>(ManuallyDrop<loom::sync::MutexGuard<'a, T>>);

impl<T, const SPINS: bool> Lock<T, SPINS> {
    pub fn new(value: T) -> Self {
        Self {
            alive: model::Alive::new(),
            inner: loom::sync::Mutex::new(value),
        }
    }

    pub fn lock(&self) -> LockGuard<'_, T, SPINS> {
        self.alive.check();
        if !SPINS {
            crate::task::might_sleep();
        }
        let guard = self.inner.lock().expect("no poison");
        self.alive.check();
        if SPINS {
            model::nest(1);
        }
        LockGuard(ManuallyDrop::new(guard))
    }
}

impl<T, const SPINS: bool> Deref for LockGuard<'_, T, SPINS> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T, const SPINS: bool> DerefMut for LockGuard<'_, T, SPINS> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T, const SPINS: bool> Drop for LockGuard<'_, T, SPINS> {
    fn drop(&mut self) {
        // SAFETY: It is not used any more.
        unsafe { ManuallyDrop::drop(&mut self.0) };
        if SPINS {
            model::nest(-1);
        }
    }
}

thread_local! {
    static BEFORE: Cell<i32> = const { Cell::new(0) };
    static SATURATED: Cell<Option<NonNull<Refcount>>> = const { Cell::new(None) };
}

/// Has new reference counts begin with so many references that nobody has.
pub fn begin_counts_at(before: i32) {
    BEFORE.set(before);
}

/// Has the count that has saturated have one reference, and returns whether there is such a count.
///
/// # Safety
///
/// It must be there.
pub unsafe fn end_saturation() -> bool {
    let Some(count) = SATURATED.take() else {
        return false;
    };
    // SAFETY: By the safety requirements of this function.
    unsafe { count.as_ref() }.0.xchg(1, Relaxed);
    true
}

/// A reference count.
pub struct Refcount(Atomic<i32>);

impl Refcount {
    /// Where a count stays that has saturated, far from both ends.
    const SATURATED: i32 = i32::MIN / 2;

    pub fn new(count: i32) -> Self {
        Self(Atomic::new(count + BEFORE.get()))
    }

    /// Puts a count that has overflowed, or had, where it stays.
    fn saturate(&self, old: i32) {
        let may_be = old == i32::MAX || old < Self::SATURATED / 2;
        assert!(may_be, "a count has wrapped");
        self.0.xchg(Self::SATURATED, Relaxed);
        SATURATED.set(Some(NonNull::from(self)));
    }

    pub fn inc(&self) {
        let old = self.0.fetch_add(1, Relaxed);
        assert!(old != 0, "a reference was taken when there was none");
        if old < 0 || old == i32::MAX {
            self.saturate(old);
        }
    }

    pub fn dec_and_test(&self) -> bool {
        let old = self.0.fetch_sub(1, atomic::Release);
        assert!(old != 0, "more references were dropped than taken");
        if old < 0 {
            self.saturate(old);
        }
        if old == 1 {
            atomic::fence_acquire();
        }
        old == 1
    }

    pub fn as_atomic(&self) -> &Atomic<i32> {
        &self.0
    }
}
