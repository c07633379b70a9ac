// SPDX-License-Identifier: GPL-2.0

//! Messages of a dump.

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

/// A message of a dump that is being filled.
///
/// What does not fit is refused with [`EMSGSIZE`], and leaves the message as it was.
///
/// # Invariants
///
/// `skb` and `cb` are valid for `'a`. `header` is that of the last message in `skb`.
pub struct DumpMessage<'a> {
    /// The buffer.
    skb: *mut bindings::sk_buff,

    /// The dump that the message belongs to.
    cb: *mut bindings::netlink_callback,

    /// The header, if the message has begun.
    header: Option<NonNull<c_void>>,

    /// The buffer and the dump are borrowed.
    _borrow: PhantomData<&'a mut bindings::sk_buff>,
}

impl DumpMessage<'_> {
    /// Wraps a buffer.
    ///
    /// # Safety
    ///
    /// `skb` and `cb` must be valid for `'a`, and the latter a dump of generic netlink.
    pub(super) unsafe fn new(
        skb: *mut bindings::sk_buff,
        cb: *mut bindings::netlink_callback,
    ) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            skb,
            cb,
            header: None,
            _borrow: PhantomData,
        }
    }

    /// Begins the message. To be called once, before all else.
    ///
    /// If `generation` is not what it was in the message before, user space is told that the dump
    /// is inconsistent.
    pub fn begin(&mut self, command: u8, generation: u32) -> Result {
        if self.header.is_some() {
            return Err(EINVAL);
        }
        // SAFETY: The buffer and the dump are valid by the type invariants.
        let header =
            unsafe { bindings::wg_genlmsg_put_dump(self.skb, self.cb, generation, command) };
        // INVARIANT: The message was just begun.
        self.header = Some(NonNull::new(header).ok_or(EMSGSIZE)?);
        Ok(())
    }

    /// Adds an attribute.
    pub fn put(&mut self, type_: u16, payload: &[u8]) -> Result {
        let (len, payload) = self.check(payload)?;
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
        let (len, value) = self.check(&value)?;
        let (type_, pad) = (c_int::from(type_), c_int::from(pad));
        // SAFETY: The buffer is valid by the type invariants, and the value is borrowed.
        to_result(unsafe { bindings::nla_put_64bit(self.skb, type_, len, value, pad) })
    }

    /// Adds an attribute that contains those that `fill` adds.
    ///
    /// In case of an error it is taken back, with all that `fill` has added. To keep what did fit,
    /// `fill` returns that fact as a success.
    pub fn nest<R>(&mut self, type_: u16, fill: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        self.check(&[])?;
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

    /// Returns the length of what is in the buffer.
    #[expect(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        // SAFETY: The buffer is valid by the type invariants.
        let len = unsafe { (*self.skb).len };
        len as usize
    }

    /// Ends the message, if it has begun.
    pub(super) fn end(self) {
        if let Some(header) = self.header {
            // SAFETY: The buffer is valid, and the header is in it, by the type invariants.
            unsafe { bindings::genlmsg_end(self.skb, header.as_ptr()) };
        }
    }

    /// Takes the message back, if it has begun.
    pub(super) fn cancel(self) {
        if let Some(header) = self.header {
            // SAFETY: The buffer is valid, and the header is in it, by the type invariants.
            unsafe { bindings::genlmsg_cancel(self.skb, header.as_ptr()) };
        }
    }

    /// Checks that the message has begun, and returns a payload as C wants it.
    fn check(&self, payload: &[u8]) -> Result<(c_int, *const c_void)> {
        if self.header.is_none() {
            return Err(EINVAL);
        }
        let len = u16::try_from(payload.len()).map_err(|_| EMSGSIZE)?;
        Ok((c_int::from(len), payload.as_ptr().cast()))
    }
}
