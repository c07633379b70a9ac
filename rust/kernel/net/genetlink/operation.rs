// SPDX-License-Identifier: GPL-2.0

//! The operations of a family, and the callbacks for each.

use super::{
    DumpMessage,
    Request, //
};
use crate::net::netlink::Policy;
use core::{
    marker::PhantomData,
    ptr::addr_of_mut, //
};
use kernel::{
    error::from_result,
    ffi::{
        c_int,
        c_long, //
    },
    prelude::*,
    static_assert, //
};
use wg_bindings as bindings;

/// An operation that carries out a request, and may answer it.
pub trait Do: 'static {
    /// The command.
    const COMMAND: u8;

    /// The attributes of a request.
    const POLICY: &'static [Policy];

    /// Carries out a request.
    fn doit(request: &mut Request<'_>) -> Result;
}

/// An operation that answers a request by a dump: as many messages as it takes.
///
/// The value is the progress of the dump. It is dropped when the dump has ended or was abandoned.
pub trait Dump: Send + Sized + 'static {
    /// The command.
    const COMMAND: u8;

    /// The attributes of a request.
    const POLICY: &'static [Policy];

    /// Begins a dump.
    fn start(request: &Request<'_>) -> Result<Self>;

    /// Fills one message of a dump.
    ///
    /// In case of an error the message is cancelled and the dump ends.
    fn fill(&mut self, message: &mut DumpMessage<'_>) -> Result<Progress>;
}

/// Whether a dump has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Another message is to be filled.
    More,

    /// This message was the last.
    Done,
}

/// A row in the table of a family's operations.
///
/// # Invariants
///
/// The callbacks are those of one of the adapters, and the policy is that of its operation.
#[repr(transparent)]
pub struct Operation(bindings::genl_split_ops);

impl Operation {
    /// Returns the row for an operation that carries out requests.
    #[inline]
    pub const fn doit<T: Do>() -> Self {
        let callbacks = bindings::genl_split_ops__bindgen_ty_1 {
            __bindgen_anon_1: bindings::genl_split_ops__bindgen_ty_1__bindgen_ty_1 {
                pre_doit: None,
                doit: Some(DoAdapter::<T>::doit_callback),
                post_doit: None,
            },
        };
        Self::new(T::COMMAND, T::POLICY, bindings::GENL_CMD_CAP_DO, callbacks)
    }

    /// Returns the row for an operation that dumps.
    #[inline]
    pub const fn dump<T: Dump>() -> Self {
        let callbacks = bindings::genl_split_ops__bindgen_ty_1 {
            __bindgen_anon_2: bindings::genl_split_ops__bindgen_ty_1__bindgen_ty_2 {
                start: Some(DumpAdapter::<T>::start_callback),
                dumpit: Some(DumpAdapter::<T>::dumpit_callback),
                done: Some(DumpAdapter::<T>::done_callback),
            },
        };
        Self::new(
            T::COMMAND,
            T::POLICY,
            bindings::GENL_CMD_CAP_DUMP,
            callbacks,
        )
    }

    /// Makes a row, or panics, as [`Operation::as_raw`] does, if the policy has no rows.
    #[inline]
    const fn new(
        cmd: u8,
        policy: &'static [Policy],
        kind: u32,
        callbacks: bindings::genl_split_ops__bindgen_ty_1,
    ) -> Self {
        let (policy, max) = Policy::as_raw(policy);
        // INVARIANT: The callers give both as they belong together.
        Self(bindings::genl_split_ops {
            __bindgen_anon_1: callbacks,
            policy,
            maxattr: max as u32,
            cmd,
            internal_flags: 0,
            // CAST: Flags are bits of a byte.
            flags: (bindings::GENL_UNS_ADMIN_PERM | kind) as u8,
            validate: 0,
        })
    }

