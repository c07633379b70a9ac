// SPDX-License-Identifier: GPL-2.0

//! Longest-prefix match from addresses to peers.
//!
//! A [`Table`] is immutable: adding or removing a prefix makes a new table, which shares with the
//! old one all nodes that are not on the path to that prefix. So a reader that holds a table looks up
//! by plain borrows, and an update that fails half way has changed nothing.
//!
//! The nodes are linked by reference-counted pointers, which the user of this module provides, as it
//! does the memory: see [`Family`].

use core::ops::Deref;

use self::{
    key::{
        Key,
        V6, //
    },
    tree::Tree, //
};

mod key;
mod tree;

#[cfg(test)]
mod tests;

/// Out of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// Reference-counted pointers, such as those of the kernel or of the standard library.
pub trait Family {
    /// Pointer to a shared `T`.
    type Ptr<T>: Deref<Target = T> + Clone;

    /// Moves `value` into memory of its own.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`], and `value` is dropped.
    fn new<T>(value: T) -> Result<Self::Ptr<T>, OutOfMemory>;

    /// Drops `ptr`. If it is the last one to its value, calls `f` before the value is dropped, and
    /// returns what `f` returns.
    ///
    /// An `f` that takes all further pointers out of the value drops a tree without recursion.
    fn drop_last<T: Unpin, R>(ptr: Self::Ptr<T>, f: impl FnOnce(&mut T) -> R) -> Option<R>;
}

/// An address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Addr {
    /// IPv4.
    V4([u8; 4]),
    /// IPv6.
    V6([u8; 16]),
}

/// All addresses that begin with the same bits.
///
/// Two that were made by [`Prefix::new`] are equal if and only if they are the same addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// The first one.
    pub addr: Addr,
    /// How many bits they have in common.
    pub len: u8,
}

impl Prefix {
    /// Returns the prefix of `len` bits that `addr` belongs to, or nothing if addresses are shorter.
    pub fn new(addr: Addr, len: u8) -> Option<Self> {
        let bits = u32::from(len);

        let addr = match addr {
            Addr::V4(addr) if bits <= <u32 as Key>::BITS => {
                Addr::V4(u32::from_be_bytes(addr).masked(bits).to_be_bytes())
            }
            Addr::V6(addr) if bits <= <V6 as Key>::BITS => {
                Addr::V6(V6::from_be_bytes(addr).masked(bits).to_be_bytes())
            }
            _ => return None,
        };
        Some(Self { addr, len })
    }
}

/// A table from prefixes to values.
pub struct Table<F: Family, V> {
    /// Tree of IPv4.
    v4: Tree<F, u32, V>,
    /// Tree of IPv6.
    v6: Tree<F, V6, V>,
}

impl<F: Family, V> Table<F, V> {
    /// Returns a table without prefixes.
    pub const fn new() -> Self {
        Self {
            v4: Tree::new(),
            v6: Tree::new(),
        }
    }

    /// Returns the value of the longest prefix that `addr` belongs to.
    #[inline]
    pub fn lookup(&self, addr: &Addr) -> Option<&V> {
        self.lookup_where(addr, |_| true)
    }

    /// Returns the value of the longest prefix that `addr` belongs to, of those with a value that is
    /// `wanted`.
    #[inline]
    pub fn lookup_where(&self, addr: &Addr, wanted: impl Fn(&V) -> bool) -> Option<&V> {
        match addr {
            Addr::V4(addr) => self.v4.lookup_where(u32::from_be_bytes(*addr), wanted),
            Addr::V6(addr) => self.v6.lookup_where(V6::from_be_bytes(*addr), wanted),
        }
    }

    /// Drops the table, calling `pause` every so often, as a large one takes long.
    ///
    /// Nodes that it shares with other tables stay.
    pub fn dismantle(self, mut pause: impl FnMut()) {
        self.v4.dismantle(&mut pause);
        self.v6.dismantle(&mut pause);
    }

    /// Returns the value of this very prefix.
    pub fn get(&self, prefix: &Prefix) -> Option<&V> {
        let len = u32::from(prefix.len);

        match prefix.addr {
            Addr::V4(addr) => self.v4.get(u32::from_be_bytes(addr), len),
            Addr::V6(addr) => self.v6.get(V6::from_be_bytes(addr), len),
        }
    }
}

impl<F: Family, V: Clone> Table<F, V> {
    /// Returns a table in which the value of `prefix` is `value`, even if it had one before.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`].
    pub fn insert(&self, prefix: Prefix, value: V) -> Result<Self, OutOfMemory> {
        let len = u32::from(prefix.len);
        let mut new = self.clone();

        match prefix.addr {
            Addr::V4(addr) => new.v4 = self.v4.insert(u32::from_be_bytes(addr), len, value)?,
            Addr::V6(addr) => new.v6 = self.v6.insert(V6::from_be_bytes(addr), len, value)?,
        }
        Ok(new)
    }

    /// Returns a table in which `prefix` has no value, or nothing if it has none in this one.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`].
    pub fn remove(&self, prefix: &Prefix) -> Result<Option<Self>, OutOfMemory> {
        let len = u32::from(prefix.len);
        let mut new = self.clone();

        let removed = match prefix.addr {
            Addr::V4(addr) => {
                let v4 = self.v4.remove(u32::from_be_bytes(addr), len)?;
                v4.map(|v4| new.v4 = v4)
            }
            Addr::V6(addr) => {
                let v6 = self.v6.remove(V6::from_be_bytes(addr), len)?;
                v6.map(|v6| new.v6 = v6)
            }
        };
        Ok(removed.map(|()| new))
    }
}

// Not derived: that would require the family and the values to be `Clone`.
impl<F: Family, V> Clone for Table<F, V> {
    fn clone(&self) -> Self {
        Self {
            v4: self.v4.clone(),
            v6: self.v6.clone(),
        }
    }
}

impl<F: Family, V> Default for Table<F, V> {
    fn default() -> Self {
        Self::new()
    }
}
