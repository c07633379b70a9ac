// SPDX-License-Identifier: GPL-2.0

//! Which addresses belong to which peer.
//!
//! The tables are immutable: a change makes a new one, which replaces the old one for RCU readers, and shares
//! all unchanged nodes with it.

use crate::peer::Peer;
use kernel::{
    fmt,
    sync::UniqueArc, //
};
use wg_kernel::{
    net::addr::{
        Ipv4,
        Ipv6, //
    },
    prelude::*, //
};
use wg_proto::allowed_ips::{
    Addr,
    Family,
    OutOfMemory,
    Prefix,
    Table, //
};

/// Nodes of the tables are shared by [`Arc`]s.
pub(crate) struct KernelArc;

impl Family for KernelArc {
    type Ptr<T> = Arc<T>;

    fn new<T>(value: T) -> Result<Arc<T>, OutOfMemory> {
        Arc::new(value, GFP_KERNEL).map_err(|_| OutOfMemory)
    }

    fn drop_last<T: Unpin, R>(ptr: Arc<T>, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let unique: Pin<UniqueArc<T>> = Arc::into_unique_or_drop(ptr)?;
        let mut unique = Pin::into_inner(unique);
        Some(f(&mut unique))
    }
}

/// The owner of a prefix.
#[derive(Clone)]
struct Owner {
    peer: RcuArc<Peer>,
    /// When it was added, among the prefixes of the device.
    sequence: u64,
}

/// The allowed IPs of a device, for lookups.
pub(crate) struct AllowedIps {
    table: Table<KernelArc, Owner>,
}

rcu_object!(AllowedIps);
impl rcu::Release for AllowedIps {}

impl AllowedIps {
    /// Returns the peer with the longest prefix of `addr`.
    #[inline]
    pub(crate) fn lookup(&self, addr: &Addr) -> Option<&RcuArc<Peer>> {
        let peer = &self.table.lookup(addr)?.peer;
        match peer.is_dead() {
            false => Some(peer),
            true => self.lookup_living(addr),
        }
    }

    /// Returns the peer with the longest prefix of `addr`, passing over those of dead peers, which are
    /// removed from the table a little later.
    #[cold]
    fn lookup_living(&self, addr: &Addr) -> Option<&RcuArc<Peer>> {
        let owner = self
            .table
            .lookup_where(addr, |owner| !owner.peer.is_dead())?;
        Some(&owner.peer)
    }

    /// Frees the table, with pauses if it is large. Process context only.
    pub(crate) fn dismantle(self) {
        self.table.dismantle(cond_resched);
    }
}

/// The allowed IPs of a peer, in the order in which they were added.
pub(crate) type Prefixes = RBTree<u64, Prefix>;

/// The allowed IPs of a device, for changes. They take effect once they are published.
pub(crate) struct Editor {
    table: Table<KernelArc, Owner>,
    /// Rises with each change; 0 never occurs.
    sequence: u64,
    /// The value of `sequence` when the table was last published.
    published: u64,
}

impl Editor {
    /// Creates an editor of no allowed IPs.
    pub(crate) fn new() -> Self {
        Self {
            table: Table::new(),
            sequence: 1,
            published: 1,
        }
    }

    /// Returns a number that changes with each change.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Returns how many changes are not published yet.
    pub(crate) fn unpublished(&self) -> u64 {
        self.sequence.wrapping_sub(self.published)
    }

    /// Returns the table that readers are to see from now on.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(crate) fn publish(&mut self) -> Result<RcuArc<AllowedIps>> {
        let table = self.table.clone();
        let publication = RcuArc::pin_init(AllowedIps { table }, GFP_KERNEL)?;
        self.published = self.sequence;
        Ok(publication)
    }

    /// Gives `prefix` to `peer`, as the last of its `prefixes`.
    ///
    /// Returns the number of the peer that had it before, if it was another one, and the key of the prefix
    /// there.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`], in which case nothing is changed.
    pub(crate) fn insert(
        &mut self,
        prefix: Prefix,
        peer: &RcuArc<Peer>,
        prefixes: &mut Prefixes,
    ) -> Result<Option<(u64, u64)>> {
        let sequence = self.sequence.wrapping_add(1);
        let old = self.table.get(&prefix).cloned();
        let last = prefixes.cursor_back().map(|last| *last.current().0);
        if old
            .as_ref()
            .is_some_and(|old| Some(old.sequence) == last && RcuArc::ptr_eq(&old.peer, peer))
        {
            // It is where it would be put.
            return Ok(None);
        }
        let owner = Owner {
            peer: peer.clone(),
            sequence,
        };
        let table = self.table.insert(prefix, owner).map_err(|_| ENOMEM)?;
        prefixes.try_create_and_insert(sequence, prefix, GFP_KERNEL)?;
        self.table = table;
        self.sequence = sequence;
        match old {
            Some(old) if RcuArc::ptr_eq(&old.peer, peer) => {
                prefixes.remove(&old.sequence);
                Ok(None)
            }
            old => Ok(old.map(|old| (old.peer.id(), old.sequence))),
        }
    }

    /// Takes `prefix` from `peer`, if it belongs to it.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`], in which case nothing is changed.
    pub(crate) fn remove(
        &mut self,
        prefix: Prefix,
        peer: &RcuArc<Peer>,
        prefixes: &mut Prefixes,
    ) -> Result {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = match self.table.get(&prefix) {
            Some(owner) if RcuArc::ptr_eq(&owner.peer, peer) => owner.sequence,
            _ => return Ok(()),
        };
        if let Some(table) = self.table.remove(&prefix).map_err(|_| ENOMEM)? {
            self.table = table;
        }
        prefixes.remove(&sequence);
        Ok(())
    }

    /// Takes all `prefixes` from the peer that they belong to.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`], in which case nothing is changed.
    pub(crate) fn remove_all(&mut self, prefixes: &mut Prefixes) -> Result {
        let mut table = self.table.clone();
        for prefix in prefixes.values() {
            match table.remove(prefix) {
                Ok(Some(next)) => table = next,
                Ok(None) => (),
                Err(_) => {
                    table.dismantle(cond_resched);
                    return Err(ENOMEM);
                }
            }
            cond_resched();
        }
        core::mem::replace(&mut self.table, table).dismantle(cond_resched);
        while let Some(first) = prefixes.cursor_front() {
            let sequence = *first.current().0;
            prefixes.remove(&sequence);
            self.sequence = self.sequence.wrapping_add(1);
            cond_resched();
        }
        Ok(())
    }

    /// Takes all prefixes from all peers, and returns the table that held them. Readers are to see none.
    pub(crate) fn clear(&mut self) -> AllowedIps {
        self.sequence = self.sequence.wrapping_add(1);
        self.published = self.sequence;
        let table = core::mem::replace(&mut self.table, Table::new());
        AllowedIps { table }
    }
}

/// An address in the form in which log messages show it.
pub(crate) struct AddrForLog(pub(crate) Addr);

impl fmt::Display for AddrForLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Addr::V4(addr) => fmt::Display::fmt(&Ipv4(addr), f),
            Addr::V6(addr) => fmt::Display::fmt(&Ipv6(addr), f),
        }
    }
}
