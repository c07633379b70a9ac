// SPDX-License-Identifier: GPL-2.0

//! Types that wrap others.

use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    mem::MaybeUninit,
    pin::Pin, //
};
use pinned_init::{
    pin_init_from_closure,
    PinInit, //
};

/// What C writes to.
#[repr(transparent)]
pub struct Opaque<T>(UnsafeCell<MaybeUninit<T>>);

impl<T> Opaque<T> {
    pub const fn uninit() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    pub fn ffi_init(init: impl FnOnce(*mut T)) -> impl PinInit<Self> {
        let init = move |slot: *mut Self| {
            init(slot.cast());
            Ok(())
        };
        // SAFETY: `Self` is transparent, and any bytes are valid for it.
        unsafe { pin_init_from_closure(init) }
    }

    pub const fn get(&self) -> *mut T {
        self.0.get().cast()
    }
}

/// Makes a guard one that stays in its thread.
pub type NotThreadSafe = PhantomData<*mut ()>;

/// The value of the type above.
#[allow(non_upper_case_globals)]
pub const NotThreadSafe: NotThreadSafe = PhantomData;

/// Projects a pin to the fields.
pub trait Project {
    type Fields;

    fn project(self) -> Self::Fields;
}

impl<'a, T> Project for Pin<&'a mut T> {
    type Fields = &'a mut T;

    fn project(self) -> &'a mut T {
        // SAFETY: The modelled sources only write to fields.
        unsafe { self.get_unchecked_mut() }
    }
}
