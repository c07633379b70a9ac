// SPDX-License-Identifier: GPL-2.0

//! Registration of a family, and what C calls.

use super::{
    DumpMessage,
    Family,
    Policy,
    Progress,
    Request, //
};
use crate::module::Live;
use core::{
    marker::PhantomData,
    ptr::addr_of_mut, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    ffi::{
        c_char,
        c_int,
        c_long, //
    },
    prelude::*,
    static_assert,
    sync::atomic::{
        Atomic,
        Full, //
    },
    types::Opaque, //
};
use wg_bindings as bindings;

/// The place for a family that is registered.
///
/// Dumps may use it even when the family is not registered anymore, hence it is static and filled
/// only once.
pub struct Descriptor<T: Family> {
    /// The family. Uninitialised before it is registered, and owned by C since.
    family: Opaque<bindings::genl_family>,

    /// Whether the family is or was registered.
    taken: Atomic<i32>,

    /// The functions of the family.
    _family: PhantomData<T>,
}

// SAFETY: Only the `Registration` that has set `taken` uses the family.
unsafe impl<T: Family> Sync for Descriptor<T> {}

impl<T: Family> Descriptor<T> {
    /// Makes the place.
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            family: Opaque::uninit(),
            taken: Atomic::new(0),
            _family: PhantomData,
        }
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
    /// registered already, [`EINVAL`] if its name is too long, and others.
    pub fn new(module: &'static ThisModule) -> Result<Self> {
        let live = Live::new()?;
        let descriptor = T::descriptor();
        if descriptor.taken.xchg(1, Full) != 0 {
            return Err(EBUSY);
        }
        let mut family = bindings::genl_family {
            version: u32::from(T::VERSION),
            split_ops: Adapter::<T>::SPLIT_OPS.as_ptr(),
            n_split_ops: SPLIT_OPS_COUNT,
            module: module.as_ptr().cast(),
            ..Default::default()
        };
        family.set_netnsok(1);
        let name = T::NAME.to_bytes();
        if name.len() >= family.name.len() {
            return Err(EINVAL);
        }
        for (to, from) in family.name.iter_mut().zip(name) {
            // CAST: Characters are bytes.
            *to = *from as c_char;
        }
        let place = descriptor.family.get();
        // SAFETY: The place is valid, and not used by others since it was just taken.
        unsafe { place.write(family) };
        // SAFETY: The family is valid and static.
        to_result(unsafe { bindings::genl_register_family(place) })?;
        // INVARIANT: The family was just registered.
        Ok(Self(descriptor, live))
    }
}

impl<T: Family> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: The family is registered by the type invariants.
        unsafe { bindings::genl_unregister_family(self.0.family.get()) };
    }
}

/// The number of commands.
const SPLIT_OPS_COUNT: u8 = 2;

/// What C calls.
struct Adapter<T: Family>(PhantomData<T>);

