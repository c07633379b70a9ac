// SPDX-License-Identifier: GPL-2.0

//! A peer: its fields, its life and its death.
//!
//! A peer is found through the device's tables under RCU, and everything that outlives a lookup holds a
//! reference. It dies in three steps: it is removed from the tables and marked as dead, a grace period
//! passes, and [`Peer::bury`] stops everything that still runs on its behalf.

mod keys;

use crate::{
    device::{
        Device,
        Epoch, //
    },
    endpoint::{
        self,
        Endpoint,
        Source, //
    },
    keying::Keying,
    keypair::Sessions,
    outbox::Outbox,
    staged::Staged, //
};
use kernel::alloc::Flags;
use wg_kernel::{
    net::addr::Unset,
    prelude::*,
    timer::Timers, //
};
use wg_proto::{
    session,
    timers::Timer, //
};

/// Number of peers of this boot, for log messages and for the order of dumps.
static COUNT: Atomic<u64> = Atomic::new(0);

/// How many timers a peer has: those of the protocol, and one that watches its jobs.
pub(crate) const TIMERS: usize = Timer::COUNT + 1;

/// How long it takes at least from one cache of routes to the next.
const MIN_CACHE_INTERVAL_NS: u64 = 100_000_000;

/// Work number of sending an initiation.
pub(crate) const INITIATE: u64 = 0;

/// Work number of wiping all keys.
pub(crate) const ZERO_KEYS: u64 = 1;

/// Work number of sending packets that other CPUs have encrypted.
pub(crate) const DRAIN: u64 = 2;

/// The state of the timers, besides whether they are pending.
pub(crate) struct TimerState {
    /// How many times the handshake was retried.
    pub(crate) attempts: Atomic<u32>,
    /// Whether data was received while the keepalive timer was pending.
    pub(crate) need_another_keepalive: Atomic<bool>,
    /// Whether a handshake was begun because the session that we receive with is about to expire.
    pub(crate) sent_lastminute_handshake: Atomic<bool>,
    /// Seconds between persistent keepalives, or 0.
    pub(crate) persistent_keepalive: Atomic<u32>,
}

/// A peer of a device.
///
/// Fields are open by the same rule as those of [`Device`].
#[pin_data]
pub(crate) struct Peer {
    #[pin]
    pub(crate) timers: Timers<Peer, TIMERS>,
    pub(crate) timer_state: TimerState,
    membership: Membership,
    id: u64,
    public_key: [u8; 32],
    dead: Atomic<bool>,

    #[pin]
    pub(crate) keying: Mutex<Keying>,
    #[pin]
    pub(crate) sessions: Sessions,
    /// When a handshake message was sent last, in nanoseconds since boot.
    last_sent_handshake_ns: Atomic<u64>,
    /// When a handshake was completed last, in nanoseconds since the epoch, or 0.
    latest_handshake_ns: Atomic<i64>,

    endpoint: Slot<Endpoint>,
    #[pin]
    endpoint_change: SpinLockBh<()>,
    /// When a cache of routes was created last, in nanoseconds since boot.
    latest_cache_ns: Atomic<u64>,

    #[pin]
    pub(crate) staged: Staged,
    #[pin]
    pub(crate) outbox: Outbox,

    rx_bytes: Atomic<u64>,
    tx_bytes: Atomic<u64>,

    #[pin]
    initiate: Work<Peer, INITIATE>,
    #[pin]
    zero_keys: Work<Peer, ZERO_KEYS>,
    #[pin]
    drain: Work<Peer, DRAIN>,
}

rcu_object!(Peer, timers: timers);

impl_has_work! {
    impl HasWork<Peer, 0> for Peer { self.initiate }
    impl HasWork<Peer, 1> for Peer { self.zero_keys }
    impl HasWork<Peer, 2> for Peer { self.drain }
}

impl rcu::Release for Peer {
    fn release(&self) {
        pr_debug!(
            "{}: Peer {} ({}) destroyed\n",
            self.device().name(),
            self.id,
            self.endpoint_for_log()
        );
        self.purge_staged();
    }
}

/// The device of a peer, which counts it for as long as it is allocated.
struct Membership(Arc<Device>);

impl Membership {
    fn new(device: &Arc<Device>) -> Self {
        device.peer_allocated();
        Self(device.clone())
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.0.peer_freed();
    }
}

