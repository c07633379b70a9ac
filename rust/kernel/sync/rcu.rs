// SPDX-License-Identifier: GPL-2.0

//! Objects that RCU readers may access without taking a reference.
//!
//! An [`RcuArc`] is a reference to a reference-counted object, which is dropped a grace period after
//! the last reference. A reader under a [`Guard`] can therefore borrow the object from a [`Slot`] (or
//! from a [`HashTable`](hash::HashTable)) for as long as the guard lives, even if all references are
//! dropped meanwhile, and turn the [`Borrow`] into a reference if one is left.
//!
//! Types that are to live in an `RcuArc` are declared with [`rcu_object!`](crate::rcu_object).
//!
//! C header: [`include/linux/rcupdate.h`](srctree/include/linux/rcupdate.h)

pub mod hash;

use crate::module::Live;
use core::{
    marker::PhantomData,
    mem::{
        ManuallyDrop,
        MaybeUninit, //
    },
    ops::Deref,
    ptr::{
        null_mut,
        NonNull, //
    }, //
};
use kernel::{
    alloc::Flags,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Refcount, //
    },
    task::might_sleep,
    types::Opaque, //
};
use wg_bindings as bindings;

pub use crate::compat::rcu_barrier;
pub use kernel::sync::rcu::{
    read_lock,
    Guard, //
};

/// Reads an RCU-protected pointer, as C's `rcu_dereference()` does: accesses through it are ordered
/// after the read by the address dependency.
///
/// [`Atomic::load`] calls a function of the kernel, which takes longer than the read, and each packet
/// takes dozens of these.
#[inline(always)]
pub(crate) fn dereference<T>(pointer: &Atomic<*mut T>) -> *mut T {
    // SAFETY: The pointer is valid and aligned, and all other accesses to it are atomic. The
    // read is a volatile one, like that of `READ_ONCE()`, so it is neither split nor repeated.
    unsafe { pointer.as_ptr().read_volatile() }
}

/// The value to which C saturates a reference count that would overflow.
const SATURATED: i32 = i32::MIN / 2;

/// A type that may live in an [`RcuArc`]. Implemented by [`rcu_object!`](crate::rcu_object).
///
/// # Safety
///
/// [`Object::quiesce`] must stop whatever [`Object::bind`] has given the pointer to.
pub unsafe trait Object: Release + Send + Sync + Sized + 'static {
    /// Tells the object where it lives.
    ///
    /// # Safety
    ///
    /// `this` must contain `self` and stay valid until [`Object::quiesce`] has returned.
    unsafe fn bind(&self, this: NonNull<Inner<Self>>);

    /// Stops all callbacks into the object; called once before it is dropped.
    fn quiesce(&self);
}

/// What happens when the last reference to an object is gone.
pub trait Release {
    /// Called when the last reference was dropped, in the context of that drop, before the grace
    /// period that precedes [`Drop::drop`].
    fn release(&self) {}
}

/// Declares that a type may live in an [`RcuArc`](crate::sync::rcu::RcuArc).
///
/// A field of type [`Timers`](crate::timer::Timers) must be named, or its timers do nothing. Only such
/// a field can be named.
///
/// ```ignore
/// rcu_object!(Keypair);
/// rcu_object!(Peer, timers: timers);
/// ```
#[macro_export]
macro_rules! rcu_object {
    ($type:ty $(, timers: $timers:ident)?) => {
        // SAFETY: Only the timers get the pointer, and `shutdown` waits for their handlers.
        unsafe impl $crate::sync::rcu::Object for $type {
            unsafe fn bind(&self, _this: ::core::ptr::NonNull<$crate::sync::rcu::Inner<Self>>) {
                $(
                    // A pattern names a field of this very type, and a raw pointer is not coerced:
                    // it is timers, rather than something that leads to some.
                    let Self { $timers: timers, .. } = self;
                    let timers: *const $crate::timer::Timers<Self, _> = &raw const *timers;
                    // SAFETY: The pointer is that of the field. By the safety requirements of
                    // `bind`, and as the object contains the field.
                    unsafe { $crate::timer::Timers::bind(&*timers, _this) }
                )?
            }

            fn quiesce(&self) {
                $(
                    let Self { $timers: timers, .. } = self;
                    $crate::timer::Timers::shutdown(timers);
                )?
            }
        }
    };
}
pub use rcu_object;

