// SPDX-License-Identifier: GPL-2.0

//! What user space has configured: the peers of a device, their allowed IPs, the port.
//!
//! All of it is in a [`Config`], under the device's mutex. The parts that the packet path needs are mirrored
//! in tables for RCU readers.

use crate::{
    allowed_ips::{
        AllowedIps,
        Editor,
        Prefixes, //
    },
    crypto::{
        Identity,
        Kernel, //
    },
    device::Device,
    doorkeeper::Doorkeeper,
    outbox::Outbox,
    peer::Peer, //
};
use kernel::{
    rbtree::CursorMut,
    sync::UniqueArc, //
};
use wg_kernel::{
    prelude::*,
    sync::rcu::Retired, //
};
use wg_proto::{
    allowed_ips::Prefix,
    identity,
    limits, //
};

/// With this many changes of allowed IPs in one request, or more, readers' old table is not left to RCU to be
/// freed, since that takes long.
const MANY_CHANGES: u64 = 4096;

/// What user space has configured.
pub(crate) struct Config {
    /// The peers by number, and thus in the order in which they were created.
    peers: RBTree<u64, PeerConfig>,
    peer_count: usize,
    allowed_ips: Editor,
    /// Rises with each request that changes something.
    generation: u32,
    /// The port that the sockets are bound to, or are to be bound to.
    pub(crate) port: u16,
    /// Peers that were removed, to be buried at the end of the request. Those that linger stay.
    dead: RBTree<u64, PeerConfig>,
    /// Large tables that were replaced, to be freed at the end of the request.
    old_tables: OldTables,
}

/// A peer, and its allowed IPs.
pub(crate) struct PeerConfig {
    peer: RcuArc<Peer>,
    prefixes: Prefixes,
    /// Whether it was removed but still has prefixes, for want of memory for a table without them. Readers
    /// pass it over.
    lingers: bool,
}

/// Tables of allowed IPs that are no longer needed.
#[derive(Default)]
struct OldTables {
    /// The table that readers had, and may still be using.
    readers: Option<Retired<AllowedIps>>,
    /// The table that it was made from.
    editor: Option<AllowedIps>,
}

/// Peers and tables that a request has removed, to be freed when no lock is held: there may be many.
#[must_use]
pub(crate) struct Grave {
    peers: RBTree<u64, PeerConfig>,
    tables: OldTables,
}

impl Grave {
    /// Frees all of it, with pauses. Process context only.
    pub(crate) fn clear(mut self) {
        let OldTables { readers, editor } = self.tables;
        // The editor's table goes last: readers' tables share nodes with it.
        if let Some(table) = readers {
            table.into_inner().dismantle();
        }
        if let Some(table) = editor {
            table.dismantle();
        }
        let mut next = self.peers.cursor_front_mut();
        while let Some(first) = next {
            next = first.remove_current().0;
            cond_resched();
        }
    }
}

impl PeerConfig {
    /// Returns the peer.
    pub(crate) fn peer(&self) -> &RcuArc<Peer> {
        &self.peer
    }

    /// Returns a cursor at its first allowed IP that was added as number `number` or later.
    ///
    /// Mutable, as only the kernel's mutable cursors can move.
    pub(crate) fn prefixes_from(&mut self, number: u64) -> Option<CursorMut<'_, u64, Prefix>> {
        self.prefixes.cursor_lower_bound_mut(&number)
    }
}

impl Config {
    /// Creates the configuration of a new device.
    pub(crate) fn new() -> Self {
        Self {
            peers: RBTree::new(),
            peer_count: 0,
            allowed_ips: Editor::new(),
            generation: 1,
            port: 0,
            dead: RBTree::new(),
            old_tables: OldTables::default(),
        }
    }

    /// Returns a number that changes with each request that changes something.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Notes that a request is about to change something.
    pub(crate) fn begin_change(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        for removed in self.dead.values_mut() {
            removed.lingers = self.allowed_ips.remove_all(&mut removed.prefixes).is_err();
        }
    }

