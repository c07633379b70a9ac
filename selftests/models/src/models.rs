// SPDX-License-Identifier: GPL-2.0

//! The models.

mod hash;
mod nonce;
mod outbox;
mod rcu;
mod sessions;

use crate::{
    crypto::Handshake,
    device::{
        self,
        Device, //
    },
    keypair::Keypair,
    peer::Peer, //
};
use kernel::{
    sync::Arc,
    workqueue::run_one, //
};
use wg_kernel::{
    net::skbuff::take_dropped,
    sync::rcu::{
        read_lock,
        Borrow,
        RcuArc, //
    }, //
};
use wg_proto::{
    handshake::Role,
    wire::Index, //
};

/// A device with a peer.
struct World {
    device: Arc<Device>,
    peer: RcuArc<Peer>,
}

impl World {
    fn new() -> Self {
        take_dropped();
        wg_kernel::random::seed(1);
        let device = Device::new();
        let peer = Peer::new(&device);
        Self { device, peer }
    }

    /// Completes a handshake, and returns whether that led to a session.
    fn install(&self, role: Role) -> bool {
        let index = self.device.indices.insert(&self.peer).expect("memory");
        self.install_at(index, role)
    }

    fn install_at(&self, index: Index, role: Role) -> bool {
        let mut handshake = Handshake::complete(index, role);
        self.peer.sessions.install(&self.peer, &mut handshake)
    }

    /// Returns the session to send with.
    fn current(&self) -> Option<RcuArc<Keypair>> {
        let guard = read_lock();
        self.peer.sessions.current(&guard).and_then(Borrow::get)
    }

    /// Returns another handle to the same device and peer, for another thread.
    fn handle(&self) -> Self {
        Self {
            device: self.device.clone(),
            peer: self.peer.clone(),
        }
    }
}

/// Begins a job that waits on its CPU, as that CPU does.
fn work() -> bool {
    run_one(|queue, _| queue == device::CRYPT)
}

/// Does what waits in the queue for any CPU.
fn rescue() -> bool {
    run_one(|queue, _| queue == device::RESCUE)
}
