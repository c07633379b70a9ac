// SPDX-License-Identifier: GPL-2.0

//! A hash table with lookups under RCU.
//!
//! Keys are hashed by SipHash with a random key, so that nobody can choose keys that collide.
//! Lookups take no lock. Entries are added in process context, where the table grows with their
//! number; they can be removed in any context.
//!
//! Each entry has two links: the chains of a table that is being built use the one that the
//! chains in use do not, so that readers never see a chain change under them.

use super::{
    Guard,
    LIVE, //
};
use crate::{
    new_spinlock_bh,
    sync::SpinLockBh, //
};
use core::ptr::{
    null_mut,
    NonNull, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Mutex, //
    },
    types::Opaque,
};
use wg_bindings as bindings;

/// Number of buckets that a table starts with.
const INITIAL_BUCKETS: usize = 16;

/// By how much the number of buckets grows once there are more entries than buckets.
const GROWTH: usize = 8;

/// A key of a [`HashTable`].
pub trait Key: Copy + Eq + Send + Sync + 'static {
    /// Calls `f` with the bytes that stand for the key.
    fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R;
}

impl Key for u32 {
    #[inline]
    fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(&self.to_ne_bytes())
    }
}

impl<const N: usize> Key for [u8; N] {
    #[inline]
    fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(self)
    }
}

/// A link of a chain: null at its end.
type Link<K, V> = Atomic<*mut Entry<K, V>>;

/// An entry of the table.
#[repr(C)]
struct Entry<K, V> {
    rcu: Opaque<bindings::callback_head>,
    next: [Link<K, V>; 2],
    key: K,
    value: V,
}

/// An entry that is in no table yet.
pub struct Reservation<K, V>(KBox<Entry<K, V>>);

/// An entry, and the link that leads to it.
type Found<'a, K, V> = (&'a Link<K, V>, &'a Entry<K, V>);

/// One generation of the table's buckets.
///
/// # Invariants
///
/// The number of heads is a power of two.
struct Buckets<K, V> {
    heads: KVVec<Link<K, V>>,
    /// Which link of the entries the chains use.
    link: usize,
}

/// A hash table with lookups under RCU.
///
/// # Invariants
///
/// `buckets` is that of a valid [`Buckets`], which is replaced only with both locks held and freed
/// a grace period later. Entries in its chains are valid, and are freed a grace period after they
/// were taken out.
#[pin_data(PinnedDrop)]
pub struct HashTable<K: Key, V: Send + Sync + 'static> {
    seed: bindings::siphash_key_t,
    buckets: Atomic<*mut Buckets<K, V>>,
    /// Serialises insertions, which may sleep.
    #[pin]
    insertion: Mutex<()>,
    /// Serialises changes of chains, and holds the number of entries.
    #[pin]
    chains: SpinLockBh<usize>,
}

// SAFETY: Keys and values are `Send` and `Sync`; all else is atomic or locked.
unsafe impl<K: Key, V: Send + Sync + 'static> Send for HashTable<K, V> {}
// SAFETY: As above.
unsafe impl<K: Key, V: Send + Sync + 'static> Sync for HashTable<K, V> {}

impl<K: Key, V: Send + Sync + 'static> Buckets<K, V> {
    fn new(count: usize, link: usize) -> Result<NonNull<Self>> {
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
    fn head(&self, hash: u64) -> Option<&Link<K, V>> {
        self.heads
            .get(hash as usize & self.heads.len().wrapping_sub(1))
    }

    /// Returns the entry of `key` for which `wanted` holds, and the link that leads to it.
    ///
    /// # Safety
    ///
    /// The caller must hold an RCU guard or the lock of the chains for `'a`.
    #[inline]
    unsafe fn find<'a>(
        &'a self,
        hash: u64,
        key: &K,
        mut wanted: impl FnMut(&V) -> bool,
    ) -> Option<Found<'a, K, V>> {
        let mut link = self.head(hash)?;
        loop {
            // Pairs with the `Release` in `insert` and `replace`.
            let entry = NonNull::new(link.load(Acquire))?;
            // SAFETY: By the invariants of the table and the safety requirements of this function,
            // the entry is valid for `'a`.
            let entry = unsafe { &*entry.as_ptr() };
            if entry.key == *key && wanted(&entry.value) {
                return Some((link, entry));
            }
            link = entry.next.get(self.link)?;
        }
    }
}