/// The allocation behind an [`RcuArc`].
#[doc(hidden)]
#[pin_data]
#[repr(C)]
pub struct Inner<T> {
    refcount: Refcount,
    #[pin]
    rcu: Opaque<bindings::callback_head>,
    #[pin]
    data: T,
    live: Live,
}

/// A reference to an object that is dropped a grace period after its last reference.
///
/// # Invariants
///
/// The pointer is that of a valid [`Inner`], and the refcount includes this reference.
pub struct RcuArc<T: Object>(NonNull<Inner<T>>);

// SAFETY: `T` is `Send` and `Sync`, and dropped on whichever CPU runs the RCU callback.
unsafe impl<T: Object> Send for RcuArc<T> {}
// SAFETY: As above.
unsafe impl<T: Object> Sync for RcuArc<T> {}

impl<T: Object> RcuArc<T> {
    /// Allocates an object and initialises it in place.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it, [`ENODEV`] if there is no [`End`](crate::module::End)
    /// of the module, or the error of `init`.
    pub fn pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Self>
    where
        Error: From<E>,
    {
        let live = Live::new()?;
        let boxed = KBox::try_pin_init::<Error>(
            try_pin_init!(Inner {
                refcount: Refcount::new(1),
                rcu <- Opaque::uninit(),
                data <- init,
                live,
            }? Error),
            flags,
        )?;
        // SAFETY: The object stays where it is.
        let inner = NonNull::from(KBox::leak(unsafe { Pin::into_inner_unchecked(boxed) }));
        // INVARIANT: The count is one and this is the reference.
        let this = Self(inner);
        // SAFETY: `inner` contains the object, and `free_callback` calls `quiesce` first.
        unsafe { this.bind(inner) };
        Ok(this)
    }

    /// Returns a borrow of the object that lives as long as the reference.
    #[inline]
    pub fn borrow(&self) -> Borrow<'_, T> {
        Borrow(self.0, PhantomData)
    }

    /// Returns whether both refer to the same object.
    #[inline]
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        this.0 == other.0
    }

    /// Drops the reference. If it was the last one, returns the object, to be freed after a grace
    /// period.
    pub fn retire(this: Self) -> Option<Retired<T>> {
        let inner = this.0;
        // SAFETY: By the type invariants, the pointer is valid.
        let count = unsafe { (*inner.as_ptr()).refcount.as_atomic() };
        if count.cmpxchg(1, 0, Full).is_err() {
            return None;
        }
        this.release();
        core::mem::forget(this);
        // SAFETY: May be called from any context.
        let cookie = unsafe { bindings::get_state_synchronize_rcu() };
        // INVARIANT: The only reference was given up before the state was taken.
        Some(Retired { inner, cookie })
    }

    /// Gives up the reference without dropping it, and returns the object's address.
    pub(crate) fn into_raw(this: Self) -> *const T {
        let this = ManuallyDrop::new(this);
        // SAFETY: By the type invariants, the pointer is valid.
        unsafe { &raw const (*this.0.as_ptr()).data }
    }

    /// Takes back what [`RcuArc::into_raw`] gave up.
    ///
    /// # Safety
    ///
    /// `data` must come from `into_raw`, whose reference was not taken back yet.
    pub(crate) unsafe fn from_raw(data: *const T) -> Self {
        // SAFETY: By the safety requirements of this function, `data` is that field of an `Inner`.
        let inner = unsafe { kernel::container_of!(data.cast_mut(), Inner<T>, data) };
        // INVARIANT: By the safety requirements of this function.
        // SAFETY: It is not null, being the address of a valid object.
        Self(unsafe { NonNull::new_unchecked(inner) })
    }
}

impl<T: Object> Deref for RcuArc<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: By the type invariants, the object is valid while the reference lives.
        unsafe { &(*self.0.as_ptr()).data }
    }
}

