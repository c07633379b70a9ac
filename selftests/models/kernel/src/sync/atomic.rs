// SPDX-License-Identifier: GPL-2.0

//! Atomics, each of which is one of loom's.
//!
//! `Full` is what the kernel means by it: a full barrier before and after. Loom orders its atomics as C11
//! does, save that it knows no consume: [`View::read_volatile`], by which the driver reads RCU's pointers,
//! acquires. It does not move a write before a read of the same thread either. It lets a write that comes
//! after a read-modify-write be overwritten by that, so a relaxed write of a number is an exchange.

use crate::model::{
    Alive,
    Place, //
};
use core::marker::PhantomData;
use loom::sync::atomic::{
    fence,
    Ordering, //
};

/// An ordering.
pub trait Order: Copy {
    const LOAD: Ordering;
    const STORE: Ordering;
    const EXCHANGE: Ordering;
    const FULL: bool = false;
}

macro_rules! orders {
    ($($name:ident: $load:ident, $store:ident, $exchange:ident, $full:literal;)*) => {
        $(
            #[derive(Clone, Copy)]
            pub struct $name;

            impl Order for $name {
                const LOAD: Ordering = Ordering::$load;
                const STORE: Ordering = Ordering::$store;
                const EXCHANGE: Ordering = Ordering::$exchange;
                const FULL: bool = $full;
            }
        )*
    };
}

orders! {
    Relaxed: Relaxed, Relaxed, Relaxed, false;
    Acquire: Acquire, Relaxed, Acquire, false;
    Release: Relaxed, Release, Release, false;
    Full: Acquire, Release, AcqRel, true;
}

/// A full barrier.
pub fn smp_mb() {
    fence(Ordering::SeqCst);
}

/// What the control dependency at the end of a reference count gives.
pub(super) fn fence_acquire() {
    fence(Ordering::Acquire);
}

/// A type that atomics may have.
pub trait Value: Copy {
    const IS_NUMBER: bool = false;

    fn to_bits(self) -> u64;
    fn from_bits(bits: u64) -> Self;
}

macro_rules! values {
    ($($type:ty),*) => {
        $(impl Value for $type {
            const IS_NUMBER: bool = true;

            fn to_bits(self) -> u64 {
                self as u64
            }

            fn from_bits(bits: u64) -> Self {
                bits as $type
            }
        })*
    };
}

values!(u32, i32, u64, i64, usize);

impl Value for bool {
    fn to_bits(self) -> u64 {
        u64::from(self)
    }

    fn from_bits(bits: u64) -> Self {
        bits != 0
    }
}

impl<T> Value for *mut T {
    fn to_bits(self) -> u64 {
        self as usize as u64
    }

    fn from_bits(bits: u64) -> Self {
        bits as usize as *mut T
    }
}

/// An atomic.
///
/// `new` is `const`, so what loom keeps of it is made by the model beforehand, as zero, and given to it when
/// it is first used: it holds the difference from the value that it began with.
pub struct Atomic<T> {
    alive: Alive,
    place: Place,
    first: T,
}

// SAFETY: A model runs in one thread of the system.
unsafe impl<T> Send for Atomic<T> {}
// SAFETY: As above.
unsafe impl<T> Sync for Atomic<T> {}

impl<T: Value> Atomic<T> {
    pub const fn new(first: T) -> Self {
        Self {
            alive: Alive::new(),
            place: Place::new(),
            first,
        }
    }

    fn with<R>(&self, f: impl FnOnce(&loom::sync::atomic::AtomicU64) -> R) -> R {
        self.alive.check();
        let atomic = self.place.atomic();
        let result = f(&atomic);
        // Another thread may have freed it before loom let this one go on.
        self.alive.check();
        result
    }

    fn with_full<O: Order, R>(
        &self,
        _: O,
        f: impl FnOnce(&loom::sync::atomic::AtomicU64) -> R,
    ) -> R {
        if O::FULL {
            smp_mb();
        }
        let result = self.with(f);
        if O::FULL {
            smp_mb();
        }
        result
    }

    /// Converts to what loom holds.
    fn inside(&self, value: T) -> u64 {
        value.to_bits().wrapping_sub(self.first.to_bits())
    }

    /// Converts from what loom holds.
    fn outside(&self, bits: u64) -> T {
        T::from_bits(bits.wrapping_add(self.first.to_bits()))
    }

    pub fn load<O: Order>(&self, _: O) -> T {
        assert!(!O::FULL);
        self.outside(self.with(|atomic| atomic.load(O::LOAD)))
    }

    pub fn store<O: Order>(&self, value: T, _: O) {
        assert!(!O::FULL);
        let value = self.inside(value);
        self.with(|atomic| match O::STORE {
            Ordering::Relaxed if T::IS_NUMBER => drop(atomic.swap(value, O::STORE)),
            _ => atomic.store(value, O::STORE),
        });
    }

    pub fn xchg<O: Order>(&self, value: T, order: O) -> T {
        let new = self.inside(value);
        self.outside(self.with_full(order, |atomic| atomic.swap(new, O::EXCHANGE)))
    }

    pub fn cmpxchg<O: Order>(&self, old: T, new: T, order: O) -> Result<T, T> {
        let (old, new) = (self.inside(old), self.inside(new));
        // One that fails orders nothing.
        if O::FULL {
            let found = self.with(|atomic| atomic.load(Ordering::Relaxed));
            if found != old {
                return Err(self.outside(found));
            }
        }
        self.with_full(order, |atomic| {
            atomic.compare_exchange(old, new, O::EXCHANGE, Ordering::Relaxed)
        })
        .map(|bits| self.outside(bits))
        .map_err(|bits| self.outside(bits))
    }

    pub fn fetch_add<O: Order>(&self, value: T, order: O) -> T {
        let value = value.to_bits();
        self.outside(self.with_full(order, |atomic| atomic.fetch_add(value, O::EXCHANGE)))
    }

    pub fn fetch_sub<O: Order>(&self, value: T, order: O) -> T {
        let value = value.to_bits().wrapping_neg();
        self.outside(self.with_full(order, |atomic| atomic.fetch_add(value, O::EXCHANGE)))
    }

    pub fn add<O: Order>(&self, value: T, order: O) {
        self.fetch_add(value, order);
    }

    /// In place of a pointer, whose accesses loom would not see.
    pub fn as_ptr(&self) -> View<T> {
        View(self, PhantomData)
    }
}

/// What stands for a pointer to the value of an atomic.
pub struct View<T>(*const Atomic<T>, PhantomData<T>);

impl<T: Value> View<T> {
    /// # Safety
    ///
    /// The atomic must be there.
    pub unsafe fn read_volatile(self) -> T {
        // SAFETY: By the safety requirements of this function.
        unsafe { &*self.0 }.load(Acquire)
    }
}