impl Peer {
    /// Creates a peer that is in no table yet.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(crate) fn new(
        device: &Arc<Device>,
        public_key: &[u8; 32],
        preshared_key: Option<&[u8; 32]>,
    ) -> Result<RcuArc<Self>> {
        let peer = RcuArc::pin_init(
            try_pin_init!(Self {
                timers <- Timers::new(),
                timer_state: TimerState {
                    attempts: Atomic::new(0),
                    need_another_keepalive: Atomic::new(false),
                    sent_lastminute_handshake: Atomic::new(false),
                    persistent_keepalive: Atomic::new(0),
                },
                membership: Membership::new(device),
                id: COUNT.fetch_add(1, Relaxed).wrapping_add(1),
                public_key: *public_key,
                dead: Atomic::new(false),
                keying <- new_mutex!(Keying::new(), "Peer::keying"),
                sessions <- Sessions::new(),
                last_sent_handshake_ns: Atomic::new(session::sent_long_enough_ago(
                    time::boottime_coarse_ns()
                )),
                latest_handshake_ns: Atomic::new(0),
                endpoint: Slot::new(None),
                endpoint_change <- new_spinlock_bh!((), "Peer::endpoint_change"),
                latest_cache_ns: Atomic::new(0),
                staged <- Staged::new(),
                outbox <- Outbox::new(),
                rx_bytes: Atomic::new(0),
                tx_bytes: Atomic::new(0),
                initiate <- new_work!("Peer::initiate"),
                zero_keys <- new_work!("Peer::zero_keys"),
                drain <- new_work!("Peer::drain"),
            }? Error),
            GFP_KERNEL,
        )?;

        if let Some(key) = preshared_key {
            peer.keying.lock().set_preshared_key(key);
        }
        pr_debug!("{}: Peer {} created\n", device.name(), peer.id);
        Ok(peer)
    }

    /// Returns the device that the peer belongs to.
    #[inline]
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.membership.0
    }

    /// Returns the number of the peer, which rises with each that is created.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Returns the peer's public key.
    pub(crate) fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// Returns whether the peer was removed. Nothing new may be begun on its behalf then.
    #[inline]
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Relaxed)
    }

    /// Marks the peer as removed. It must not be in any table any more, and a grace period must pass before
    /// [`Peer::bury`].
    pub(crate) fn make_dead(&self) {
        self.dead.store(true, Relaxed);
    }

    /// Returns whether anything may be begun on behalf of the peer: it was not removed, and the interface
    /// is up.
    ///
    /// The task that changes that waits for a grace period, and then clears what was begun until then.
    #[inline]
    pub(crate) fn is_active(&self, _guard: &Guard) -> bool {
        !self.is_dead() && self.device().is_running()
    }

    /// Returns whether anything that began in `epoch` may go on, on behalf of the peer: it was not removed,
    /// and the epoch is not over.
    pub(crate) fn is_active_in(&self, epoch: Epoch, _guard: &Guard) -> bool {
        !self.is_dead() && self.device().is_in(epoch)
    }

    /// Stops everything that still runs on behalf of a dead peer, and wipes all secrets, as references to it
    /// may be held for long. Queued work will do nothing.
    pub(crate) fn bury(&self) {
        self.release_routes();
        self.timers.cancel_all_sync();
        self.purge_staged();
        self.wipe_keys(Keying::forget_all);
    }

    /// Stops all activity, and wipes all keys, as when the interface goes down.
    pub(crate) fn stop(&self) {
        // The timers first: their handlers may have a packet wait for a session.
        self.timers.cancel_all_sync();
        self.purge_staged();
        self.wipe_keys(|_| ());
    }

    /// Returns whether enough time has passed since the last handshake message.
    pub(crate) fn may_initiate(&self) -> bool {
        session::may_initiate(
            self.last_sent_handshake_ns.load(Relaxed),
            time::boottime_coarse_ns(),
        )
    }

    /// Forgets when a handshake message was last sent: the next packet begins a new handshake, at once.
    pub(crate) fn allow_initiation(&self, _keying: &Keying) {
        let now_ns = time::boottime_coarse_ns();
        self.last_sent_handshake_ns
            .store(session::sent_long_enough_ago(now_ns), Relaxed);
    }

    /// Notes that a handshake message is now being created, to be sent.
    pub(crate) fn note_handshake_sent(&self, _keying: &Keying) {
        self.last_sent_handshake_ns
            .store(time::boottime_coarse_ns(), Relaxed);
    }

    /// Notes that a handshake was completed now.
    pub(crate) fn note_handshake_complete(&self) {
        let (seconds, nanoseconds) = time::real_time();
        let now = seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(i64::from(nanoseconds));
        self.latest_handshake_ns.store(now, Relaxed);
    }

    /// Returns when a handshake was completed last, in seconds and nanoseconds since the epoch.
    pub(crate) fn latest_handshake(&self) -> (i64, i64) {
        let ns = self.latest_handshake_ns.load(Relaxed);
        (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000))
    }

    /// Returns the bytes received from and sent to the peer.
    pub(crate) fn transfer(&self) -> (u64, u64) {
        (self.rx_bytes.load(Relaxed), self.tx_bytes.load(Relaxed))
    }

    /// Counts bytes received.
    #[inline]
    pub(crate) fn add_rx_bytes(&self, bytes: u64) {
        self.rx_bytes.add(bytes, Relaxed);
    }

    /// Counts bytes sent.
    #[inline]
    pub(crate) fn add_tx_bytes(&self, bytes: u64) {
        self.tx_bytes.add(bytes, Relaxed);
    }

    /// Returns the seconds between persistent keepalives, or 0.
    pub(crate) fn persistent_keepalive(&self) -> u16 {
        u16::try_from(self.timer_state.persistent_keepalive.load(Relaxed)).unwrap_or(u16::MAX)
    }

    /// Has packets wait for a session, and counts those that are dropped to make room.
    #[cold]
    pub(crate) fn append_staged(&self, packets: SkBuffList) {
        self.drop_staged(self.staged.append(packets));
    }

    /// Drops all packets that wait for a session, and counts them.
    pub(crate) fn purge_staged(&self) {
        self.drop_staged(self.staged.take());
    }

    fn drop_staged(&self, dropped: SkBuffList) {
        if !dropped.is_empty() {
            self.device().count_tx_dropped(dropped.len() as u64);
        }
    }

    /// Returns the endpoint of the peer.
    #[inline]
    pub(crate) fn endpoint<'g>(&'g self, guard: &'g Guard) -> Option<Borrow<'g, Endpoint>> {
        self.endpoint.load(guard)
    }

    /// Returns the address of the peer in a form to be printed.
    pub(crate) fn endpoint_for_log(&self) -> Unset {
        let guard = rcu::read_lock();
        Unset(self.endpoint(&guard).map(|endpoint| endpoint.addr()))
    }

    /// Makes the addresses of a datagram from the peer its own and ours, unless they are so already.
    ///
    /// If there is no memory for that, nothing changes until the next message from the peer.
    #[inline]
    pub(crate) fn set_endpoint(&self, outer: &Outer) {
        let (addr, source) = endpoint::answer_to(outer);
        let _ = self.try_set_endpoint(addr, source, GFP_ATOMIC);
    }

    /// Makes `addr` the peer's address, and `source` ours, unless they are so already. Allocates with
    /// `flags`.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for that.
    #[inline]
    pub(crate) fn try_set_endpoint(
        &self,
        addr: SocketAddr,
        source: Source,
        flags: Flags,
    ) -> Result {
        let guard = rcu::read_lock();
        let same = self
            .endpoint(&guard)
            .is_some_and(|old| old.has(addr, source));
        drop(guard);
        if !same {
            let new = Endpoint::new(addr, source, flags)?;
            let _change = self.endpoint_change.lock();
            drop(self.endpoint.swap(Some(new)));
        }
        Ok(())
    }

    /// Forgets our address that the peer last sent to, and the route to the peer.
    pub(crate) fn clear_source(&self, flags: Flags) {
        self.renew_endpoint(|_| Source::None, flags);
    }

    /// Forgets the route to the peer, which is not needed for some time.
    pub(crate) fn forget_route(&self) {
        self.renew_endpoint(Endpoint::source, GFP_KERNEL);
    }

    /// Closes the cache of routes to the peer. Nothing may be sent to it after a grace period.
    pub(crate) fn close_routes(&self) {
        let guard = rcu::read_lock();
        if let Some(endpoint) = self.endpoint(&guard) {
            endpoint.close_cache();
        }
    }

    /// Releases the route to the peer at once, without memory. Process context only; nothing may be sent to
    /// it any more.
    ///
    /// The routes of replaced endpoints are released by RCU, which the exit of their namespace waits for.
    /// Those of the present one may be kept for as long as the peer is.
    pub(crate) fn release_routes(&self) {
        let guard = rcu::read_lock();
        let endpoint = self.endpoint(&guard).and_then(Borrow::get);
        drop(guard);
        if let Some(endpoint) = endpoint {
            endpoint.release_cache();
        }
    }

    /// Makes a new endpoint with the same address; without memory, has only that of the old one count.
    fn renew_endpoint(&self, source: impl FnOnce(&Endpoint) -> Source, flags: Flags) {
        let guard = rcu::read_lock();
        let old = self.endpoint(&guard).and_then(Borrow::get);
        drop(guard);
        let Some(old) = old else {
            return;
        };
        let Ok(new) = Endpoint::new(old.addr(), source(&old), flags) else {
            return old.make_void();
        };
        let _change = self.endpoint_change.lock();
        // If it has changed meanwhile, what was to be forgotten is gone already.
        if self.endpoint.holds(old.borrow()) {
            drop(self.endpoint.swap(Some(new)));
        }
    }

    /// Returns whether a cache of routes to the peer may be created, and notes that this is done.
    ///
    /// It takes memory for each CPU, of which the kernel has little that can be had in a softirq, and which
    /// is given back a grace period after the endpoint was replaced. A peer may do so with each message.
    pub(crate) fn allow_new_cache(&self) -> bool {
        let now_ns = time::boottime_coarse_ns();
        let latest_ns = self.latest_cache_ns.load(Relaxed);
        let may = now_ns.saturating_sub(latest_ns) >= MIN_CACHE_INTERVAL_NS;
        if may {
            self.latest_cache_ns.store(now_ns, Relaxed);
        }
        may
    }
}