impl<T: Object> Clone for RcuArc<T> {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: By the type invariants, the pointer is valid.
        unsafe { (*self.0.as_ptr()).refcount.inc() };
        // INVARIANT: The count was just raised for this reference.
        Self(self.0)
    }
}

impl<T: Object> Drop for RcuArc<T> {
    #[inline]
    fn drop(&mut self) {
        let inner = self.0.as_ptr();
        // SAFETY: By the type invariants, the pointer is valid.
        if unsafe { (*inner).refcount.dec_and_test() } {
            self.release();
            // SAFETY: The last reference is gone, and it was ours.
            unsafe { free_later(inner) };
        }
    }
}

/// An object whose last reference is gone, but which readers may still access.
///
/// # Invariants
///
/// The pointer is that of a valid [`Inner`] without references, which is ours alone a grace period
/// after `cookie` was taken.
pub struct Retired<T: Object> {
    inner: NonNull<Inner<T>>,
    cookie: usize,
}

// SAFETY: `T` is `Send` and `Sync`, and dropped on whichever CPU runs the RCU callback.
unsafe impl<T: Object> Send for Retired<T> {}

impl<T: Object + Unpin> Retired<T> {
    /// Returns the object. Waits for a grace period unless one has passed already. Process context
    /// only.
    pub fn into_inner(self) -> T {
        let this = ManuallyDrop::new(self);
        let inner = this.inner.as_ptr();
        might_sleep();
        // SAFETY: An FFI call that may sleep, as documented.
        unsafe { bindings::cond_synchronize_rcu(this.cookie) };
        // SAFETY: By the type invariants, the object is valid and ours.
        let data = unsafe { &raw mut (*inner).data };
        // SAFETY: As above.
        unsafe { (*data).quiesce() };
        // SAFETY: As above; it may be moved, and is not dropped where it was.
        let data = unsafe { data.read() };
        // SAFETY: As above.
        let live = unsafe { (&raw const (*inner).live).read() };
        // CAST: So that nothing of it is dropped again.
        let memory = inner.cast::<MaybeUninit<Inner<T>>>();
        // SAFETY: The memory came from a `KBox`, and is not reachable any more.
        drop(unsafe { KBox::from_raw(memory) });
        drop(live);
        data
    }
}

impl<T: Object> Drop for Retired<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the object has no references and is valid.
        unsafe { free_later(self.inner.as_ptr()) };
    }
}

/// Frees an object after a grace period.
///
/// # Safety
///
/// `inner` must be valid, have no references, and be given up by the caller.
unsafe fn free_later<T: Object>(inner: *mut Inner<T>) {
    // SAFETY: The pointer is valid until the callback frees it.
    let rcu = unsafe { (*inner).rcu.get() };
    // SAFETY: Nothing else has the head, and it lies in an `Inner<T>` that is alive.
    unsafe { bindings::call_rcu(rcu, Some(free_callback::<T>)) };
}

/// Frees an object whose last reference is gone.
///
/// # Safety
///
/// `rcu` must be that field of an `Inner<T>` to which no reference is left, and a grace period must
/// have passed since the last one was dropped.
unsafe extern "C" fn free_callback<T: Object>(rcu: *mut bindings::callback_head) {
    // CAST: `Opaque` is transparent.
    let rcu = rcu.cast::<Opaque<bindings::callback_head>>();
    // SAFETY: By the safety requirements of this function.
    let inner = unsafe { kernel::container_of!(rcu, Inner<T>, rcu) };
    // SAFETY: By the safety requirements of this function, the object is valid.
    unsafe { (*inner).data.quiesce() };
    // SAFETY: The object came from a `KBox`, and is not reachable any more.
    drop(unsafe { KBox::from_raw(inner) });
}

/// A borrow of an object in an [`RcuArc`], for the life of a reference or of an RCU guard.
///
/// # Invariants
///
/// The pointer is that of a valid [`Inner`] for `'a`.
pub struct Borrow<'a, T: Object>(NonNull<Inner<T>>, PhantomData<&'a T>);

impl<T: Object> Clone for Borrow<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Object> Copy for Borrow<'_, T> {}

