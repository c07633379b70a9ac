// SPDX-License-Identifier: GPL-2.0

//! Objects in a namespace that do not keep it alive: sockets of the kernel, and the routes by which
//! they send.
//!
//! Until it is released, a route is counted in memory of its namespace, and a socket uses its
//! namespace's memory, too. Both must be gone before the end of the namespace frees it. So each
//! [`Residence`] is counted there, and the end waits until there is none. A leaked one blocks the end,
//! and the kernel's log says so; but there is no use after free.
//!
//! C header: [`include/net/netns/generic.h`](srctree/include/net/netns/generic.h)

use crate::{
    module,
    sync::rcu, //
};
use core::ptr::{
    null_mut,
    NonNull, //
};
use kernel::{
    ffi::c_uint,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full,
        Relaxed, //
    },
    types::Opaque, //
};
use wg_bindings as bindings;

/// The `net_generic()` number of our memory in each namespace; C writes it.
struct Id(Opaque<c_uint>);

// SAFETY: It is written while the operations are being registered, before anybody reads it.
unsafe impl Sync for Id {}

static ID: Id = Id(Opaque::zeroed());

/// No operations are registered.
const NONE: i32 = 0;

/// Operations are being registered, or unregistered.
const BUSY: i32 = 1;

/// Operations are registered, and residences may be taken up.
const OPEN: i32 = 2;

static STATE: Atomic<i32> = Atomic::new(NONE);

/// Returns where C writes the number of our memory in each namespace.
pub(super) fn id() -> *mut c_uint {
    ID.0.get()
}

/// Has `register` register the operations that [`Residents`] is the memory of, unless there are such.
pub(super) fn open(register: impl FnOnce() -> Result) -> Result {
    STATE.cmpxchg(NONE, BUSY, Full).map_err(|_| EBUSY)?;
    let result = register();
    STATE.xchg(if result.is_ok() { OPEN } else { NONE }, Full);
    result
}

/// Has `unregister` unregister these operations, when residences can no longer be taken up.
pub(super) fn close(unregister: impl FnOnce()) {
    STATE.xchg(BUSY, Full);
    // All readers that have found them registered are done then.
    rcu::synchronize_net();
    unregister();
    STATE.xchg(NONE, Full);
}

/// The number of residences in a namespace. C allocates it with the namespace, all zeros, and
/// frees it when the operations' callback has returned.
#[repr(transparent)]
pub(super) struct Residents(Atomic<i64>);

impl Residents {
    /// Returns those of a namespace.
    ///
    /// # Safety
    ///
    /// For `'a` the operations must be registered and the namespace must not have ended.
    pub(super) unsafe fn of<'a>(net: *mut bindings::net) -> &'a Self {
        // SAFETY: By the safety requirements of this function, the number is written already.
        let id = unsafe { id().read() };
        // SAFETY: As above.
        let memory = unsafe { bindings::net_generic(net, id) };
        // CAST: The operations have the size of this type.
        // SAFETY: By the safety requirements, C has allocated it, and zeros are a number.
        unsafe { &*memory.cast::<Self>() }
    }

    /// Waits until there is none. Process context only.
    pub(super) fn wait_until_gone(&self) {
        module::wait_until_none(|| self.0.fetch_add(0, Full));
    }
}

/// The residence of an object in a namespace, for as long as the object refers to the namespace.
///
/// # Invariants
///
/// `at` is null, [`LEFT`], or that of [`Residents`] of which this is counted as one, as is `leaving`
/// save for the latter. So these are valid.
pub(crate) struct Residence {
    at: Atomic<*mut Residents>,
    leaving: Atomic<*mut Residents>,
}

/// Stands for a residence that cannot be taken up any more: an address at which there is no object.
const LEFT: *mut Residents = NonNull::dangling().as_ptr();

impl Residence {
    /// Creates one that is not taken up yet.
    pub(crate) const fn new() -> Self {
        // INVARIANT: Both are null.
        Self {
            at: Atomic::new(null_mut()),
            leaving: Atomic::new(null_mut()),
        }
    }

    /// Takes up residence in a namespace, unless it is taken up already. Returns whether it is, and in
    /// that namespace.
    ///
    /// # Safety
    ///
    /// The caller must be in a read-side critical section of RCU, and the namespace must be alive, or
    /// something else have its residence there meanwhile.
    pub(crate) unsafe fn take_up(&self, net: *mut bindings::net) -> bool {
        // Pairs with the exchange in `open`: the number is read after this.
        if STATE.load(Acquire) != OPEN {
            return false;
        }
        // SAFETY: The operations are registered: who unregisters them waits for this section. The
        // namespace has not ended, by the safety requirements.
        let residents = unsafe { Residents::of(net) };
        let new = core::ptr::from_ref(residents).cast_mut();
        if self.at.load(Relaxed) == new {
            return true;
        }
        residents.0.add(1, Relaxed);
        // INVARIANT: It was just counted.
        match self.at.cmpxchg(null_mut(), new, Full) {
            Ok(_) => true,
            Err(other) => {
                residents.0.fetch_sub(1, Full);
                other == new
            }
        }
    }

    /// Returns whether it is in the same namespace as `other`, or is not taken up yet.
    #[inline(always)]
    pub(crate) fn is_with(&self, other: &Self) -> bool {
        let at = rcu::dereference(&self.at);
        at.is_null() || at != LEFT && at == rcu::dereference(&other.at)
    }

    /// Begins to leave, unless that was done before, so that the residence cannot be taken up again.
    /// Calls `then` before [`leave`](Self::leave) can take effect.
    pub(crate) fn begin_to_leave(&self, then: impl FnOnce()) {
        let old = self.at.xchg(LEFT, Full);
        if old != LEFT {
            then();
            // INVARIANT: It is counted still, if it was taken up.
            self.leaving.xchg(old, Full);
        }
    }

    /// Calls `release`, and then leaves for good, if leaving has begun and was not completed before.
    ///
    /// All objects that belong to the namespace must be gone when `release` returns.
    pub(crate) fn leave(&self, release: impl FnOnce()) {
        // INVARIANT: It is not in `leaving` any more, and counted until it is left below.
        let Some(residents) = NonNull::new(self.leaving.xchg(null_mut(), Full)) else {
            return;
        };
        release();
        // SAFETY: By the type invariants, it was counted, so it is valid until this call.
        unsafe { Self::uncount(residents) };
    }

    /// Drops the count of one residence.
    ///
    /// # Safety
    ///
    /// It must have been, and not be used afterwards.
    unsafe fn uncount(residents: NonNull<Residents>) {
        // SAFETY: By the safety requirements of this function, it is valid, as its owner waits for it.
        unsafe { residents.as_ref() }.0.fetch_sub(1, Full);
    }
}

impl Drop for Residence {
    fn drop(&mut self) {
        self.begin_to_leave(|| ());
        self.leave(|| ());
    }
}