impl<T: Family> Adapter<T> {
    /// `genl_family::split_ops`.
    const SPLIT_OPS: &'static [bindings::genl_split_ops; SPLIT_OPS_COUNT as usize] = &[
        bindings::genl_split_ops {
            __bindgen_anon_1: bindings::genl_split_ops__bindgen_ty_1 {
                __bindgen_anon_2: bindings::genl_split_ops__bindgen_ty_1__bindgen_ty_2 {
                    start: Some(Self::start_callback),
                    dumpit: Some(Self::dumpit_callback),
                    done: Some(Self::done_callback),
                },
            },
            policy: Policy::as_raw(T::GET_POLICY).0,
            maxattr: Policy::as_raw(T::GET_POLICY).1 as u32,
            cmd: T::GET_COMMAND,
            internal_flags: 0,
            flags: (bindings::GENL_UNS_ADMIN_PERM | bindings::GENL_CMD_CAP_DUMP) as u8,
            validate: 0,
        },
        bindings::genl_split_ops {
            __bindgen_anon_1: bindings::genl_split_ops__bindgen_ty_1 {
                __bindgen_anon_1: bindings::genl_split_ops__bindgen_ty_1__bindgen_ty_1 {
                    pre_doit: None,
                    doit: Some(Self::doit_callback),
                    post_doit: None,
                },
            },
            policy: Policy::as_raw(T::SET_POLICY).0,
            maxattr: Policy::as_raw(T::SET_POLICY).1 as u32,
            cmd: T::SET_COMMAND,
            internal_flags: 0,
            flags: (bindings::GENL_UNS_ADMIN_PERM | bindings::GENL_CMD_CAP_DO) as u8,
            validate: 0,
        },
    ];

    /// Returns where the state of a dump is kept: a pointer to `T::Dump`, as a number.
    ///
    /// # Safety
    ///
    /// The dump must be valid.
    unsafe fn state(cb: *mut bindings::netlink_callback) -> *mut *mut T::Dump {
        static_assert!(size_of::<c_long>() >= size_of::<*mut ()>());
        // SAFETY: The dump is valid by the safety requirements.
        let args = unsafe { addr_of_mut!((*cb).__bindgen_anon_1.args) };
        // CAST: The first of the words holds the pointer.
        args.cast()
    }

    /// `genl_split_ops::start`.
    ///
    /// # Safety
    ///
    /// `cb` must be a dump of the family of `T`, the request of which was parsed by the policy of the
    /// command that gets, and that has not been started.
    unsafe extern "C" fn start_callback(cb: *mut bindings::netlink_callback) -> c_int {
        from_result(|| {
            // SAFETY: C passes a dump of generic netlink.
            let info = unsafe { bindings::genl_info_dump(cb) };
            // SAFETY: C has parsed the request by the policy for the command.
            let request = unsafe { Request::new(info, Policy::as_raw(T::GET_POLICY).1) };
            let state = KBox::new(T::start(&request)?, GFP_KERNEL)?;
            // SAFETY: C passes a valid dump.
            let place = unsafe { Self::state(cb) };
            // SAFETY: The place is valid, and for us to use.
            unsafe { place.write(KBox::into_raw(state)) };
            Ok(0)
        })
    }

    /// `genl_split_ops::dumpit`.
    ///
    /// # Safety
    ///
    /// [`Adapter::start_callback`] must have succeeded for `cb`, and [`Adapter::done_callback`] not have
    /// been called. `skb` must be valid and empty. Neither may be used by others for the call.
    unsafe extern "C" fn dumpit_callback(
        skb: *mut bindings::sk_buff,
        cb: *mut bindings::netlink_callback,
    ) -> c_int {
        // SAFETY: C passes a valid dump.
        let place = unsafe { Self::state(cb) };
        // SAFETY: The place has been filled when the dump was started.
        let state = unsafe { place.read() };
        // SAFETY: The state is valid until the dump is done, and nobody else uses it, as C calls
        // us once at a time.
        let state = unsafe { &mut *state };
        // SAFETY: C passes a buffer to fill and a dump of generic netlink.
        let mut message = unsafe { DumpMessage::new(skb, cb) };
        match T::dump(state, &mut message) {
            Ok(progress) => {
                let len = message.len();
                message.end();
                match progress {
                    // CAST: Buffers are smaller than that.
                    Progress::More => len as c_int,
                    Progress::Done => 0,
                }
            }
            Err(error) => {
                message.cancel();
                error.to_errno()
            }
        }
    }

    /// `genl_split_ops::done`.
    ///
    /// # Safety
    ///
    /// [`Adapter::start_callback`] must have succeeded for `cb`, and this not have been called.
    unsafe extern "C" fn done_callback(cb: *mut bindings::netlink_callback) -> c_int {
        // SAFETY: C passes a valid dump.
        let place = unsafe { Self::state(cb) };
        // SAFETY: The place has been filled when the dump was started.
        let state = unsafe { place.read() };
        // SAFETY: The pointer came from `KBox::into_raw`, and is not used anymore.
        drop(unsafe { KBox::from_raw(state) });
        0
    }

    /// `genl_split_ops::doit`.
    ///
    /// # Safety
    ///
    /// `info` must be a request that was parsed by the policy of the command that sets, and not be used
    /// by others.
    unsafe extern "C" fn doit_callback(
        _skb: *mut bindings::sk_buff,
        info: *mut bindings::genl_info,
    ) -> c_int {
        // SAFETY: C has parsed the request by the policy for the command.
        let mut request = unsafe { Request::new(info, Policy::as_raw(T::SET_POLICY).1) };
        from_result(|| T::set(&mut request).map(|()| 0))
    }
}
