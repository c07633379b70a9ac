// SPDX-License-Identifier: GPL-2.0

//! Peers by public key, and sessions and handshakes by the index on the wire.

use crate::{
    keypair::Keypair,
    peer::Peer, //
};
use wg_kernel::{
    prelude::*,
    sync::rcu::hash::{
        HashTable,
        Reservation, //
    }, //
};
use wg_proto::wire;

/// What an index stands for.
pub(crate) enum Entry {
    /// A handshake with that peer.
    Handshake(RcuArc<Peer>),
    /// A session.
    Keypair(RcuArc<Keypair>),
}

impl Entry {
    /// Returns the peer that it belongs to.
    pub(crate) fn peer(&self) -> &RcuArc<Peer> {
        match self {
            Self::Handshake(peer) => peer,
            Self::Keypair(keypair) => keypair.peer(),
        }
    }

    /// Returns whether it is a handshake with `peer`.
    fn is_handshake_of(&self, peer: &Peer) -> bool {
        matches!(self, Self::Handshake(other) if core::ptr::eq(&**other, peer))
    }

    /// Returns whether it is `keypair`.
    fn is_keypair(&self, keypair: &Keypair) -> bool {
        matches!(self, Self::Keypair(other) if core::ptr::eq(&**other, keypair))
    }
}

/// The indices that messages to one device may carry: random, and unique in the device.
#[pin_data]
pub(crate) struct Indices {
    #[pin]
    table: HashTable<u32, Entry>,
}

impl Indices {
    /// Creates an empty table.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self { table <- HashTable::new() }? Error)
    }

    /// Draws a random index that is not in use, and makes it stand for a handshake with `peer`.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for the entry.
    pub(crate) fn insert(&self, peer: &RcuArc<Peer>) -> Result<wire::Index> {
        loop {
            let index = random::u32();
            match self.table.insert(index, Entry::Handshake(peer.clone())) {
                Ok(()) => return Ok(wire::Index(index)),
                Err(error) if error == EEXIST => (),
                Err(error) => return Err(error),
            }
        }
    }

    /// Allocates what [`Indices::replace`] needs for `keypair`.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(crate) fn reserve(keypair: &RcuArc<Keypair>) -> Result<Reservation<u32, Entry>> {
        HashTable::reserve(keypair.local_index().0, Entry::Keypair(keypair.clone()))
    }

    /// Makes the index of a session, which stood for the handshake with `peer` that led to it, stand for the
    /// session. Returns whether the index still stood for the handshake.
    pub(crate) fn replace(&self, new: Reservation<u32, Entry>, peer: &Peer) -> bool {
        self.table.replace(new, |entry| entry.is_handshake_of(peer))
    }

    /// Returns what `index` stands for.
    #[inline]
    pub(crate) fn get<'g>(&'g self, index: wire::Index, guard: &'g Guard) -> Option<&'g Entry> {
        self.table.get(&index.0, guard)
    }

    /// Forgets `index` if it stands for a handshake with `peer`.
    pub(crate) fn remove_handshake(&self, index: wire::Index, peer: &Peer) {
        self.table
            .remove(&index.0, |entry| entry.is_handshake_of(peer));
    }

    /// Forgets the index of `keypair`.
    pub(crate) fn remove_keypair(&self, keypair: &Keypair) {
        self.table
            .remove(&keypair.local_index().0, |entry| entry.is_keypair(keypair));
    }
}

/// The peers of one device, by public key.
pub(crate) type Peers = HashTable<[u8; 32], RcuArc<Peer>>;
