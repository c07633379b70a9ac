// SPDX-License-Identifier: GPL-2.0

//! What all devices share: the list of them, the load of handshakes, and the limiter of their rate.

use crate::device::Device;
use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};
use wg_kernel::{
    net::addr::SocketAddr,
    new_spinlock_bh,
    notifier::Rest,
    rcu_object,
    sync::{
        rcu::{
            self,
            Borrow,
            RcuArc,
            Release,
            Slot, //
        },
        SpinLockBh, //
    },
    time,
    timer::{
        Expire,
        Timers, //
    }, //
};
use wg_proto::ratelimit::{
    self,
    Bucket,
    Load, //
};

/// The one instance, while the module is loaded.
static GLOBALS: Slot<Globals> = Slot::empty();

/// Whether the machine is about to be suspended.
static SUSPENDING: Atomic<bool> = Atomic::new(false);

/// Whether it is about to hibernate.
static HIBERNATING: Atomic<bool> = Atomic::new(false);

/// How many sources are looked at in one go when idle ones are forgotten.
const SWEEP: usize = 512;

/// A source of handshake messages: the namespace of the interface, the family, and the address,
/// of which IPv6 ones only count by the upper half.
type Source = (usize, bool, u64);

/// Memory for a place in the list of devices.
pub(crate) type Place = RBTreeNodeReservation<u64, Arc<Device>>;

/// What all devices share.
#[pin_data]
pub(crate) struct Globals {
    #[pin]
    timers: Timers<Globals, 1>,
    #[pin]
    devices: Mutex<RBTree<u64, Arc<Device>>>,
    /// When there were too many handshake messages, as [`Load`] has it.
    load: Atomic<u64>,
    #[pin]
    sources: SpinLockBh<Sources>,
    max_sources: usize,
}

/// The sources that the limiter knows.
struct Sources {
    buckets: RBTree<Source, Bucket>,
    count: usize,
    /// Where to go on with looking for idle ones.
    cursor: Source,
}

rcu_object!(Globals, timers: timers);
impl Release for Globals {}

impl Globals {
    /// Creates what devices share.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(crate) fn register() -> Result<Registration> {
        let globals = RcuArc::pin_init(
            try_pin_init!(Self {
                timers <- Timers::new(),
                devices <- new_mutex!(RBTree::new(), "Globals::devices"),
                load: Atomic::new(0),
                sources <- new_spinlock_bh!(
                    Sources {
                        buckets: RBTree::new(),
                        count: 0,
                        cursor: (0, false, 0),
                    },
                    "Globals::sources"
                ),
                max_sources: ratelimit::max_sources(wg_kernel::mm::total_ram()),
            }? Error),
            GFP_KERNEL,
        )?;
        drop(GLOBALS.swap(Some(globals)));
        Ok(Registration)
    }

    /// Returns what devices share.
    pub(crate) fn get() -> Option<RcuArc<Self>> {
        let guard = rcu::read_lock();
        GLOBALS.load(&guard)?.get()
    }

    /// Adds a device to the list of them, for which there is `place`.
    pub(crate) fn add_device(&self, device: Arc<Device>, place: Place) {
        let node = place.into_node(device.id(), device);
        // There is no other device of that number.
        drop(self.devices.lock().insert(node));
    }

    /// Takes a device from the list of them.
    pub(crate) fn remove_device(&self, device: &Device) {
        let removed = self.devices.lock().remove_node(&device.id());
        drop(removed);
    }

    /// Calls `f` for all devices.
    pub(crate) fn for_each_device(mut f: impl FnMut(&Arc<Device>)) {
        if let Some(globals) = Self::get() {
            globals.devices.lock().values().for_each(&mut f);
        }
    }

    /// Returns whether handshakes come in faster than they are answered, on whatever device, given
    /// how many of them wait on one.
    pub(crate) fn is_under_load(queued: usize, now_ns: u64) -> bool {
        let guard = rcu::read_lock();
        let Some(globals) = GLOBALS.load(&guard) else {
            return false;
        };
        let before = Load {
            last_ns: globals.load.load(Relaxed),
        };
        let mut load = before;
        let high = load.is_high(queued, now_ns);
        // Whoever else does so at this moment writes much the same. Usually there is nothing to write.
        if load != before {
            globals.load.store(load.last_ns, Relaxed);
        }
        high
    }

    /// Returns whether the limit of the rate allows a handshake message from `source`.
    pub(crate) fn allows(namespace: usize, source: &SocketAddr, now_ns: u64) -> bool {
        let guard = rcu::read_lock();
        let Some(globals) = GLOBALS.load(&guard) else {
            return false;
        };
        let key = match source {
            SocketAddr::V4 { addr, .. } => (namespace, false, ratelimit::source_v4(addr)),
            SocketAddr::V6 { addr, .. } => (namespace, true, ratelimit::source_v6(addr)),
        };
        let mut sources = globals.sources.lock();
        if let Some(bucket) = sources.buckets.get_mut(&key) {
            return bucket.allow(now_ns);
        }
        if sources.count >= globals.max_sources {
            return false;
        }
        let bucket = Bucket::new(now_ns);
        let added = sources
            .buckets
            .try_create_and_insert(key, bucket, GFP_ATOMIC)
            .is_ok();
        if added {
            sources.count = sources.count.wrapping_add(1);
            if !globals.timers.is_pending(0) {
                globals.timers.arm(0, time::HZ);
            }
        }
        added
    }
}

impl Sources {
    /// Forgets idle sources among the next [`SWEEP`], and returns whether those were the last.
    fn sweep(&mut self, now_ns: u64) -> bool {
        let mut cursor = self.cursor;
        for _ in 0..SWEEP {
            let next = self.buckets.cursor_lower_bound(&cursor);
            let Some((&key, bucket)) = next.as_ref().map(|next| next.current()) else {
                self.cursor = (0, false, 0);
                return true;
            };
            if bucket.is_idle(now_ns) {
                self.buckets.remove(&key);
                self.count = self.count.wrapping_sub(1);
            }
            let (namespace, family, addr) = key;
            cursor = match addr.checked_add(1) {
                Some(addr) => (namespace, family, addr),
                None if !family => (namespace, true, 0),
                None => (namespace.wrapping_add(1), false, 0),
            };
        }
        self.cursor = cursor;
        false
    }
}

impl Expire<1> for Globals {
    fn expired(this: Borrow<'_, Self>, _timer: usize) {
        let now_ns = time::boottime_coarse_ns();
        let mut sources = this.sources.lock();
        let complete = sources.sweep(now_ns);
        if sources.count > 0 {
            // With much to do, go on at the next tick; else look again when they may be idle.
            let delay = if complete { time::HZ } else { 1 };
            this.timers.arm(0, delay);
        }
    }
}

/// Returns whether the machine is about to come to rest: no keys may be made any more, lest they get
/// into its image.
pub(crate) fn is_suspending() -> bool {
    SUSPENDING.load(Relaxed) || HIBERNATING.load(Relaxed)
}

/// Sets whether the machine is about to come to rest in that way.
pub(crate) fn set_suspending(rest: Rest, suspending: bool) {
    match rest {
        Rest::Suspend => SUSPENDING.store(suspending, Relaxed),
        Rest::Hibernation => HIBERNATING.store(suspending, Relaxed),
    }
}

/// Keeps what devices share alive.
pub(crate) struct Registration;

impl Drop for Registration {
    fn drop(&mut self) {
        drop(GLOBALS.swap(None));
    }
}
