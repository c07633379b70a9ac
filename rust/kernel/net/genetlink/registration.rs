// SPDX-License-Identifier: GPL-2.0

//! Registration of a family.

use super::{
    Family,
    Group,
    Operation, //
};
use crate::{
    module::Live,
    sync::rcu, //
};
use core::marker::PhantomData;
use kernel::{
    error::to_result,
    ffi::c_char,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full, //
    },
    types::Opaque, //
};
use wg_bindings as bindings;

/// The family was never registered.
const UNUSED: i32 = 0;

/// The family is being registered, or could not be, or is no longer registered.
const TAKEN: i32 = 1;

/// The family is registered.
const REGISTERED: i32 = 2;

/// The storage of a family that is registered.
///
/// Dumps may use it even when the family is not registered anymore, hence it is static and filled
/// only once.
pub struct Descriptor<T: Family> {
    /// The family. Uninitialised before it is registered, and owned by C since.
    family: Opaque<bindings::genl_family>,

    /// The state of the family.
    state: Atomic<i32>,

    /// The type of the family.
    _family: PhantomData<T>,
}

// SAFETY: Only the `Registration` that has taken the place writes to it, before others read it.
unsafe impl<T: Family> Sync for Descriptor<T> {}

impl<T: Family> Descriptor<T> {
    /// Creates the descriptor of a family that was not registered yet.
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            family: Opaque::uninit(),
            state: Atomic::new(UNUSED),
            _family: PhantomData,
        }
    }

    /// Returns the family, if it is registered. It stays so at least for the lifetime of the guard.
    pub(super) fn registered(&self, _guard: &rcu::Guard) -> Option<*const bindings::genl_family> {
        // Pairs with `Full` in `Registration::new`.
        let registered = self.state.load(Acquire) == REGISTERED;
        registered.then_some(self.family.get().cast_const())
    }
}

/// The registration of a family.
///
/// # Invariants
///
/// The descriptor is taken and registered by this.
pub struct Registration<T: Family>(&'static Descriptor<T>, Live);

impl<T: Family> Registration<T> {
    /// Registers the family, which belongs to the given module.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if the module has no [`End`](crate::module::End), [`EBUSY`] if `T` is or was
    /// registered already, [`EEXIST`] if there is a family of that name, [`ENOMEM`] if there is no
    /// memory for it.
    pub fn new(module: &'static ThisModule) -> Result<Self> {
        let live = Live::new()?;
        let descriptor = T::descriptor();
        descriptor
            .state
            .cmpxchg(UNUSED, TAKEN, Full)
            .map_err(|_| EBUSY)?;
        let (split_ops, n_split_ops) = const { Operation::as_raw(T::OPERATIONS) };
        let (mcgrps, n_mcgrps) = const { Group::as_raw(T::GROUPS) };
        let mut family = bindings::genl_family {
            version: u32::from(T::VERSION),
            split_ops,
            n_split_ops,
            mcgrps,
            n_mcgrps,
            module: module.as_ptr().cast(),
            ..Default::default()
        };
        family.set_netnsok(1);
        const {
            let len = T::NAME.to_bytes().len();
            assert!(len < bindings::GENL_NAMSIZ as usize, "the name is too long");
        }
        for (to, from) in family.name.iter_mut().zip(T::NAME.to_bytes()) {
            // CAST: Characters are bytes.
            *to = *from as c_char;
        }
        let place = descriptor.family.get();
        // SAFETY: The place is valid, and not used by others since it was just taken.
        unsafe { place.write(family) };
        // SAFETY: The family is valid and static.
        to_result(unsafe { bindings::genl_register_family(place) })?;
        descriptor.state.xchg(REGISTERED, Full);
        // INVARIANT: The family was just registered.
        Ok(Self(descriptor, live))
    }
}

impl<T: Family> Drop for Registration<T> {
    fn drop(&mut self) {
        if !T::GROUPS.is_empty() {
            self.0.state.xchg(TAKEN, Full);
            // The group numbers may be given to another family next.
            rcu::synchronize_net();
        }
        // SAFETY: The family is registered by the type invariants.
        unsafe { bindings::genl_unregister_family(self.0.family.get()) };
    }
}
