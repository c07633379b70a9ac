// SPDX-License-Identifier: GPL-2.0

//! The data of a packet, and the room around them.

use super::SkBuff;
use crate::{
    compat::u32_as_usize,
    task::MAX_BY_VALUE, //
};
use core::{
    ptr::NonNull,
    slice, //
};
use wg_bindings as bindings;

impl SkBuff {
    /// Returns the number of bytes of data.
    #[inline]
    pub fn len(&self) -> u32 {
        self.raw().len
    }

    /// Returns how much memory it takes.
    #[inline]
    pub fn truesize(&self) -> u32 {
        self.raw().truesize
    }

    /// Returns whether there are no data.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of linear bytes, at the start of the data.
    #[inline]
    pub fn linear_len(&self) -> u32 {
        self.raw().len.wrapping_sub(self.raw().data_len)
    }

    /// Returns whether all data are linear.
    #[inline]
    pub fn is_linear(&self) -> bool {
        self.raw().data_len == 0
    }

    /// Returns whether the data are shared with other buffers, and hence must not be written to.
    #[inline]
    pub fn is_cloned(&self) -> bool {
        // SAFETY: By the type invariants, the buffer is valid.
        self.raw().cloned() != 0 && unsafe { bindings::skb_cloned(self.as_raw()) }
    }

    /// Returns the headroom.
    #[inline]
    pub fn headroom(&self) -> u32 {
        self.offset_of_data()
    }

    /// Returns the tailroom, which is zero unless the data are linear.
    #[inline]
    pub fn tailroom(&self) -> u32 {
        if self.is_linear() {
            self.offset_of_end().wrapping_sub(self.offset_of_tail())
        } else {
            0
        }
    }

    /// Copies the bytes from `offset` on to `out`; returns whether there are that many.
    #[inline]
    pub fn copy_bits(&self, offset: u32, out: &mut [u8]) -> bool {
        let Ok(len) = u32::try_from(out.len()) else {
            return false;
        };
        // SAFETY: `out` has as many bytes.
        unsafe { self.copy_bits_to(offset, out.as_mut_ptr(), len) }
    }

    /// Copies `len` bytes from `offset` on to `out`; returns whether there are that many.
    ///
    /// # Safety
    ///
    /// `out` must be valid for writes of `len` bytes, and not be part of the data.
    #[inline]
    pub(super) unsafe fn copy_bits_to(&self, offset: u32, out: *mut u8, len: u32) -> bool {
        let Some(end) = offset.checked_add(len) else {
            return false;
        };
        if end <= self.linear_len() {
            // SAFETY: The linear data are as long as this, and by the safety requirements, `out` is as
            // well, and not part of them.
            unsafe { out.copy_from_nonoverlapping(self.at(offset), u32_as_usize(len)) };
            return true;
        }
        // Of what the kernel's function does for each fragment before, this is a small part.
        if let Some(data) = self.contiguous(offset, 0, len) {
            // SAFETY: There are as many bytes, and by the safety requirements, `out` is as long, and not part of
            // them.
            unsafe { out.copy_from_nonoverlapping(data.as_ptr(), u32_as_usize(len)) };
            return true;
        }
        let (Ok(offset), Ok(len)) = (i32::try_from(offset), i32::try_from(len)) else {
            return false;
        };
        if end > self.len() {
            return false;
        }
        // SAFETY: The buffer is valid, and by the safety requirements, `out` has room for as many bytes.
        unsafe { bindings::skb_copy_bits(self.as_raw(), offset, out.cast(), len) == 0 }
    }

    /// Returns where the `len` bytes from `offset` on are, if they are contiguous in memory that does
    /// not change, with `before` bytes of any contents in front of them, which may change.
    #[inline]
    pub(crate) fn contiguous(&self, offset: u32, before: u32, len: u32) -> Option<NonNull<u8>> {
        // SAFETY: By the type invariants, the buffer is valid.
        let data = unsafe { bindings::wg_skb_contiguous(self.as_raw(), offset, before, len) };
        NonNull::new(data.cast())
    }

    /// Returns the first `len` bytes, if they are linear.
    #[inline]
    pub fn linear(&self, len: u32) -> Option<&[u8]> {
        if len > self.linear_len() {
            return None;
        }
        let len = u32_as_usize(len);
        // SAFETY: The linear data are as long as this, and do not change while they are borrowed.
        Some(unsafe { slice::from_raw_parts(self.raw().data, len) })
    }

    /// Returns the first `len` bytes for writing, if they are linear and not shared.
    ///
    /// The caller must keep checksums right.
    pub fn own_linear_mut(&mut self, len: u32) -> Option<&mut [u8]> {
        if len > self.linear_len() || self.is_cloned() {
            return None;
        }
        let data = self.raw().data;
        // SAFETY: The linear data are as long as this, and nothing else refers to them, nor to the
        // buffer, which is borrowed with them.
        Some(unsafe { slice::from_raw_parts_mut(data, u32_as_usize(len)) })
    }

    /// Returns the first `N` bytes, at most [`MAX_BY_VALUE`], if they are linear.
    #[inline]
    pub fn head<const N: usize>(&self) -> Option<[u8; N]> {
        const { assert!(N <= MAX_BY_VALUE) };
        let len = u32::try_from(N).ok()?;
        self.linear(len)?.first_chunk().copied()
    }

