// SPDX-License-Identifier: GPL-2.0

//! A peer: its sessions and its packets, and a log of what was sent to it.

use crate::{
    device::{
        Device,
        Epoch, //
    },
    keypair::Sessions,
    outbox::Outbox,
    staged::Staged, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    workqueue::{
        impl_has_work,
        new_work,
        Work, //
    }, //
};
use loom::cell::UnsafeCell;
use wg_kernel::{
    net::skbuff::SkBuffList,
    rcu_object,
    sync::{
        bh::Softirq,
        rcu::{
            Borrow,
            Guard,
            RcuArc,
            Release, //
        }, //
    }, //
};

pub(crate) const DRAIN: u64 = 2;

#[pin_data]
pub(crate) struct Peer {
    device: Arc<Device>,
    dead: Atomic<bool>,
    #[pin]
    pub(crate) sessions: Sessions,
    #[pin]
    pub(crate) staged: Staged,
    #[pin]
    pub(crate) outbox: Outbox,
    #[pin]
    drain: Work<Peer, DRAIN>,
    /// Not atomic: no two CPUs may send at a time.
    sent: UnsafeCell<Vec<u32>>,
}

// SAFETY: Loom looks after the cell.
unsafe impl Sync for Peer {}

rcu_object!(Peer);

impl_has_work! {
    impl HasWork<Peer, 2> for Peer { self.drain }
}

impl Release for Peer {}

impl Peer {
    pub(crate) fn new(device: &Arc<Device>) -> RcuArc<Self> {
        let peer = RcuArc::pin_init(
            try_pin_init!(Self {
                device: device.clone(),
                dead: Atomic::new(false),
                sessions <- Sessions::new(),
                staged <- Staged::new(),
                outbox <- Outbox::new(),
                drain <- new_work!("Peer::drain"),
                sent: UnsafeCell::new(Vec::new()),
            }? Error),
            GFP_KERNEL,
        );
        peer.expect("memory")
    }

    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    pub(crate) fn id(&self) -> u64 {
        1
    }

    pub(crate) fn make_dead(&self) {
        self.dead.store(true, Relaxed);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Relaxed)
    }

    pub(crate) fn is_active(&self, _guard: &Guard) -> bool {
        !self.dead.load(Relaxed) && self.device.is_running()
    }

    pub(crate) fn is_active_in(&self, epoch: Epoch, _guard: &Guard) -> bool {
        !self.dead.load(Relaxed) && self.device.is_in(epoch)
    }

    pub(crate) fn watch_jobs(&self) {}

    /// Sends packets.
    pub(crate) fn transmit(this: Borrow<'_, Self>, packets: SkBuffList, _softirq: Softirq<'_>) {
        this.log(packets.consume());
    }

    /// Notes that packets were sent.
    pub(crate) fn log(&self, numbers: Vec<u32>) {
        // SAFETY: Loom fails if there is another access.
        self.sent
            .with_mut(|sent| unsafe { (*sent).extend(numbers) });
    }

    /// Returns the numbers of the packets that were sent.
    pub(crate) fn sent(&self) -> Vec<u32> {
        // SAFETY: As above.
        self.sent.with(|sent| unsafe { (*sent).clone() })
    }
}
