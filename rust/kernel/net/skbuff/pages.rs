// SPDX-License-Identifier: GPL-2.0

//! Pages that are filled first, and then become the data of packets.

use super::NewSkBuff;
use crate::compat::u32_as_usize;
use core::{
    ptr::NonNull,
    slice, //
};
use wg_bindings as bindings;

/// Maximum size of one allocation, unless a page is larger: as packets pin the whole allocation but are
/// charged only for their part of it, this does not grow with the page size.
const TARGET_LEN: usize = 1 << 15;

/// The largest order that is allocated. With the smallest pages, that is the largest order that the
/// kernel has per-CPU lists for.
const MAX_ORDER: u32 = match bindings::RUST_CONST_HELPER_PAGE_SIZE {
    size if size < TARGET_LEN => (TARGET_LEN / size).ilog2(),
    _ => 0,
};

/// Maximum length of [`Pages`] in bytes.
pub const MAX_PAGES_LEN: usize = len_of(MAX_ORDER);

/// Returns the number of bytes of 2^`order` pages.
const fn len_of(order: u32) -> usize {
    bindings::RUST_CONST_HELPER_PAGE_SIZE.wrapping_shl(order)
}

/// A contiguous range of pages, parts of which are given to packets, from the front on.
///
/// # Invariants
///
/// - `page` is the first of pages of `len` bytes, which are mapped at `data`, and of which this
///   value holds a reference.
/// - Nothing else refers to the bytes from `start` on, which is at most `len`.
pub struct Pages {
    page: NonNull<bindings::page>,
    data: NonNull<u8>,
    start: u32,
    len: u32,
}

// SAFETY: Pages may be used and freed on any CPU.
unsafe impl Send for Pages {}

impl Pages {
    /// Allocates pages of at least `wanted` bytes, or fewer if memory is scarce, but at least `least`.
    ///
    /// Does not sleep.
    pub fn alloc(wanted: usize, least: usize) -> Option<Self> {
        if least > MAX_PAGES_LEN {
            return None;
        }
        let mut order = (0..MAX_ORDER)
            .find(|order| len_of(*order) >= wanted)
            .unwrap_or(MAX_ORDER);
        loop {
            if len_of(order) < least {
                return None;
            }
            // SAFETY: May be called from any context.
            let page = unsafe { bindings::wg_alloc_pages(order) };
            if let Some(page) = NonNull::new(page) {
                // SAFETY: The pages were just allocated, and are not in high memory.
                let data = unsafe { bindings::wg_page_address(page.as_ptr()) };
                // CAST: The order is small.
                let len = len_of(order) as u32;
                // INVARIANT: The pages are new, so nothing else refers to them.
                return Some(Self {
                    page,
                    data: NonNull::new(data.cast())?,
                    start: 0,
                    len,
                });
            }
            order = order.checked_sub(1)?;
        }
    }

    /// Returns how many bytes are not spare any more.
    #[inline]
    pub fn given(&self) -> usize {
        u32_as_usize(self.start)
    }

    /// Returns the bytes that were not given to a packet yet.
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        let start = u32_as_usize(self.start);
        let len = u32_as_usize(self.len.wrapping_sub(self.start));
        // SAFETY: By the type invariants, the bytes from `start` on are mapped.
        let data = unsafe { self.data.as_ptr().add(start) };
        // SAFETY: By the type invariants, these are as many bytes, and nothing else refers to them. They
        // are initialised: memory from C holds some value or other, as far as Rust is concerned.
        unsafe { slice::from_raw_parts_mut(data, len) }
    }

    /// Appends `len` of the spare bytes, from `offset` on, to the data of a packet; neither these nor
    /// those before them are spare any more.
    ///
    /// Returns whether there are as many, and the packet takes them. With none, nothing changes.
    #[inline]
    pub fn give(&mut self, skb: &mut NewSkBuff, offset: usize, len: usize) -> bool {
        len == 0 || self.try_give(skb, offset, len).is_some()
    }

    #[inline]
    fn try_give(&mut self, skb: &mut NewSkBuff, offset: usize, len: usize) -> Option<()> {
        let first = self.start.checked_add(u32::try_from(offset).ok()?)?;
        let len = u32::try_from(len).ok()?;
        let end = first.checked_add(len).filter(|end| *end <= self.len)?;
        let truesize = end.wrapping_sub(self.start);
        // INVARIANT: What the packet gets lies before the bytes that are spare now.
        self.start = end;
        // SAFETY: The packet is valid, has no clones and is not charged to a socket, by its type invariants.
        // The bytes lie within the pages.
        let taken = unsafe {
            bindings::wg_skb_append_page(skb.as_raw(), self.page.as_ptr(), first, len, truesize)
        };
        taken.then_some(())
    }
}

impl Drop for Pages {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariants, there is a reference to give up.
        unsafe { bindings::put_page(self.page.as_ptr()) };
    }
}
