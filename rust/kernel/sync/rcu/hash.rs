// SPDX-License-Identifier: GPL-2.0

//! A hash table with lookups under RCU.
//!
//! Keys are hashed by SipHash with a random key, so that an attacker cannot choose keys that collide.
//! Lookups take no lock. Entries are added in process context, where the table grows with their
//! number; they can be removed in any context.
//!
//! Each entry has two links: when the table grows, the chains of the new buckets use the one that the
//! chains in use do not, so that readers never see a chain change under them. The new chains are built
//! in steps, between which entries may be removed: the lock is never held for long.

mod buckets;

use self::buckets::{
    Buckets,
    Entry,
    Link, //
};
use super::{
    dereference,
    Guard, //
};
use crate::{
    crypto::siphash,
    module::Live,
    new_spinlock_bh,
    sync::SpinLockBh,
    task::{
        cond_resched,
        MAX_BY_VALUE, //
    }, //
};
use core::ptr::null_mut;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed,
            Release, //
        },
        Mutex, //
    },
    task::might_sleep,
    types::Opaque, //
};
use wg_bindings as bindings;

/// Number of buckets that a table starts with.
const INITIAL_BUCKETS: usize = 16;

/// By how much the number of buckets grows once there are more entries than buckets.
const GROWTH: usize = 4;

/// How many buckets are added to the new chains while the lock is held.
const STRIDE: usize = 64;

/// A key of a [`HashTable`]: a number, or bytes.
pub trait Key: Copy + Eq + Send + Sync + sealed::Sealed + 'static {
    /// Calls `f` with the bytes that represent the key.
    #[doc(hidden)]
    fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R;
}

/// Seals [`Key`], so that other types cannot implement it.
mod sealed {
    pub trait Sealed {}
    impl Sealed for u32 {}
    impl<const N: usize> Sealed for [u8; N] {}
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
        // It is handed on by value.
        const { assert!(N <= MAX_BY_VALUE) };
        f(self)
    }
}

/// An entry that is in no table yet.
pub struct Reservation<K, V>(KBox<Entry<K, V>>);

/// Buckets that replace others, step by step.
struct Growth<K, V> {
    /// Null if there are none.
    to: *mut Buckets<K, V>,
    /// How many of the old buckets have all their entries here, too.
    moved: usize,
}

/// The data that the lock of the chains protects, besides the chains.
struct Chains<K, V> {
    /// Number of entries.
    len: usize,
    growth: Growth<K, V>,
}

/// Buckets that were replaced, until readers are sure to have left them.
struct OldBuckets<K, V> {
    /// Null if there are none.
    buckets: *mut Buckets<K, V>,
    /// The state of RCU when they were replaced.
    cookie: usize,
}

/// A hash table with lookups under RCU. Dropped in process context only.
///
/// # Invariants
///
/// - `buckets` is that of a valid [`Buckets`], which is replaced only with both locks held and freed
///   a grace period later. Entries in its chains are valid, and are freed a grace period after they
///   were taken out.
/// - `insertion` holds null or what `buckets` was before, which readers may look at for a grace
///   period from its cookie on.
/// - `growth.to` is null, or that of a valid [`Buckets`] that readers do not know and that uses the
///   other link. Its chains have the entries of the first `growth.moved` buckets, and no others. It
///   is changed by the holder of `insertion`.
#[pin_data(PinnedDrop)]
pub struct HashTable<K: Key, V: Send + Sync + 'static> {
    seed: siphash::Key,
    buckets: Atomic<*mut Buckets<K, V>>,
    /// Serialises insertions, which may sleep.
    #[pin]
    insertion: Mutex<OldBuckets<K, V>>,
    /// Serialises changes of chains.
    #[pin]
    chains: SpinLockBh<Chains<K, V>>,
}

// SAFETY: Keys and values are `Send` and `Sync`; all else is atomic or locked, as are the pointers.
unsafe impl<K: Key, V: Send + Sync + 'static> Send for HashTable<K, V> {}
// SAFETY: As above.
unsafe impl<K: Key, V: Send + Sync + 'static> Sync for HashTable<K, V> {}

impl<K: Key, V: Send + Sync + 'static> Chains<K, V> {
    /// Returns the buckets being built, if the entries of the chain for `hash` in `old` are in them,
    /// too.
    fn built(&self, old: &Buckets<K, V>, hash: u64) -> Option<&Buckets<K, V>> {
        // SAFETY: By the invariants of the table, it is null or valid.
        let to = unsafe { self.growth.to.as_ref() }?;
        (old.index(hash) < self.growth.moved).then_some(to)
    }
}

