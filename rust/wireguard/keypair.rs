// SPDX-License-Identifier: GPL-2.0

//! A session: the keys that a handshake has led to. A peer may have three of them.

use crate::{
    crypto::{
        Handshake,
        Kernel, //
    },
    lookup::Indices,
    peer::Peer,
    quota::Quota, //
};
use wg_kernel::{
    compat::u32_as_usize,
    prelude::*, //
};
use wg_proto::{
    handshake::{
        Outcome,
        Role, //
    },
    nonce::{
        Counter,
        Nonces,
        Shared, //
    },
    replay::Window,
    secret::Secret,
    session,
    wire, //
};

/// Number of sessions of this boot, for log messages.
static COUNT: Atomic<u64> = Atomic::new(0);

/// The shared number behind a [`Counter`].
struct Number(Atomic<u64>);

impl Shared for Number {
    #[inline]
    fn load(&self) -> u64 {
        self.0.load(Relaxed)
    }

    #[inline]
    fn compare_exchange(&self, old: u64, new: u64) -> Result<(), u64> {
        self.0.cmpxchg(old, new, Relaxed).map(|_| ())
    }
}

/// The fields that sending changes, on cache lines apart from those that receiving reads.
#[repr(align(64))]
struct Sending {
    /// Hands out the nonces of messages.
    counter: Counter<Number>,
    valid: Atomic<bool>,
    key: Secret<32>,
}

/// The fields that receiving needs.
#[repr(align(64))]
struct Receiving {
    valid: Atomic<bool>,
    /// How much those received messages weigh that are in jobs and not delivered yet.
    in_jobs: Atomic<u32>,
    /// A copy of the window's upper end, to be read without its lock.
    highest: Atomic<u64>,
    key: Secret<32>,
}

/// The keys of one session with a peer.
#[pin_data]
pub(crate) struct Keypair {
    sending: Sending,
    receiving: Receiving,
    /// How much of the inbox the messages have that arrive.
    pub(crate) quota: Quota,
    #[pin]
    window: SpinLockBh<Window>,
    peer: RcuArc<Peer>,
    born_ns: u64,
    id: u64,
    local_index: wire::Index,
    remote_index: wire::Index,
    role: Role,
    /// Whether the peer has dropped it.
    over: Atomic<bool>,
}

rcu_object!(Keypair);

impl rcu::Release for Keypair {
    fn release(&self) {
        pr_debug_ratelimited!(
            "{}: Keypair {} destroyed for peer {}\n",
            self.peer.device().name(),
            self.id,
            self.peer.id()
        );
    }
}