    /// Returns the peers in the order in which they were created, with pauses in between: there may
    /// be many.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &RcuArc<Peer>> {
        let peers = self.peers.values().map(PeerConfig::peer);
        peers.inspect(|_| cond_resched())
    }

    /// Returns whether there is no peer.
    pub(crate) fn has_no_peers(&self) -> bool {
        self.peers.is_empty()
    }

    /// Returns whether there is a peer of that number.
    pub(crate) fn has_peer(&self, id: u64) -> bool {
        self.peers.get(&id).is_some()
    }

    /// Returns a cursor at the first peer whose number is `id` or above.
    pub(crate) fn peers_from(&mut self, id: u64) -> Option<CursorMut<'_, u64, PeerConfig>> {
        self.peers.cursor_lower_bound_mut(&id)
    }

    /// Returns a number that changes with each change of allowed IPs.
    pub(crate) fn allowed_ips_sequence(&self) -> u64 {
        self.allowed_ips.sequence()
    }
}

impl Device {
    /// Creates a peer.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it, or if there are too many peers.
    pub(crate) fn create_peer(
        self: &Arc<Self>,
        config: &mut Config,
        public_key: &[u8; 32],
        preshared_key: Option<&[u8; 32]>,
    ) -> Result<RcuArc<Peer>> {
        if config.peer_count >= limits::MAX_PEERS {
            return Err(ENOMEM);
        }
        let peer = Peer::new(self, public_key, preshared_key)?;
        let peer_config = PeerConfig {
            peer: peer.clone(),
            prefixes: RBTree::new(),
            lingers: false,
        };
        config
            .peers
            .try_create_and_insert(peer.id(), peer_config, GFP_KERNEL)?;
        if let Err(error) = self.peers.insert(*public_key, peer.clone()) {
            config.peers.remove(&peer.id());
            return Err(error);
        }
        config.peer_count = config.peer_count.wrapping_add(1);
        Ok(peer)
    }

    /// Removes a peer. It is buried with [`Device::bury_dead`].
    pub(crate) fn remove_peer(&self, config: &mut Config, peer: &Peer) {
        let Some(removed) = config.peers.remove_node(&peer.id()) else {
            return;
        };
        config.peer_count = config.peer_count.wrapping_sub(1);
        config.dead.insert(removed);
        if let Some(removed) = config.dead.get_mut(&peer.id()) {
            removed.lingers = config
                .allowed_ips
                .remove_all(&mut removed.prefixes)
                .is_err();
            self.kill(&removed.peer);
        }
    }

    /// Removes all peers. They are buried with [`Device::bury_dead`].
    pub(crate) fn remove_all_peers(&self, config: &mut Config) {
        let table = config.allowed_ips.clear();
        // Readers that find no table find no peer, as they should.
        config.old_tables = OldTables {
            readers: self.allowed_ips.swap(None).and_then(RcuArc::retire),
            editor: Some(table),
        };
        for removed in config.dead.values_mut() {
            removed.lingers = false;
        }
        config.peers().for_each(|peer| self.kill(peer));
        config.peer_count = 0;
        if config.dead.is_empty() {
            core::mem::swap(&mut config.peers, &mut config.dead);
            return;
        }
        let mut next = config.peers.cursor_front_mut();
        while let Some(first) = next {
            let (rest, removed) = first.remove_current();
            config.dead.insert(removed);
            next = rest;
        }
    }

    /// Removes a peer from the table by public key, and marks it as dead.
    fn kill(&self, peer: &RcuArc<Peer>) {
        self.peers
            .remove(peer.public_key(), |other| RcuArc::ptr_eq(other, peer));
        peer.make_dead();
        peer.close_routes();
    }

    /// Stops everything that still runs on behalf of removed peers: one grace period for all.
    ///
    /// Returns their remains, to be freed without locks.
    pub(crate) fn bury_dead(&self, config: &mut Config) -> Grave {
        let mut peers = RBTree::new();
        if !config.dead.is_empty() {
            rcu::synchronize_net();
            for removed in config.dead.values() {
                removed.peer.bury();
                Outbox::drain_for_worker(&removed.peer);
                cond_resched();
            }
            peers = core::mem::replace(&mut config.dead, RBTree::new());
        }
        while let Some(id) = peers
            .iter()
            .find(|(_, dead)| dead.lingers)
            .map(|(id, _)| *id)
        {
            if let Some(lingering) = peers.remove_node(&id) {
                config.dead.insert(lingering);
            }
        }
        Grave {
            peers,
            tables: core::mem::take(&mut config.old_tables),
        }
    }

