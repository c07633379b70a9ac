// SPDX-License-Identifier: GPL-2.0

//! The models.

mod hash;
mod inbox;
mod nonce;
mod outbox;
mod rcu;
mod sessions;
mod share;
mod staged;
mod timer;

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
    model::check_with,
    sync::Arc,
    workqueue::run_one, //
};
use loom::thread;
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

    /// Creates a device with a peer and a session to send with.
    fn with_session() -> (Self, RcuArc<Keypair>) {
        let world = Self::new();
        assert!(world.install(Role::Initiator));
        let keypair = world.current().expect("a session");
        (world, keypair)
    }

    /// Ends a model: of as many packets, all came through, once and in order, or were dropped if they may be.
    fn account(&self, count: u32, may_drop: bool) {
        let sent = self.peer.sent();
        let dropped = take_dropped();
        assert!(sent.is_sorted(), "out of order: {sent:?}");
        assert!(may_drop || dropped.is_empty(), "dropped: {dropped:?}");
        let mut all = [sent, dropped].concat();
        all.sort_unstable();
        assert_eq!(all, (0..count).collect::<Vec<_>>(), "lost or twice");
    }

    /// Returns another handle to the same device and peer, for another thread.
    fn handle(&self) -> Self {
        Self {
            device: self.device.clone(),
            peer: self.peer.clone(),
        }
    }
}

/// Runs a model of two threads in all orders: loom remembers only the last accesses to an object, and finds
/// some orders only if it begins with the one thread, and some only with the other.
fn check_both(more: usize, model: impl Fn(Pair) + Send + Sync + Copy + 'static) {
    check_with(more, move || model(Pair(false)));
    check_with(more, move || model(Pair(true)));
}

/// Two threads, and whether the second begins.
struct Pair(bool);

impl Pair {
    fn run<A: 'static, B: 'static>(
        self,
        first: impl FnOnce() -> A + 'static,
        second: impl FnOnce() -> B + 'static,
    ) -> (A, B) {
        if self.0 {
            let first = thread::spawn(first);
            let second = second();
            (first.join().expect("no failure"), second)
        } else {
            let second = thread::spawn(second);
            let first = first();
            (first, second.join().expect("no failure"))
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
