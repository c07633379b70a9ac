// SPDX-License-Identifier: GPL-2.0

//! The buckets of a hash table, and the chains of entries in them.

use super::{
    super::dereference,
    Key, //
};
use crate::module::Live;
use core::ptr::{
    null_mut,
    NonNull, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque,
};
use wg_bindings as bindings;

/// A link of a chain: null at its end.
pub(super) type Link<K, V> = Atomic<*mut Entry<K, V>>;

/// An entry of the table.
#[repr(C)]
pub(super) struct Entry<K, V> {
    pub(super) rcu: Opaque<bindings::callback_head>,
    pub(super) next: [Link<K, V>; 2],
    /// The hash of the key when the entry was added. Entries that are moved or removed are found by
    /// this: no chain depends on how keys compare.
    pub(super) hash: u64,
    pub(super) key: K,
    pub(super) value: V,
    pub(super) live: Live,
}

/// An entry, and the link that leads to it.
type Found<'a, K, V> = (&'a Link<K, V>, &'a Entry<K, V>);

/// One generation of the table's buckets.
///
/// # Invariants
///
/// The number of heads is a power of two.
pub(super) struct Buckets<K, V> {
    pub(super) heads: KVVec<Link<K, V>>,
    /// Which link of the entries the chains use.
    pub(super) link: usize,
}

impl<K: Key, V: Send + Sync + 'static> Buckets<K, V> {
    pub(super) fn new(count: usize, link: usize) -> Result<NonNull<Self>> {
        let mut heads = KVVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            let head = Atomic::new(null_mut());
            heads.push_within_capacity(head).map_err(|_| ENOMEM)?;
        }
        // INVARIANT: Callers give powers of two.
        let buckets = KBox::new(Self { heads, link }, GFP_KERNEL)?;
        Ok(NonNull::from(KBox::leak(buckets)))
    }

    /// Returns the head of the chain for keys with `hash`.
    #[inline]
    pub(super) fn head(&self, hash: u64) -> Option<&Link<K, V>> {
        self.heads.get(self.index(hash))
    }

    /// Returns the number of the chain for keys with `hash`.
    #[inline]
    pub(super) fn index(&self, hash: u64) -> usize {
        hash as usize & self.heads.len().wrapping_sub(1)
    }

    /// Returns the entry of `key`, which has `hash`, for which `wanted` holds, and the link that leads to
    /// it.
    ///
    /// If `hash` is that of another key, it may not be found.
    ///
    /// # Safety
    ///
    /// The caller must hold an RCU guard or the lock of the chains for `'a`.
    #[inline]
    pub(super) unsafe fn find<'a>(
        &'a self,
        hash: u64,
        key: &K,
        mut wanted: impl FnMut(&V) -> bool,
    ) -> Option<Found<'a, K, V>> {
        let mut link = self.head(hash)?;
        loop {
            // Pairs with the `Release` in `insert` and `replace`.
            let entry = NonNull::new(dereference(link))?;
            // SAFETY: By the invariants of the table and the safety requirements of this function,
            // the entry is valid for `'a`.
            let entry = unsafe { &*entry.as_ptr() };
            if entry.key == *key && wanted(&entry.value) {
                return Some((link, entry));
            }
            link = entry.next.get(self.link)?;
        }
    }

    /// Returns the link of these chains that leads to `entry`, if it is in the chain for `hash`, with
    /// which it was added.
    ///
    /// # Safety
    ///
    /// The caller must hold the lock of the chains for `'a`.
    pub(super) unsafe fn link_to<'a>(
        &'a self,
        hash: u64,
        entry: *const Entry<K, V>,
    ) -> Option<&'a Link<K, V>> {
        let mut link = self.head(hash)?;
        loop {
            let at = NonNull::new(link.load(Relaxed))?;
            if core::ptr::eq(at.as_ptr(), entry) {
                return Some(link);
            }
            // SAFETY: By the invariants of the table and the safety requirements of this function,
            // the entry is valid for `'a`.
            link = unsafe { &*at.as_ptr() }.next.get(self.link)?;
        }
    }

    /// Frees buckets without their entries.
    ///
    /// # Safety
    ///
    /// `raw` must be null or come from [`Buckets::new`], and it must not be used any more.
    pub(super) unsafe fn free(raw: *mut Self) {
        if !raw.is_null() {
            // SAFETY: It came from a box, by the safety requirements of this function.
            drop(unsafe { KBox::from_raw(raw) });
        }
    }
}