    /// Returns a table in the form that C expects, with its length.
    ///
    /// # Panics
    ///
    /// If it is not sorted by command, with `do` before `dump`; or if there are too many rows.
    /// This function is for constants, so that it panics at compile time.
    #[inline]
    pub(super) const fn as_raw(table: &'static [Self]) -> (*const bindings::genl_split_ops, u8) {
        let mut at = 1;
        while at < table.len() {
            let (before, this) = (&table[at - 1], &table[at]);
            assert!(before.rank() < this.rank(), "operations are out of order");
            at += 1;
        }
        assert!(table.len() <= u8::MAX as usize, "too many operations");
        // CAST: `Operation` is transparent. The length was just asserted.
        (table.as_ptr().cast(), table.len() as u8)
    }

    /// Returns where in a table the row belongs.
    const fn rank(&self) -> u32 {
        let dumps = self.0.flags as u32 & bindings::GENL_CMD_CAP_DUMP != 0;
        (self.0.cmd as u32) << 1 | dumps as u32
    }
}

/// The callbacks for an operation that carries out requests.
struct DoAdapter<T: Do>(PhantomData<T>);

impl<T: Do> DoAdapter<T> {
    /// `genl_split_ops::doit`.
    ///
    /// # Safety
    ///
    /// `info` must be a request that was parsed by the policy of `T`, and not be used by others.
    unsafe extern "C" fn doit_callback(
        _skb: *mut bindings::sk_buff,
        info: *mut bindings::genl_info,
    ) -> c_int {
        // SAFETY: C has parsed the request by the policy of the operation.
        let mut request = unsafe { Request::new(info, Policy::as_raw(T::POLICY).1) };
        from_result(|| T::doit(&mut request).map(|()| 0))
    }
}

/// The callbacks for an operation that dumps.
struct DumpAdapter<T: Dump>(PhantomData<T>);

impl<T: Dump> DumpAdapter<T> {
    /// Returns where the state of a dump is kept: a pointer to a `T`, as a number.
    ///
    /// # Safety
    ///
    /// The dump must be valid.
    unsafe fn state(cb: *mut bindings::netlink_callback) -> *mut *mut T {
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
    /// `cb` must be a dump for which `T` is the operation, the request of which was parsed by the policy
    /// of `T`, and that has not been started.
    unsafe extern "C" fn start_callback(cb: *mut bindings::netlink_callback) -> c_int {
        from_result(|| {
            // SAFETY: C passes a dump of generic netlink.
            let info = unsafe { bindings::genl_info_dump(cb) };
            // SAFETY: C has parsed the request by the policy of the operation.
            let request = unsafe { Request::new(info, Policy::as_raw(T::POLICY).1) };
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
    /// [`DumpAdapter::start_callback`] must have succeeded for `cb`, and [`DumpAdapter::done_callback`]
    /// not have been called. `skb` must be valid and empty. Neither may be used by others for the call.
    unsafe extern "C" fn dumpit_callback(
        skb: *mut bindings::sk_buff,
        cb: *mut bindings::netlink_callback,
    ) -> c_int {
        // SAFETY: C passes a valid dump.
        let place = unsafe { Self::state(cb) };
        // SAFETY: The place has been filled when the dump was started.
        let state = unsafe { place.read() };
        // SAFETY: The state is valid until the dump is done, and nothing else uses it, as C calls
        // us once at a time.
        let state = unsafe { &mut *state };
        // SAFETY: C passes a buffer to fill and a dump of generic netlink.
        let mut message = unsafe { DumpMessage::new(skb, cb) };
        match state.fill(&mut message) {
            Ok(progress) => {
                let len = message.end();
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
    /// [`DumpAdapter::start_callback`] must have succeeded for `cb`, and this not have been called.
    unsafe extern "C" fn done_callback(cb: *mut bindings::netlink_callback) -> c_int {
        // SAFETY: C passes a valid dump.
        let place = unsafe { Self::state(cb) };
        // SAFETY: The place has been filled when the dump was started.
        let state = unsafe { place.read() };
        // SAFETY: The pointer came from `KBox::into_raw`, and is not used anymore.
        drop(unsafe { KBox::from_raw(state) });
        0
    }
}
