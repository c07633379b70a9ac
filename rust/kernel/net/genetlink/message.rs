// SPDX-License-Identifier: GPL-2.0

//! Messages to user space.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*, //
};
use wg_bindings as bindings;

/// A message that is being filled.
///
/// An attribute that does not fit is refused with [`EMSGSIZE`], and leaves the message as it was.
///
/// # Invariants
///
/// `skb` is valid for `'a`. `header` is that of the last message in it.
pub struct Message<'a> {
    /// The buffer.
    skb: *mut bindings::sk_buff,

    /// The header of generic netlink.
    header: NonNull<c_void>,

    /// The buffer is borrowed.
    _borrow: PhantomData<&'a mut bindings::sk_buff>,
}

impl Message<'_> {
    /// Wraps a message that `begin` begins in a buffer, which returns null if it does not fit.
    ///
    /// # Safety
    ///
    /// `skb` must be valid for `'a`, and not be used by others.
    unsafe fn begin(
        skb: *mut bindings::sk_buff,
        begin: impl FnOnce() -> *mut c_void,
    ) -> Result<Self> {
        // INVARIANT: By the safety requirements, and as the message was just begun.
        Ok(Self {
            skb,
            header: NonNull::new(begin()).ok_or(EMSGSIZE)?,
            _borrow: PhantomData,
        })
    }

    /// Adds an attribute.
    pub fn put(&mut self, type_: u16, payload: &[u8]) -> Result {
        let (len, payload) = as_raw(payload)?;
        let type_ = c_int::from(type_);
        // SAFETY: The buffer is valid by the type invariants, and the payload is borrowed.
        to_result(unsafe { bindings::nla_put(self.skb, type_, len, payload) })
    }

    /// Adds an attribute that is an integer of 8 bits.
    pub fn put_u8(&mut self, type_: u16, value: u8) -> Result {
        self.put(type_, &value.to_ne_bytes())
    }

    /// Adds an attribute that is an integer of 16 bits.
    pub fn put_u16(&mut self, type_: u16, value: u16) -> Result {
        self.put(type_, &value.to_ne_bytes())
    }

    /// Adds an attribute that is an integer of 32 bits.
    pub fn put_u32(&mut self, type_: u16, value: u32) -> Result {
        self.put(type_, &value.to_ne_bytes())
    }

    /// Adds an attribute that is an integer of 64 bits, preceded if need be by one of type `pad`
    /// that aligns it.
    pub fn put_u64(&mut self, type_: u16, value: u64, pad: u16) -> Result {
        let value = value.to_ne_bytes();
        let (len, value) = as_raw(&value)?;
        let (type_, pad) = (c_int::from(type_), c_int::from(pad));
        // SAFETY: The buffer is valid by the type invariants, and the value is borrowed.
        to_result(unsafe { bindings::nla_put_64bit(self.skb, type_, len, value, pad) })
    }

    /// Adds an attribute that contains those that `fill` adds.
    ///
    /// In case of an error it is removed again, with all that `fill` has added. To keep the part that
    /// did fit, `fill` returns success.
    pub fn nest<R>(&mut self, type_: u16, fill: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let skb = self.skb;
        // SAFETY: The buffer is valid by the type invariants.
        let nest = unsafe { bindings::nla_nest_start(skb, c_int::from(type_)) };
        if nest.is_null() {
            return Err(EMSGSIZE);
        }
        let result = fill(self);
        if result.is_ok() {
            // SAFETY: The attribute is in the buffer: attributes are added only behind it, and only
            // those are taken back.
            unsafe { bindings::nla_nest_end(skb, nest) };
        } else {
            // SAFETY: The attribute is in the buffer: attributes are added only behind it, and only
            // those are taken back.
            unsafe { bindings::nla_nest_cancel(skb, nest) };
        }
        result
    }

    /// Ends the message.
    fn end(self) {
        // SAFETY: The buffer is valid, and the header is in it, by the type invariants.
        unsafe { bindings::genlmsg_end(self.skb, self.header.as_ptr()) };
    }

    /// Cancels the message.
    fn cancel(self) {
        // SAFETY: The buffer is valid, and the header is in it, by the type invariants.
        unsafe { bindings::genlmsg_cancel(self.skb, self.header.as_ptr()) };
    }
}