impl<K: Key, V: Send + Sync + 'static> HashTable<K, V> {
    /// Creates an empty table. Process context only.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub fn new() -> impl PinInit<Self, Error> {
        let mut seed = [0u64; 2];
        // SAFETY: `seed` is valid for writes of its size.
        unsafe { bindings::get_random_bytes((&raw mut seed).cast(), size_of_val(&seed)) };
        try_pin_init!(Self {
            seed: bindings::siphash_key_t { key: seed },
            buckets: Atomic::new(Buckets::new(INITIAL_BUCKETS, 0)?.as_ptr()),
            insertion <- new_mutex!((), "HashTable::insertion"),
            chains <- new_spinlock_bh!(0, "HashTable::chains"),
        }? Error)
    }

    /// Returns the value of `key`.
    #[inline]
    pub fn get<'g>(&'g self, key: &K, _guard: &'g Guard) -> Option<&'g V> {
        // SAFETY: By the type invariants, and under the guard.
        let buckets = unsafe { self.buckets() };
        // SAFETY: The guard is held for `'g`.
        let (_, entry) = unsafe { buckets.find(self.hash(key), key, |_| true) }?;
        Some(&entry.value)
    }

    /// Adds `value` under `key`. Process context only.
    ///
    /// # Errors
    ///
    /// [`EEXIST`] if there is an entry of that key, [`ENOMEM`] if there is no memory for one.
    pub fn insert(&self, key: K, value: V) -> Result {
        let _insertion = self.insertion.lock();
        let mut entry = Self::entry(key, value)?;
        self.grow();

        let hash = self.hash(&key);
        let mut len = self.chains.lock();
        // SAFETY: By the type invariants, and with `insertion` held.
        let buckets = unsafe { self.buckets() };
        // SAFETY: The lock of the chains is held.
        if unsafe { buckets.find(hash, &key, |_| true) }.is_some() {
            // The entry is dropped without the lock.
            drop(len);
            return Err(EEXIST);
        }
        let head = buckets.head(hash).ok_or(EINVAL)?;
        if let Some(next) = entry.next.get_mut(buckets.link) {
            *next = Atomic::new(head.load(Relaxed));
        }
        LIVE.add(1, Relaxed);
        head.store(KBox::into_raw(entry), Release);
        *len = len.wrapping_add(1);
        Ok(())
    }

    /// Allocates an entry, to be put in the place of another one by [`HashTable::replace`].
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub fn reserve(key: K, value: V) -> Result<Reservation<K, V>> {
        Self::entry(key, value).map(Reservation)
    }

    /// Puts an entry in the place of the one with its key for which `wanted` holds, in one step for
    /// readers, and returns whether there was one. In any context.
    pub fn replace(&self, new: Reservation<K, V>, wanted: impl FnMut(&V) -> bool) -> bool {
        let Reservation(mut entry) = new;
        let hash = self.hash(&entry.key);
        let chains = self.chains.lock();
        // SAFETY: By the type invariants, and with `chains` held.
        let buckets = unsafe { self.buckets() };
        // SAFETY: The lock of the chains is held.
        let Some((link, old)) = (unsafe { buckets.find(hash, &entry.key, wanted) }) else {
            // The entry is dropped without the lock.
            drop(chains);
            return false;
        };
        let (Some(next), Some(old_next)) =
            (entry.next.get_mut(buckets.link), old.next.get(buckets.link))
        else {
            return false;
        };
        *next = Atomic::new(old_next.load(Relaxed));
        LIVE.add(1, Relaxed);
        let old = link.load(Relaxed);
        link.store(KBox::into_raw(entry), Release);
        drop(chains);
        // SAFETY: The entry was just taken out of its chain, by us.
        unsafe { Self::free(old) };
        true
    }

    /// Removes the entry of `key` for which `wanted` holds, and returns whether there was one.
    ///
    /// The value is dropped after a grace period.
    pub fn remove(&self, key: &K, wanted: impl FnMut(&V) -> bool) -> bool {
        let hash = self.hash(key);
        let mut len = self.chains.lock();
        // SAFETY: By the type invariants, and with `chains` held.
        let buckets = unsafe { self.buckets() };
        // SAFETY: The lock of the chains is held.
        let Some((link, entry)) = (unsafe { buckets.find(hash, key, wanted) }) else {
            return false;
        };
        let Some(next) = entry.next.get(buckets.link) else {
            return false;
        };
        let old = link.load(Relaxed);
        link.store(next.load(Relaxed), Release);
        *len = len.wrapping_sub(1);
        drop(len);
        // SAFETY: The entry was just taken out of its chain, by us.
        unsafe { Self::free(old) };
        true
    }

    #[inline]
    fn hash(&self, key: &K) -> u64 {
        key.with_bytes(|bytes| {
            // SAFETY: `bytes` is valid for reads of its length, and so is the seed.
            unsafe { bindings::wg_siphash(bytes.as_ptr().cast(), bytes.len(), &self.seed) }
        })
    }

    /// Returns the buckets in use.
    ///
    /// # Safety
    ///
    /// The caller must hold an RCU guard or one of the locks for `'a`.
    #[inline]
    unsafe fn buckets<'a>(&self) -> &'a Buckets<K, V> {
        // SAFETY: By the type invariants and the safety requirements of this function. Pairs with
        // the `Release` in `grow`.
        unsafe { &*self.buckets.load(Acquire) }
    }

    fn entry(key: K, value: V) -> Result<KBox<Entry<K, V>>> {
        let entry = Entry {
            rcu: Opaque::uninit(),
            next: [Atomic::new(null_mut()), Atomic::new(null_mut())],
            key,
            value,
        };
        Ok(KBox::new(entry, GFP_KERNEL)?)
    }

    /// Makes the table larger if it has more entries than buckets and there is memory.
    ///
    /// The caller must hold `insertion`.
    fn grow(&self) {
        // SAFETY: By the type invariants, and with `insertion` held.
        let old = unsafe { self.buckets() };
        let count = old.heads.len();
        if *self.chains.lock() < count {
            return;
        }
        let Ok(new) = Buckets::new(count.wrapping_mul(GROWTH), old.link ^ 1) else {
            return;
        };
        // SAFETY: It was just made, and nobody else knows it.
        let buckets = unsafe { new.as_ref() };

        let chains = self.chains.lock();
        for head in &old.heads {
            let mut at = head.load(Relaxed);
            // SAFETY: Entries in chains are valid while the lock of the chains is held.
            while let Some(entry) = unsafe { at.as_ref() } {
                let (Some(to), Some(next), Some(after)) = (
                    buckets.head(self.hash(&entry.key)),
                    entry.next.get(buckets.link),
                    entry.next.get(old.link),
                ) else {
                    break;
                };
                next.store(to.load(Relaxed), Relaxed);
                to.store(at, Relaxed);
                at = after.load(Relaxed);
            }
        }
        // INVARIANT: Both locks are held, and the old buckets are freed after a grace period.
        let old = self.buckets.load(Relaxed);
        self.buckets.store(new.as_ptr(), Release);
        drop(chains);
        // Also ends all use of the old chains' links, which the next growth writes.
        kernel::sync::rcu::synchronize_rcu();
        // SAFETY: It came from a box, and its last reader is gone.
        drop(unsafe { KBox::from_raw(old) });
    }

    /// Frees an entry after a grace period.
    ///
    /// # Safety
    ///
    /// The entry must be in no chain any more, and this must be called once for it.
    unsafe fn free(entry: *mut Entry<K, V>) {
        // CAST: The head is the first field, and `Opaque` is transparent.
        let rcu = entry.cast::<bindings::callback_head>();
        // SAFETY: By the safety requirements of this function, the entry is valid and ours.
        unsafe { bindings::call_rcu(rcu, Some(free_callback::<K, V>)) };
    }
}