impl<'a, T: Object> Borrow<'a, T> {
    /// Creates a borrow from a raw pointer.
    ///
    /// # Safety
    ///
    /// `inner` must be valid for `'a`.
    #[inline]
    pub(crate) unsafe fn from_raw(inner: NonNull<Inner<T>>) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(inner, PhantomData)
    }

    /// Takes a reference, unless the last one is gone already.
    #[inline]
    pub fn get(self) -> Option<RcuArc<T>> {
        // SAFETY: By the type invariants, the pointer is valid.
        let count = unsafe { (*self.0.as_ptr()).refcount.as_atomic() };
        let mut old = count.load(Relaxed);
        loop {
            // As in `refcount_inc_not_zero()`: what is saturated, or would be, is never freed.
            let new = match old.checked_add(1) {
                Some(1) => return None,
                Some(new @ 2..) => new,
                _ => SATURATED,
            };
            match count.cmpxchg(old, new, Relaxed) {
                // INVARIANT: The count was just raised for this reference.
                Ok(_) => return Some(RcuArc(self.0)),
                Err(current) => old = current,
            }
        }
    }

    /// Returns the object, for as long as it is borrowed.
    #[inline]
    pub fn into_ref(self) -> &'a T {
        // SAFETY: By the type invariants, the object is valid for `'a`.
        unsafe { &(*self.0.as_ptr()).data }
    }

    /// Returns whether `other` is the very same object.
    #[inline]
    pub fn is(self, other: &T) -> bool {
        core::ptr::eq(self.into_ref(), other)
    }
}

impl<T: Object> Deref for Borrow<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.into_ref()
    }
}

/// A place for a reference, from which RCU readers can borrow the object.
///
/// # Invariants
///
/// The pointer is null, or that of an [`Inner`] one of whose references the slot owns.
pub struct Slot<T: Object>(Atomic<*mut Inner<T>>, PhantomData<RcuArc<T>>);

// SAFETY: All accesses are atomic, and `T` is `Send` and `Sync`.
unsafe impl<T: Object> Send for Slot<T> {}
// SAFETY: As above.
unsafe impl<T: Object> Sync for Slot<T> {}

impl<T: Object> Slot<T> {
    /// Creates a slot that holds nothing.
    pub const fn empty() -> Self {
        // INVARIANT: The pointer is null.
        Self(Atomic::new(null_mut()), PhantomData)
    }

    /// Creates a slot that holds `value`.
    pub fn new(value: Option<RcuArc<T>>) -> Self {
        // INVARIANT: The reference is the slot's from now on.
        Self(Atomic::new(Self::raw(value)), PhantomData)
    }

    /// Returns the object in the slot.
    #[inline]
    pub fn load<'g>(&'g self, _guard: &'g Guard) -> Option<Borrow<'g, T>> {
        // Pairs with the full ordering of `swap`.
        let inner = NonNull::new(dereference(&self.0))?;
        // INVARIANT: The slot owned a reference a moment ago, and the object outlives that by a
        // grace period, which cannot end before the guard is dropped.
        Some(Borrow(inner, PhantomData))
    }

    /// Returns whether the slot holds `object`.
    #[inline]
    pub fn holds(&self, object: Borrow<'_, T>) -> bool {
        dereference(&self.0) == object.0.as_ptr()
    }

    /// Puts `value` in the slot and returns what it held.
    pub fn swap(&self, value: Option<RcuArc<T>>) -> Option<RcuArc<T>> {
        // INVARIANT: The slot owns the new reference, and the old one is the caller's.
        NonNull::new(self.0.xchg(Self::raw(value), Full)).map(RcuArc)
    }

    /// Converts a reference to its pointer, without dropping it.
    fn raw(value: Option<RcuArc<T>>) -> *mut Inner<T> {
        value.map_or(null_mut(), |value| ManuallyDrop::new(value).0.as_ptr())
    }
}

impl<T: Object> Drop for Slot<T> {
    fn drop(&mut self) {
        drop(self.swap(None));
    }
}

/// Waits for a grace period of the network stack.
///
/// Process context only. It is expedited while the RTNL is held.
pub fn synchronize_net() {
    might_sleep();
    // SAFETY: An FFI call that may sleep, as documented.
    unsafe { bindings::synchronize_net() };
}