    /// Gives a prefix to a peer, or takes it from the peer. It takes effect with
    /// [`Device::publish_allowed_ips`].
    ///
    /// # Errors
    ///
    /// [`ENOMEM`], in which case nothing is changed.
    pub(crate) fn change_allowed_ip(
        &self,
        config: &mut Config,
        peer: &RcuArc<Peer>,
        prefix: Prefix,
        remove: bool,
    ) -> Result {
        let Some(own) = config.peers.get_mut(&peer.id()) else {
            return Ok(());
        };
        if remove {
            return config.allowed_ips.remove(prefix, peer, &mut own.prefixes);
        }
        let former = config.allowed_ips.insert(prefix, peer, &mut own.prefixes)?;
        if let Some((id, sequence)) = former {
            // A removed peer may still have had it.
            for peers in [&mut config.peers, &mut config.dead] {
                if let Some(former) = peers.get_mut(&id) {
                    former.prefixes.remove(&sequence);
                }
            }
        }
        Ok(())
    }

    /// Takes all prefixes from a peer. It takes effect with [`Device::publish_allowed_ips`].
    ///
    /// # Errors
    ///
    /// [`ENOMEM`], in which case it has lost none.
    pub(crate) fn clear_allowed_ips(&self, config: &mut Config, peer: &Peer) -> Result {
        match config.peers.get_mut(&peer.id()) {
            Some(own) => config.allowed_ips.remove_all(&mut own.prefixes),
            None => Ok(()),
        }
    }

    /// Publishes changes of allowed IPs.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`], in which case they take effect with the next ones.
    pub(crate) fn publish_allowed_ips(&self, config: &mut Config) -> Result {
        let changes = config.allowed_ips.unpublished();
        if changes == 0 {
            return Ok(());
        }
        let table = config.allowed_ips.publish()?;
        let old = self.allowed_ips.swap(Some(table));
        if changes >= MANY_CHANGES && config.old_tables.readers.is_none() {
            config.old_tables.readers = old.and_then(RcuArc::retire);
        }
        Ok(())
    }

    /// Sets the port to listen on, at once if the interface is up.
    ///
    /// # Errors
    ///
    /// Those of [`Device::open_sockets`].
    pub(crate) fn change_port(self: &Arc<Self>, config: &mut Config, port: u16) -> Result {
        if config.port == port {
            return Ok(());
        }
        config
            .peers()
            .for_each(|peer| peer.clear_source(GFP_KERNEL));
        if !self.is_running() {
            config.port = port;
            return Ok(());
        }
        self.open_sockets(config, port)
    }

    /// Sets our static identity, unless `private_key` is the one in use.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(crate) fn change_private_key(&self, config: &mut Config, private_key: &[u8; 32]) -> Result {
        let old = self.identity();
        let unchanged = match &old {
            Some(old) => wg_kernel::crypto::eq(old.private(), private_key),
            None => wg_kernel::crypto::eq(&[0; 32], private_key),
        };
        if unchanged {
            return Ok(());
        }

        // Initialised in place, so that no copy of the key is left elsewhere.
        let mut new = UniqueArc::new(identity::Identity::zero(), GFP_KERNEL)?;
        let new = match new.initialize::<Kernel>(private_key) {
            Some(()) => {
                let doorkeeper = Doorkeeper::new(&new)?;
                Some((Identity::from(new), doorkeeper))
            }
            None => None,
        };
        // Nothing can fail any more. Before the key pair is ours, no peer may have its public key.
        if let Some((identity, _)) = &new {
            if let Some(peer) = self.find_peer(identity.public()) {
                self.remove_peer(config, &peer);
            }
        }
        let send_staged = old.is_none() && new.is_some() && self.is_running();
        self.set_identity(new);
        for peer in config.peers() {
            peer.change_identity();
            if send_staged {
                Peer::send_staged(peer.borrow());
            }
        }
        Ok(())
    }

    /// Returns the peer with that public key.
    pub(crate) fn find_peer(&self, public_key: &[u8; 32]) -> Option<RcuArc<Peer>> {
        let guard = rcu::read_lock();
        self.peers.get(public_key, &guard).cloned()
    }
}
