// SPDX-License-Identifier: GPL-2.0

//! The protocol's decisions about timers, applied to a peer's five, and a sixth that watches its jobs.

use crate::{
    outbox::Outbox,
    peer::{
        Peer,
        INITIATE,
        TIMERS,
        ZERO_KEYS, //
    }, //
};
use kernel::alloc::flags::GFP_ATOMIC;
use wg_kernel::{
    prelude::*,
    timer::Expire, //
};
use wg_proto::{
    limits,
    secret,
    timers::{
        self,
        Delay,
        Effects,
        Expired,
        Occasion,
        Timer,
        View, //
    }, //
};

/// Number of a peer's timer, after those of the protocol, that checks for jobs that wait for a stuck CPU.
const WATCH: usize = Timer::COUNT;

/// Its delay in jiffies, after which a CPU that has not begun a job is known to be stuck.
const WATCH_JIFFIES: usize = time::HZ / 40 + 2;

impl View for Peer {
    #[inline]
    fn is_pending(&self, timer: Timer) -> bool {
        self.timers.is_pending(timer.index())
    }

    #[inline]
    fn persistent_keepalive(&self) -> u16 {
        Peer::persistent_keepalive(self)
    }
}

impl Peer {
    /// Applies to the timers the consequences of `occasion`.
    #[inline]
    pub(crate) fn on(&self, occasion: Occasion) {
        occasion.each(|event| self.apply(timers::on(event, self)));
    }

    /// Applies `effects`. Always inlined: those of an event are constants, and hardly any code is left.
    #[inline(always)]
    fn apply(&self, effects: Effects) {
        let state = &self.timer_state;
        if let Some(timer) = effects.cancel {
            self.timers.cancel(timer.index());
        }
        if effects.purge_staged {
            self.purge_staged();
        }
        if let Some(need) = effects.keepalive_again(|| self.device().is_running()) {
            state.need_another_keepalive.store(need, Relaxed);
        }
        if let Some((timer, delay)) = effects.arm {
            self.arm(timer, delay);
        }
        if effects.handshake_complete {
            state.attempts.store(0, Relaxed);
            state.sent_lastminute_handshake.store(false, Relaxed);
            self.note_handshake_complete();
        }
    }

    /// Arms a timer, unless the peer is dead or the interface down.
    fn arm(&self, timer: Timer, delay: Delay) {
        let guard = rcu::read_lock();
        if !self.is_active(&guard) {
            return;
        }
        let jiffies = delay.ticks(time::HZ as u32, random::u32_below);
        self.timers.arm(timer.index(), jiffies as usize);
    }

    /// Begins the handshake anew, `attempts` being the number of retries.
    fn retry_handshake(&self, attempts: u32, this: Borrow<'_, Self>) {
        self.timer_state.attempts.store(attempts, Relaxed);
        pr_debug!(
            "{}: Handshake for peer {} ({}) did not complete after {} seconds, retrying (try {})\n",
            self.device().name(),
            self.id(),
            self.endpoint_for_log(),
            limits::REKEY_TIMEOUT,
            attempts.wrapping_add(1)
        );
        // Our address may be the cause of the failure.
        self.clear_source(GFP_ATOMIC);
        Self::queue_initiation(this, true);
    }

    /// Has jobs checked after a while.
    #[inline]
    pub(crate) fn watch_jobs(&self) {
        if !self.timers.is_pending(WATCH) {
            let guard = rcu::read_lock();
            if self.is_active(&guard) {
                self.timers.arm(WATCH, WATCH_JIFFIES);
            }
        }
    }

    /// Has jobs that wait for a stuck CPU done by other CPUs, and the packets of finished jobs sent, as the
    /// CPU that was to send them may have been interrupted. Checks again later as long as there are jobs.
    fn rescue_jobs(this: Borrow<'_, Self>) {
        let device = this.device();
        let now_ns = time::boottime_coarse_ns();
        let order = &this.outbox.order;
        let mut left = !order.is_empty();
        order.rescue_stuck(device, now_ns);
        if order.is_front_done() {
            if let Some(peer) = this.get() {
                Outbox::leave_to_worker(peer);
            }
        }
        for index in this.sessions.indices_with_jobs().into_iter().flatten() {
            left = true;
            if let Some(inbox) = device.inbox(device.instance_of(index)) {
                inbox.order.rescue_stuck(device, now_ns);
            }
        }
        if left {
            this.watch_jobs();
        }
    }
}

impl Expire<{ TIMERS }> for Peer {
    fn expired(this: Borrow<'_, Self>, timer: usize) {
        let Some(timer) = Timer::ALL.get(timer).copied() else {
            return Self::rescue_jobs(this);
        };
        let attempts = this.timer_state.attempts.load(Relaxed);
        let need = this.timer_state.need_another_keepalive.load(Relaxed);
        let (effects, expired) = timers::expired(timer, attempts, need, this.into_ref());

        this.apply(effects);
        match expired {
            Expired::RetryHandshake { attempts } => this.retry_handshake(attempts, this),
            Expired::GiveUp => pr_debug!(
                "{}: Handshake for peer {} ({}) did not complete after {} attempts, giving up\n",
                this.device().name(),
                this.id(),
                this.endpoint_for_log(),
                limits::MAX_TIMER_HANDSHAKES.wrapping_add(2)
            ),
            // This disarms the one timer, and arms the other once more, unless it comes to nothing.
            Expired::SendKeepalive => Self::send_keepalive(this),
            Expired::NewHandshake => {
                pr_debug!(
                    "{}: Retrying handshake with peer {} ({}) because we stopped hearing back after {} seconds\n",
                    this.device().name(),
                    this.id(),
                    this.endpoint_for_log(),
                    limits::KEEPALIVE_TIMEOUT + limits::REKEY_TIMEOUT
                );
                this.clear_source(GFP_ATOMIC);
                Self::queue_initiation(this, false);
            }
            Expired::ZeroKeyMaterial => {
                let guard = rcu::read_lock();
                if !this.is_dead() {
                    if let Some(peer) = this.get() {
                        // If it is queued already, the reference is just dropped.
                        let _ = this.device().queues.send.enqueue::<_, ZERO_KEYS>(peer);
                    }
                }
                drop(guard);
            }
            Expired::Nothing => (),
        }
    }
}

impl WorkItem<ZERO_KEYS> for Peer {
    type Pointer = RcuArc<Self>;

    fn run(this: RcuArc<Self>) {
        pr_debug!(
            "{}: Zeroing out all keys for peer {} ({}), since we haven't received a new one in {} seconds\n",
            this.device().name(),
            this.id(),
            this.endpoint_for_log(),
            3 * limits::REJECT_AFTER_TIME
        );
        this.wipe_expired_keys();
        this.forget_route();
    }
}

impl WorkItem<INITIATE> for Peer {
    type Pointer = RcuArc<Self>;

    fn run(this: RcuArc<Self>) {
        Self::send_initiation(&this);
        secret::wipe_stack();
    }
}
