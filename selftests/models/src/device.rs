// SPDX-License-Identifier: GPL-2.0

//! A device with one NAPI instance.

#[path = "../../../rust/wireguard/device/epoch.rs"]
#[allow(dead_code)]
mod epoch;

use crate::{
    inbox::Inbox,
    load::Load,
    lookup::Indices, //
};
pub(crate) use epoch::Epoch;
use epoch::Epochs;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    }, //
};
use wg_kernel::{
    sync::bh,
    workqueue::OwnedQueue, //
};
use wg_proto::wire::Index;

/// The numbers of the queues.
pub(crate) const CRYPT: usize = 0;
pub(crate) const RESCUE: usize = 1;

pub(crate) struct Queues {
    pub(crate) crypt: OwnedQueue,
    pub(crate) rescue: OwnedQueue,
}

/// NAPI's state, which changes as in the kernel.
pub(crate) struct Link {
    state: Atomic<u32>,
    /// How many polls are to begin.
    raised: Atomic<u32>,
}

const SCHED: u32 = 1;
const MISSED: u32 = 2;

impl Link {
    fn change(&self, change: impl Fn(u32) -> u32) -> u32 {
        let mut old = self.state.load(Relaxed);
        loop {
            match self.state.cmpxchg(old, change(old), Full) {
                Ok(_) => return old,
                Err(now) => old = now,
            }
        }
    }

    pub(crate) fn schedule_napi(&self, _instance: usize, _bh: &bh::Guard) {
        let old = self.change(|old| match old & SCHED {
            0 => old | SCHED,
            _ => old | MISSED,
        });
        if old & SCHED == 0 {
            self.raised.fetch_add(1, Full);
        }
    }

    /// Begins a poll if one is to begin.
    pub(crate) fn begin_poll(&self) -> bool {
        self.raised.cmpxchg(1, 0, Full).is_ok()
    }

    /// Ends a poll that found nothing more to do.
    pub(crate) fn complete(&self) {
        let old = self.change(|old| match old & MISSED {
            0 => old & !SCHED,
            _ => old & !MISSED,
        });
        assert!(old & SCHED != 0, "two polls of one instance");
        if old & MISSED != 0 {
            self.raised.fetch_add(1, Full);
        }
    }
}

#[pin_data]
pub(crate) struct Device {
    epochs: Epochs,
    #[pin]
    pub(crate) indices: Indices,
    pub(crate) queues: Queues,
    pub(crate) link: Link,
    pub(crate) load: Load,
    inbox: Pin<KBox<Inbox>>,
}

impl Device {
    /// Creates a device that is up.
    pub(crate) fn new() -> Arc<Self> {
        let device = Arc::pin_init(
            try_pin_init!(Self {
                epochs: Epochs::new(),
                indices <- Indices::new(),
                queues: Queues {
                    crypt: OwnedQueue(CRYPT),
                    rescue: OwnedQueue(RESCUE),
                },
                link: Link {
                    state: Atomic::new(0),
                    raised: Atomic::new(0),
                },
                load: Load::new(),
                inbox: KBox::try_pin_init(Inbox::new(), GFP_KERNEL)?,
            }? Error),
            GFP_KERNEL,
        )
        .expect("memory");
        device.go_up();
        device
    }

    /// Begins an epoch.
    pub(crate) fn go_up(&self) {
        self.begin_epoch();
    }

    /// Ends the epoch.
    pub(crate) fn go_down(&self) {
        self.end_epoch();
    }

    pub(crate) fn name(&self) -> &str {
        "wg0"
    }

    pub(crate) fn inbox(&self, instance: usize) -> Option<&Inbox> {
        (instance == 0).then_some(&self.inbox)
    }

    pub(crate) fn instance_of(&self, _index: Index) -> usize {
        0
    }

    pub(crate) fn merges_packets(&self) -> bool {
        false
    }
}