impl Keypair {
    /// Creates the session that `handshake`, which is with `peer`, has led to.
    ///
    /// The keys are derived in place, when all else is set up, so there are no other copies of them.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it, in which case the handshake is unchanged.
    fn new(
        peer: RcuArc<Peer>,
        handshake: &mut Handshake,
        outcome: Outcome,
    ) -> Result<RcuArc<Self>> {
        let Outcome {
            local_index,
            remote_index,
            role,
        } = outcome;
        RcuArc::pin_init(
            try_pin_init!(Self {
                sending: Sending {
                    counter: Counter::new(Number(Atomic::new(0))),
                    valid: Atomic::new(true),
                    key: Secret::zero(),
                },
                receiving: Receiving {
                    valid: Atomic::new(true),
                    in_jobs: Atomic::new(0),
                    highest: Atomic::new(0),
                    key: Secret::zero(),
                },
                quota: Quota::new(),
                window <- new_spinlock_bh!(Window::new(), "Keypair::window"),
                peer,
                born_ns: time::boottime_coarse_ns(),
                id: COUNT.fetch_add(1, Relaxed).wrapping_add(1),
                local_index,
                remote_index,
                role,
                over: Atomic::new(false),
            }? Error)
            .pin_chain(|this| {
                let this = this.project();
                handshake
                    .begin_session::<Kernel>(&mut this.sending.key, &mut this.receiving.key)
                    .map(|_| ())
                    .ok_or(EINVAL)
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the peer that the session is with.
    #[inline]
    pub(crate) fn peer(&self) -> &RcuArc<Peer> {
        &self.peer
    }

    /// Returns the index by which the peer calls the session.
    #[inline]
    pub(crate) fn local_index(&self) -> wire::Index {
        self.local_index
    }

    /// Returns the index by which we call the session.
    #[inline]
    pub(crate) fn remote_index(&self) -> wire::Index {
        self.remote_index
    }

    /// Returns whether the peer has dropped it.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// Ends the session, which the peer has dropped: its index is removed, and jobs that wait to be begun
    /// drop their references to it.
    fn end(this: RcuArc<Self>) {
        let device = this.peer.device();
        // Fully ordered: jobs that are not seen below see this.
        this.over.xchg(true, Full);
        device.indices.remove_keypair(&this);
        device.cancel_jobs(&this);
    }

    /// Returns the key that we send with.
    #[inline]
    pub(crate) fn sending_key(&self) -> &[u8; 32] {
        self.sending.key.as_bytes()
    }

    /// Returns the key that we receive with.
    #[inline]
    pub(crate) fn receiving_key(&self) -> &[u8; 32] {
        self.receiving.key.as_bytes()
    }

    /// Returns whether the session is young enough to send messages, and forbids sending if not.
    #[inline]
    pub(crate) fn may_send(&self, now_ns: u64) -> bool {
        let might = self.sending.valid.load(Relaxed);
        let may = session::may_send(might, self.born_ns, now_ns);
        if might && !may {
            self.stop_sending();
        }
        may
    }

    /// Hands out nonces for `count` messages, unless too few are left, in which case nothing may be sent any
    /// more.
    #[inline]
    pub(crate) fn take_nonces(&self, count: u64) -> Option<Nonces> {
        let nonces = self.sending.counter.take(count);
        if nonces.is_none() {
            self.stop_sending();
        }
        nonces
    }

    /// Forbids sending anything more.
    pub(crate) fn stop_sending(&self) {
        self.sending.valid.store(false, Relaxed);
    }

    /// Returns whether messages may be received now, and forbids it for good if not.
    #[inline]
    pub(crate) fn may_receive(&self, now_ns: u64) -> bool {
        let receiving = &self.receiving;
        let might = receiving.valid.load(Relaxed);
        let highest = receiving.highest.load(Relaxed);
        let may = session::may_receive(might, self.born_ns, highest, now_ns);
        if !may {
            receiving.valid.store(false, Relaxed);
        }
        may
    }

    /// Returns whether received messages are in jobs, which later ones must not overtake. For reception, only
    /// the NAPI instance of the session asks.
    #[inline]
    pub(crate) fn has_jobs(&self) -> bool {
        self.weight_in_jobs() > 0
    }

    /// Returns how much the received messages weigh that are in jobs.
    #[inline]
    pub(crate) fn weight_in_jobs(&self) -> usize {
        u32_as_usize(self.receiving.in_jobs.load(Relaxed))
    }

    /// Notes that received messages of that `weight` are in a job.
    pub(crate) fn begin_job(&self, weight: u32) {
        self.receiving.in_jobs.fetch_add(weight, Relaxed);
    }

    /// Notes that a job's messages, which had that `weight`, were delivered.
    pub(crate) fn end_job(&self, weight: u32) {
        self.receiving.in_jobs.fetch_sub(weight, Relaxed);
    }

    /// Notes that an authentic message has come, and returns whether it is new: a second time it is not.
    #[inline]
    pub(crate) fn accept(&self, nonce: u64) -> bool {
        let mut window = self.window.lock();
        let new = window.accept(nonce);
        let highest = window.highest();
        self.receiving.highest.store(highest, Relaxed);
        drop(window);
        if !new {
            pr_debug_ratelimited!(
                "{}: Packet has invalid nonce {} (max {})\n",
                self.peer.device().name(),
                nonce,
                highest
            );
        }
        new
    }

    /// Returns whether sending calls for a new handshake.
    #[inline]
    pub(crate) fn is_stale_for_sending(&self, now_ns: u64) -> bool {
        let might = self.sending.valid.load(Relaxed);
        let sent = self.sending.counter.taken();
        session::keep_key_fresh_sending(might, sent, self.role, self.born_ns, now_ns)
    }

    /// Returns whether receiving calls for a new handshake.
    #[inline]
    pub(crate) fn is_stale_for_receiving(&self, now_ns: u64) -> bool {
        let might = self.sending.valid.load(Relaxed);
        session::keep_key_fresh_receiving(might, self.role, self.born_ns, now_ns)
    }
}

/// The sessions of a peer.
///
/// Changes happen under the lock, and what it protects is authoritative; the slots mirror it for RCU readers.
#[pin_data]
pub(crate) struct Sessions {
    #[pin]
    all: SpinLockBh<session::Keypairs<RcuArc<Keypair>>>,
    current: Slot<Keypair>,
    next: Slot<Keypair>,
}

impl Sessions {
    /// Creates an initialiser for no sessions.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            all <- new_spinlock_bh!(session::Keypairs::default(), "Sessions::all"),
            current: Slot::new(None),
            next: Slot::new(None),
        })
    }

    /// Returns the session that messages are sent with.
    #[inline]
    pub(crate) fn current<'g>(&'g self, guard: &'g Guard) -> Option<Borrow<'g, Keypair>> {
        self.current.load(guard)
    }

    /// Adds the session that `handshake`, which is with `peer`, has led to, and returns whether it can be
    /// used. The handshake is over either way.
    ///
    /// The caller holds the lock of the handshake, so that the removal of `peer` cannot miss the session.
    pub(crate) fn install(&self, peer: &RcuArc<Peer>, handshake: &mut Handshake) -> bool {
        let Some(outcome) = handshake.outcome() else {
            return false;
        };
        let usable = matches!(self.try_install(peer, handshake, outcome), Ok(true));
        if !usable {
            // The index is that of the outcome.
            let _ = handshake.clear();
            let indices = &peer.device().indices;
            indices.remove_handshake(outcome.local_index, peer);
        }
        usable
    }

    fn try_install(
        &self,
        peer: &RcuArc<Peer>,
        handshake: &mut Handshake,
        outcome: Outcome,
    ) -> Result<bool> {
        let role = outcome.role;
        let indices = &peer.device().indices;
        let keypair = Keypair::new(peer.clone(), handshake, outcome)?;
        pr_debug_ratelimited!(
            "{}: Keypair {} created for peer {}\n",
            peer.device().name(),
            keypair.id,
            peer.id()
        );

        let place = Indices::reserve(&keypair)?;

        let guard = rcu::read_lock();
        if !peer.is_active(&guard) {
            return Ok(false);
        }
        let mut all = self.all.lock();
        let fallen = all.install(keypair, role);
        self.publish(&all);
        // With the lock held, so that a task that clears the sessions finds the index.
        let usable = indices.replace(place, peer);
        drop(all);
        drop(guard);

        fallen.into_iter().flatten().for_each(Keypair::end);
        Ok(usable)
    }

    /// Promotes the next session to the current one if it is `keypair`, with which a message was
    /// just received. Returns whether that is so.
    #[inline]
    pub(crate) fn confirm(&self, keypair: Borrow<'_, Keypair>) -> bool {
        self.next.holds(keypair) && self.confirm_slow(keypair)
    }

    fn confirm_slow(&self, keypair: Borrow<'_, Keypair>) -> bool {
        let mut all = self.all.lock();
        let Ok(old) = all.confirm(|next| keypair.is(next)) else {
            return false;
        };
        self.publish(&all);
        drop(all);
        if let Some(old) = old {
            Keypair::end(old);
        }
        true
    }

    /// Returns the local indices of those sessions that have jobs with received messages.
    pub(crate) fn indices_with_jobs(&self) -> [Option<wire::Index>; 3] {
        let all = self.all.lock();
        let index = |keypair: &Option<RcuArc<Keypair>>| {
            let keypair = keypair.as_ref().filter(|keypair| keypair.has_jobs())?;
            Some(keypair.local_index())
        };
        [index(&all.next), index(&all.current), index(&all.previous)]
    }

    /// Returns whether there is a session that is young enough to be used.
    pub(crate) fn are_young(&self, now_ns: u64) -> bool {
        self.all.lock().are_young(|keypair| keypair.born_ns, now_ns)
    }

    /// Removes all sessions.
    pub(crate) fn clear(&self) {
        let mut all = self.all.lock();
        let old = all.clear();
        self.publish(&all);
        drop(all);
        old.into_iter().flatten().for_each(Keypair::end);
    }

    /// Forbids sending, until there is a new session.
    pub(crate) fn stop_sending(&self) {
        let all = self.all.lock();
        all.for_sending().for_each(|keypair| keypair.stop_sending());
    }

    /// Mirrors for readers what the lock protects.
    fn publish(&self, all: &session::Keypairs<RcuArc<Keypair>>) {
        // Readers of `next` take the lock and check again, so either order will do.
        drop(self.next.swap(all.next.clone()));
        drop(self.current.swap(all.current.clone()));
    }
}