/// Frees an entry.
///
/// # Safety
///
/// `rcu` must be that field of an entry which nobody can see any more.
unsafe extern "C" fn free_callback<K, V>(rcu: *mut bindings::callback_head) {
    // CAST: The head is the first field of the `repr(C)` struct.
    // SAFETY: The entry came from a box, by the safety requirements of this function.
    drop(unsafe { KBox::from_raw(rcu.cast::<Entry<K, V>>()) });
    LIVE.fetch_sub(1, Relaxed);
}

#[pinned_drop]
impl<K: Key, V: Send + Sync + 'static> PinnedDrop for HashTable<K, V> {
    fn drop(self: Pin<&mut Self>) {
        let raw = self.buckets.load(Relaxed);
        // SAFETY: By the type invariants, it came from a box, and nobody else has the table.
        let buckets = unsafe { KBox::from_raw(raw) };
        for head in &buckets.heads {
            let mut at = head.load(Relaxed);
            while !at.is_null() {
                // SAFETY: Entries in chains are valid boxes.
                let entry = unsafe { KBox::from_raw(at) };
                at = entry
                    .next
                    .get(buckets.link)
                    .map_or(null_mut(), |next| next.load(Relaxed));
                LIVE.fetch_sub(1, Relaxed);
            }
        }
    }
}