    /// Overwrites the linear bytes with zeros, if they are not shared.
    pub fn wipe_linear(&mut self) {
        if self.is_cloned() {
            return;
        }
        let data = self.raw().data;
        let len = u32_as_usize(self.linear_len());
        // SAFETY: The linear data are as long as this, and nothing else refers to them.
        unsafe { bindings::memzero_explicit(data.cast(), len) };
    }

    /// Makes the first `len` bytes linear. Returns whether that was possible.
    #[inline]
    pub fn pull_linear(&mut self, len: u32) -> bool {
        // SAFETY: By the type invariants, the buffer is valid and not shared.
        unsafe { bindings::pskb_may_pull(self.as_raw(), len) }
    }

    /// Removes all bytes behind the first `len`. Returns whether that was possible.
    #[inline]
    pub fn trim(&mut self, len: u32) -> bool {
        // SAFETY: By the type invariants, the buffer is valid and not shared.
        len >= self.len() || unsafe { bindings::pskb_trim(self.as_raw(), len) == 0 }
    }

    /// Returns whether the data are linear and not shared.
    #[inline]
    pub(crate) fn is_writable(&self) -> bool {
        self.is_linear() && !self.is_cloned()
    }

    /// Returns where the data begin, as bytes from the head.
    #[inline]
    fn offset_of_data(&self) -> u32 {
        // CAST: The difference is less than the size of an allocation, which is less than 2^32.
        (self.raw().data as usize).wrapping_sub(self.raw().head as usize) as u32
    }

    /// Returns where the linear data end, as bytes from the head.
    #[inline]
    pub(super) fn offset_of_tail(&self) -> u32 {
        self.offset(self.raw().tail)
    }

    /// Returns where the linear room ends, as bytes from the head.
    #[inline]
    pub(super) fn offset_of_end(&self) -> u32 {
        self.offset(self.raw().end)
    }

    /// Returns `position` as bytes from the head.
    #[cfg(CONFIG_64BIT)]
    #[inline]
    fn offset(&self, position: bindings::sk_buff_data_t) -> u32 {
        position
    }

    /// Returns `position` as bytes from the head.
    #[cfg(not(CONFIG_64BIT))]
    #[inline]
    fn offset(&self, position: bindings::sk_buff_data_t) -> u32 {
        // CAST: As in `offset_of_data`.
        (position as usize).wrapping_sub(self.raw().head as usize) as u32
    }

    /// Returns a pointer `offset` bytes into the data.
    #[inline]
    pub(crate) fn at(&self, offset: u32) -> *mut u8 {
        self.raw().data.wrapping_add(u32_as_usize(offset))
    }

    /// Returns a pointer to the end of the linear data.
    #[inline]
    pub(crate) fn tail(&self) -> *mut u8 {
        self.at(self.linear_len())
    }

    /// Moves the end of the data `len` bytes further (`skb_put()`).
    ///
    /// # Safety
    ///
    /// The data must be linear, and the tailroom at least `len` bytes, which are initialised.
    #[inline]
    pub(crate) unsafe fn put(&mut self, len: u32) {
        let raw = self.raw_mut();
        raw.len = raw.len.wrapping_add(len);
        raw.tail = advance(raw.tail, len);
    }

    /// Prepends `header` to the data, which become the inner network header.
    ///
    /// # Safety
    ///
    /// The headroom must be at least as long as `header`, and nothing else may refer to it.
    #[inline]
    pub(crate) unsafe fn push_header(&mut self, header: &[u8]) {
        // CAST: C keeps the offsets of all headers in as many bits.
        self.headers_mut().inner_network_header = self.headroom() as u16;
        let raw = self.raw_mut();
        // CAST: By the safety requirements, the header is no longer than the room for it.
        raw.len = raw.len.wrapping_add(header.len() as u32);
        raw.data = raw.data.wrapping_sub(header.len());
        // SAFETY: By the safety requirements, there is as much room before the data.
        unsafe {
            raw.data
                .copy_from_nonoverlapping(header.as_ptr(), header.len())
        };
    }

    /// Moves the start of the data `len` bytes further (`skb_pull()`).
    ///
    /// # Safety
    ///
    /// There must be at least `len` bytes of linear data.
    #[inline]
    pub(crate) unsafe fn pull(&mut self, len: u32) {
        let raw = self.raw_mut();
        raw.len = raw.len.wrapping_sub(len);
        raw.data = raw.data.wrapping_add(u32_as_usize(len));
    }
}

/// Returns the position `len` bytes behind `position`.
#[cfg(CONFIG_64BIT)]
#[inline]
fn advance(position: bindings::sk_buff_data_t, len: u32) -> bindings::sk_buff_data_t {
    position.wrapping_add(len)
}

/// Returns the position `len` bytes behind `position`.
#[cfg(not(CONFIG_64BIT))]
#[inline]
fn advance(position: bindings::sk_buff_data_t, len: u32) -> bindings::sk_buff_data_t {
    position.wrapping_add(u32_as_usize(len))
}