impl<K: Key, V: Send + Sync + 'static> HashTable<K, V> {
    /// Creates an empty table. Process context only.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            seed: siphash::Key::random(),
            buckets: Atomic::new(Buckets::new(INITIAL_BUCKETS, 0)?.as_ptr()),
            insertion <- new_mutex!(
                OldBuckets { buckets: null_mut(), cookie: 0 },
                "HashTable::insertion"
            ),
            chains <- new_spinlock_bh!(
                Chains { len: 0, growth: Growth { to: null_mut(), moved: 0 } },
                "HashTable::chains"
            ),
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
    /// [`EEXIST`] if there is an entry of that key, [`ENOMEM`] if there is no memory for one,
    /// [`ENODEV`] if there is no [`End`](crate::module::End) of the module.
    pub fn insert(&self, key: K, value: V) -> Result {
        might_sleep();
        let mut old = self.insertion.lock();
        let mut entry = Self::entry(key, value)?;
        self.grow(&mut old);

        let hash = self.hash(&key);
        entry.hash = hash;
        let mut chains = self.chains.lock();
        // SAFETY: By the type invariants, and with `insertion` held.
        let buckets = unsafe { self.buckets() };
        // SAFETY: The lock of the chains is held.
        if unsafe { buckets.find(hash, &key, |_| true) }.is_some() {
            // The entry is dropped without the lock.
            drop(chains);
            return Err(EEXIST);
        }
        let head = buckets.head(hash).ok_or(EINVAL)?;
        if let Some(next) = entry.next.get_mut(buckets.link) {
            *next = Atomic::new(head.load(Relaxed));
        }
        head.store(KBox::into_raw(entry), Release);
        chains.len = chains.len.wrapping_add(1);
        Ok(())
    }

    /// Allocates an entry that is to replace another one by [`HashTable::replace`].
    ///
    /// # Errors
    ///
    /// As for [`HashTable::insert`], save for [`EEXIST`].
    pub fn reserve(key: K, value: V) -> Result<Reservation<K, V>> {
        Self::entry(key, value).map(Reservation)
    }

    /// Replaces the entry of the same key for which `wanted` holds, in one step for readers, and returns
    /// whether there was one. In any context.
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
        let hash = old.hash;
        entry.hash = hash;
        let old = link.load(Relaxed);
        let new = KBox::into_raw(entry);
        if let Some(built) = chains.built(buckets, hash) {
            // SAFETY: The lock of the chains is held, and both entries are valid.
            unsafe { Self::unlink(built, hash, old, Some(new)) };
        }
        link.store(new, Release);
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
        let mut chains = self.chains.lock();
        // SAFETY: By the type invariants, and with `chains` held.
        let buckets = unsafe { self.buckets() };
        // SAFETY: The lock of the chains is held.
        let Some((link, entry)) = (unsafe { buckets.find(hash, key, wanted) }) else {
            return false;
        };
        let Some(next) = entry.next.get(buckets.link) else {
            return false;
        };
        let hash = entry.hash;
        let old = link.load(Relaxed);
        if let Some(built) = chains.built(buckets, hash) {
            // SAFETY: The lock of the chains is held, and the entry is valid.
            unsafe { Self::unlink(built, hash, old, None) };
        }
        link.store(next.load(Relaxed), Release);
        chains.len = chains.len.wrapping_sub(1);
        drop(chains);
        // SAFETY: The entry was just taken out of its chain, by us.
        unsafe { Self::free(old) };
        true
    }

    #[inline]
    fn hash(&self, key: &K) -> u64 {
        key.with_bytes(|bytes| self.seed.hash(bytes))
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
        unsafe { &*dereference(&self.buckets) }
    }

    fn entry(key: K, value: V) -> Result<KBox<Entry<K, V>>> {
        let entry = Entry {
            rcu: Opaque::uninit(),
            next: [Atomic::new(null_mut()), Atomic::new(null_mut())],
            hash: 0,
            key,
            value,
            live: Live::new()?,
        };
        Ok(KBox::new(entry, GFP_KERNEL)?)
    }

    /// Removes an entry from the chains that are being built, or replaces it there.
    ///
    /// # Safety
    ///
    /// The caller must hold the lock of the chains, and both entries must be valid.
    unsafe fn unlink(
        built: &Buckets<K, V>,
        hash: u64,
        old: *mut Entry<K, V>,
        new: Option<*mut Entry<K, V>>,
    ) {
        // SAFETY: By the safety requirements of this function.
        let Some(link) = (unsafe { built.link_to(hash, old) }) else {
            return;
        };
        // SAFETY: As above.
        let next = unsafe { &*old }.next.get(built.link);
        let next = next.map_or(null_mut(), |next| next.load(Relaxed));
        let Some(new) = new else {
            return link.store(next, Relaxed);
        };
        // SAFETY: As above.
        if let Some(own) = unsafe { &*new }.next.get(built.link) {
            own.store(next, Relaxed);
        }
        link.store(new, Relaxed);
    }

    /// Makes the table larger if it has more entries than buckets and there is memory.
    ///
    /// The caller must hold `insertion`, which guards `replaced`.
    fn grow(&self, replaced: &mut OldBuckets<K, V>) {
        // SAFETY: By the type invariants, and with `insertion` held.
        let old = unsafe { self.buckets() };
        let count = old.heads.len();
        if self.chains.lock().len < count {
            return;
        }
        if !replaced.buckets.is_null() {
            // Waits for readers of the chains before these, whose links are written now. The grace period
            // has usually passed long ago.
            // SAFETY: An FFI call that may sleep, as documented.
            unsafe { bindings::cond_synchronize_rcu(replaced.cookie) };
            let before = core::mem::replace(&mut replaced.buckets, null_mut());
            // SAFETY: By the type invariants, and as a grace period has passed.
            unsafe { Buckets::free(before) };
        }
        let Ok(new) = Buckets::new(count.wrapping_mul(GROWTH), old.link ^ 1) else {
            return;
        };
        // SAFETY: It was just made, and nothing else frees it.
        let buckets = unsafe { new.as_ref() };

        // INVARIANT: The first 0 buckets have no entries.
        self.chains.lock().growth.to = new.as_ptr();
        for heads in old.heads.chunks(STRIDE) {
            let mut chains = self.chains.lock();
            heads
                .iter()
                .for_each(|head| Self::link_all(head, old.link, buckets));
            // INVARIANT: All entries of these were put into the new chains.
            chains.growth.moved = chains.growth.moved.wrapping_add(heads.len());
            drop(chains);
            cond_resched();
        }

        let mut chains = self.chains.lock();
        // INVARIANT: Both locks are held, and the old buckets are freed after a grace period.
        replaced.buckets = self.buckets.load(Relaxed);
        self.buckets.store(new.as_ptr(), Release);
        chains.growth = Growth {
            to: null_mut(),
            moved: 0,
        };
        drop(chains);
        // SAFETY: May be called from any context.
        replaced.cookie = unsafe { bindings::get_state_synchronize_rcu() };
    }

    /// Adds all entries of a chain to the chains of other buckets as well.
    ///
    /// The caller must hold the lock of the chains.
    fn link_all(head: &Link<K, V>, link: usize, buckets: &Buckets<K, V>) {
        let mut at = head.load(Relaxed);
        // SAFETY: Entries in chains are valid while the lock of the chains is held.
        while let Some(entry) = unsafe { at.as_ref() } {
            let (Some(to), Some(next), Some(after)) = (
                buckets.head(entry.hash),
                entry.next.get(buckets.link),
                entry.next.get(link),
            ) else {
                break;
            };
            next.store(to.load(Relaxed), Relaxed);
            to.store(at, Relaxed);
            at = after.load(Relaxed);
        }
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
/// `rcu` must be that field of an entry which is not reachable any more.
unsafe extern "C" fn free_callback<K, V>(rcu: *mut bindings::callback_head) {
    // CAST: The head is the first field of the `repr(C)` struct.
    // SAFETY: The entry came from a box, by the safety requirements of this function.
    drop(unsafe { KBox::from_raw(rcu.cast::<Entry<K, V>>()) });
}

#[pinned_drop]
impl<K: Key, V: Send + Sync + 'static> PinnedDrop for HashTable<K, V> {
    fn drop(self: Pin<&mut Self>) {
        might_sleep();
        let raw = self.buckets.load(Relaxed);
        // SAFETY: By the type invariants, it came from a box, and nothing else has the table.
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
                cond_resched();
            }
        }
        let replaced = self.insertion.lock().buckets;
        // SAFETY: By the type invariants, and as nothing else has the table.
        unsafe { Buckets::free(replaced) };
    }
}
