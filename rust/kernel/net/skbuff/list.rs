// SPDX-License-Identifier: GPL-2.0

//! Lists of socket buffers.

use super::SkBuff;
use core::{
    marker::PhantomData,
    mem,
    ptr::{
        null_mut,
        NonNull, //
    }, //
};
use wg_bindings as bindings;

/// An owned list of socket buffers, linked through themselves.
///
/// # Invariants
///
/// - From `head`, `len` buffers are linked by `next`, the last of which is `tail` and has a null
///   link. An empty list has a null `head`.
/// - This value owns them; save for the links, the invariants of [`SkBuff`] hold for each.
pub struct SkBuffList {
    head: *mut bindings::sk_buff,
    tail: *mut bindings::sk_buff,
    len: usize,
}

// SAFETY: The buffers may be used on any CPU, and nothing else refers to them.
unsafe impl Send for SkBuffList {}

// SAFETY: What is done with a shared reference does not change the buffers.
unsafe impl Sync for SkBuffList {}

impl SkBuffList {
    /// Returns an empty list.
    #[inline]
    pub const fn new() -> Self {
        // INVARIANT: The list is empty.
        Self {
            head: null_mut(),
            tail: null_mut(),
            len: 0,
        }
    }

    /// Returns the number of buffers.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no buffers.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// Returns the first buffer.
    #[inline]
    pub fn front(&self) -> Option<&SkBuff> {
        self.iter().next()
    }

    /// Appends a buffer.
    #[inline]
    pub fn push_back(&mut self, skb: SkBuff) {
        let skb = skb.into_raw();
        // INVARIANT: The links of `skb` are null, and it becomes the tail.
        self.link(skb);
        self.tail = skb;
        self.len = self.len.wrapping_add(1);
    }

    /// Sets the last link to `first`.
    #[inline]
    fn link(&mut self, first: *mut bindings::sk_buff) {
        if self.head.is_null() {
            self.head = first;
        } else {
            // SAFETY: By the type invariants, `tail` is valid unless the list is empty.
            unsafe { (*self.tail).__bindgen_anon_1.__bindgen_anon_1.next = first };
        }
    }

    /// Removes the first buffer.
    #[inline]
    pub fn pop_front(&mut self) -> Option<SkBuff> {
        let first = NonNull::new(self.head)?;
        // INVARIANT: Once its links are null, the invariants of `SkBuff` hold for it.
        let skb = SkBuff(first);
        self.head = skb.next();
        self.len = self.len.wrapping_sub(1);
        skb.set_next(null_mut());
        Some(skb)
    }

    /// Appends all buffers of `other`, which is empty afterwards.
    #[inline]
    pub fn append(&mut self, other: &mut Self) {
        let other = mem::take(other);
        if !other.is_empty() {
            self.link(other.head);
            self.tail = other.tail;
            self.len = self.len.wrapping_add(other.len);
        }
        // What it owned is now in `self`.
        mem::forget(other);
    }

    /// Prepends all buffers of `other`, which is empty afterwards.
    #[inline]
    pub fn prepend(&mut self, other: &mut Self) {
        mem::swap(self, other);
        self.append(other);
    }

    /// Calls `f` with each buffer in order.
    #[inline]
    pub fn for_each_mut(&mut self, mut f: impl FnMut(&mut SkBuff)) {
        self.retain(|skb| {
            f(skb);
            true
        });
    }

    /// Calls `f` with each buffer in order, and frees those for which it returns false.
    #[inline]
    fn retain(&mut self, mut f: impl FnMut(&mut SkBuff) -> bool) {
        // Each is on no list while `f` has it, so that `f` may even replace it.
        let mut rest = mem::take(self);
        while let Some(mut skb) = rest.pop_front() {
            if f(&mut skb) {
                self.push_back(skb);
            }
        }
    }

    /// Returns an iterator over the buffers.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            next: &raw const self.head,
            list: PhantomData,
        }
    }
}

impl Default for SkBuffList {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

impl From<SkBuff> for SkBuffList {
    #[inline]
    fn from(skb: SkBuff) -> Self {
        let mut list = Self::new();
        list.push_back(skb);
        list
    }
}

impl Drop for SkBuffList {
    #[inline]
    fn drop(&mut self) {
        if self.head.is_null() {
            return;
        }
        // SAFETY: By the type invariants, the list is well-formed and its buffers are ours.
        unsafe {
            bindings::kfree_skb_list_reason(
                self.head,
                bindings::skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
            )
        };
    }
}

impl<'a> IntoIterator for &'a SkBuffList {
    type Item = &'a SkBuff;
    type IntoIter = Iter<'a>;

    #[inline]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// An iterator over the buffers of a list.
///
/// # Invariants
///
/// `next` points at a link of a list that is borrowed for `'a`.
pub struct Iter<'a> {
    next: *const *mut bindings::sk_buff,
    list: PhantomData<&'a SkBuffList>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a SkBuff;

    #[inline]
    fn next(&mut self) -> Option<&'a SkBuff> {
        // SAFETY: By the type invariants, this points at a link.
        if unsafe { (*self.next).is_null() } {
            return None;
        }
        // CAST: `SkBuff` is a transparent wrapper of a non-null pointer, as the link is.
        // SAFETY: The list is borrowed, so that the link stays and what it points at is valid.
        let skb: &'a SkBuff = unsafe { &*self.next.cast() };
        // INVARIANT: The link of a buffer of the list is one of the list.
        // SAFETY: The buffer is valid.
        self.next = unsafe { &raw const (*skb.as_raw()).__bindgen_anon_1.__bindgen_anon_1.next };
        Some(skb)
    }
}