/// Returns a payload in the form that C expects.
fn as_raw(payload: &[u8]) -> Result<(c_int, *const c_void)> {
    let len = u16::try_from(payload.len()).map_err(|_| EMSGSIZE)?;
    Ok((c_int::from(len), payload.as_ptr().cast()))
}

/// A message of a dump, which has not begun yet.
///
/// # Invariants
///
/// `skb` and `cb` are valid for `'a`.
pub struct DumpMessage<'a> {
    /// The buffer.
    skb: *mut bindings::sk_buff,

    /// The dump that the message belongs to.
    cb: *mut bindings::netlink_callback,

    /// The message, if it has begun.
    message: Option<Message<'a>>,
}

impl<'a> DumpMessage<'a> {
    /// Wraps a buffer.
    ///
    /// # Safety
    ///
    /// `skb` and `cb` must be valid for `'a`, and the latter a dump of generic netlink. Neither may be
    /// used by others.
    pub(super) unsafe fn new(
        skb: *mut bindings::sk_buff,
        cb: *mut bindings::netlink_callback,
    ) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            skb,
            cb,
            message: None,
        }
    }

    /// Begins the message, once.
    ///
    /// If `generation` is not what it was in the message before, user space is told that the dump
    /// is inconsistent.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if it has begun already, [`EMSGSIZE`] if it does not fit.
    pub fn begin(&mut self, command: u8, generation: u32) -> Result<&mut Message<'a>> {
        if self.message.is_some() {
            return Err(EINVAL);
        }
        let (skb, cb) = (self.skb, self.cb);
        let begin = || {
            // SAFETY: The buffer and the dump are valid by the type invariants.
            unsafe { bindings::wg_genlmsg_put_dump(skb, cb, generation, command) }
        };
        // SAFETY: By the type invariants.
        let message = unsafe { Message::begin(skb, begin) }?;
        Ok(self.message.insert(message))
    }

    /// Ends the message, if it has begun, and returns the length of the buffer's contents.
    pub(super) fn end(self) -> u32 {
        if let Some(message) = self.message {
            message.end();
        }
        // SAFETY: The buffer is valid by the type invariants.
        unsafe { (*self.skb).len }
    }

    /// Cancels the message, if it has begun.
    pub(super) fn cancel(self) {
        if let Some(message) = self.message {
            message.cancel();
        }
    }
}

/// Fills a message in a new buffer, which the caller is to send.
///
/// It is from `family`, and for the socket `portid`, as the answer to its request number `seq`; both
/// are 0 if it answers none.
///
/// # Safety
///
/// `family` must be one that is registered, or was.
pub(super) unsafe fn fill(
    family: *const bindings::genl_family,
    (portid, seq): (u32, u32),
    command: u8,
    flags: bindings::gfp_t,
    fill: impl FnOnce(&mut Message<'_>) -> Result,
) -> Result<*mut bindings::sk_buff> {
    // SAFETY: An FFI call that needs a context which the flags suit, and nothing else.
    let skb =
        unsafe { bindings::genlmsg_new(bindings::RUST_CONST_HELPER_GENLMSG_DEFAULT_SIZE, flags) };
    if skb.is_null() {
        return Err(ENOMEM);
    }
    let begin = || {
        // SAFETY: The buffer was just allocated, and the family is valid by the safety requirements.
        unsafe { bindings::genlmsg_put(skb, portid, seq, family, 0, command) }
    };
    // SAFETY: The buffer was just allocated, and the message does not outlive it.
    let filled = unsafe { Message::begin(skb, begin) }.and_then(|mut message| {
        fill(&mut message)?;
        message.end();
        Ok(skb)
    });
    if filled.is_err() {
        // SAFETY: It is ours, and it is not used any more.
        unsafe { bindings::nlmsg_free(skb) };
    }
    filled
}
