// SPDX-License-Identifier: GPL-2.0

//! Memory, which is filled with a pattern when it is freed, and not used again in the same execution.

use crate::{
    error::Result,
    model, //
};
use core::{
    alloc::Layout,
    ops::{
        Deref,
        DerefMut, //
    },
    pin::Pin,
    ptr::NonNull, //
};
use pinned_init::PinInit;

/// How to allocate.
#[derive(Clone, Copy)]
pub struct Flags;

pub mod flags {
    //! The values.

    use super::Flags;

    pub const GFP_ATOMIC: Flags = Flags;
    pub const GFP_KERNEL: Flags = Flags;
}

/// A box.
pub struct KBox<T>(NonNull<T>);

// SAFETY: It owns the value.
unsafe impl<T: Send> Send for KBox<T> {}
// SAFETY: As above.
unsafe impl<T: Sync> Sync for KBox<T> {}

fn allocate<T>() -> NonNull<T> {
    // SAFETY: Nothing of size zero is boxed.
    let memory = unsafe { std::alloc::alloc(Layout::new::<T>()) };
    model::count_box(1);
    NonNull::new(memory.cast()).expect("memory")
}

impl<T> KBox<T> {
    pub fn new(value: T, _flags: Flags) -> Result<Self> {
        let memory = allocate::<T>();
        // SAFETY: It was just allocated.
        unsafe { memory.as_ptr().write(value) };
        Ok(Self(memory))
    }

    pub fn try_pin_init<E>(init: impl PinInit<T, E>, _flags: Flags) -> Result<Pin<Self>, E> {
        let memory = allocate::<T>();
        // SAFETY: It was just allocated, and stays in place.
        let result = unsafe { init.__pinned_init(memory.as_ptr()) };
        if let Err(error) = result {
            // SAFETY: There is no value.
            drop(unsafe { KBox::from_raw(memory.as_ptr().cast::<core::mem::MaybeUninit<T>>()) });
            return Err(error);
        }
        // SAFETY: It stays in place.
        Ok(unsafe { Pin::new_unchecked(Self(memory)) })
    }

    pub fn leak<'a>(this: Self) -> &'a mut T {
        let memory = core::mem::ManuallyDrop::new(this).0;
        // SAFETY: Nothing else has it.
        unsafe { &mut *memory.as_ptr() }
    }

    pub fn into_raw(this: Self) -> *mut T {
        core::mem::ManuallyDrop::new(this).0.as_ptr()
    }

    /// # Safety
    ///
    /// As in the kernel crate.
    pub unsafe fn from_raw(raw: *mut T) -> Self {
        Self(NonNull::new(raw).expect("a box"))
    }
}

impl<T> Deref for KBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: It is ours.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for KBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: It is ours.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for KBox<T> {
    fn drop(&mut self) {
        let raw = self.0.as_ptr();
        // SAFETY: It is ours.
        unsafe { raw.drop_in_place() };
        // SAFETY: The memory is still there.
        unsafe { raw.cast::<u8>().write_bytes(model::POISON, size_of::<T>()) };
        model::count_box(-1);
        model::bury(raw.cast(), Layout::new::<T>());
    }
}

/// A vector.
pub struct KVVec<T>(Vec<T>);

impl<T> KVVec<T> {
    pub fn with_capacity(count: usize, _flags: Flags) -> Result<Self> {
        Ok(Self(Vec::with_capacity(count)))
    }

    pub fn push_within_capacity(&mut self, value: T) -> Result {
        self.0.push(value);
        Ok(())
    }
}

impl<T> Deref for KVVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a KVVec<T> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
