// SPDX-License-Identifier: GPL-2.0

//! A spin lock that keeps bottom halves off while it is held.
//!
//! It is the only spin lock exported here, so that data shared with softirqs cannot be locked in a way
//! that deadlocks.
//!
//! C header: [`include/linux/spinlock.h`](srctree/include/linux/spinlock.h)

use kernel::{
    ffi::c_char,
    sync::lock::{
        Backend,
        Guard,
        Lock, //
    }, //
};
use wg_bindings as bindings;

/// Creates a [`SpinLockBh`] initialiser with the given name and a lockdep class of its own.
#[macro_export]
macro_rules! new_spinlock_bh {
    ($inner:expr, $name:literal) => {
        $crate::sync::SpinLockBh::new(
            $inner,
            ::kernel::c_str!($name),
            ::kernel::static_lock_class!(),
        )
    };
}
pub use new_spinlock_bh;

/// A spin lock that keeps bottom halves off while it is held.
pub type SpinLockBh<T> = Lock<T, SpinLockBhBackend>;

/// The guard of a [`SpinLockBh`].
pub type SpinLockBhGuard<'a, T> = Guard<'a, T, SpinLockBhBackend>;

/// The [`Backend`] of [`SpinLockBh`].
pub struct SpinLockBhBackend;

// SAFETY: The C spin lock gives mutual exclusion, and `relock` is the default one, which locks as
// `lock` does.
unsafe impl Backend for SpinLockBhBackend {
    type State = bindings::spinlock_t;
    type GuardState = ();

    unsafe fn init(
        ptr: *mut Self::State,
        name: *const c_char,
        key: *mut kernel::bindings::lock_class_key,
    ) {
        // SAFETY: By the safety requirements of this function, `ptr` is valid for writes and
        // `name` and `key` stay valid. CAST: Both are `struct lock_class_key`.
        unsafe { bindings::wg_spin_lock_init(ptr, name, key.cast()) }
    }

    #[inline]
    unsafe fn lock(ptr: *mut Self::State) -> Self::GuardState {
        // SAFETY: By the safety requirements of this function, the lock is initialised.
        unsafe { bindings::wg_spin_lock_bh(ptr) }
    }

    #[inline]
    unsafe fn try_lock(ptr: *mut Self::State) -> Option<Self::GuardState> {
        // SAFETY: By the safety requirements of this function, the lock is initialised.
        unsafe { bindings::wg_spin_trylock_bh(ptr) }.then_some(())
    }

    #[inline]
    unsafe fn unlock(ptr: *mut Self::State, _guard_state: &Self::GuardState) {
        // SAFETY: By the safety requirements of this function, the caller owns the lock.
        unsafe { bindings::wg_spin_unlock_bh(ptr) }
    }

    unsafe fn assert_is_held(ptr: *mut Self::State) {
        // SAFETY: By the safety requirements of this function, the lock is initialised.
        unsafe { bindings::wg_assert_spin_locked(ptr) }
    }
}
