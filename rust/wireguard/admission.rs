// SPDX-License-Identifier: GPL-2.0

//! Incoming handshake messages: which of them are let in, and how they wait.
//!
//! Messages of senders that do not know our public key are dropped in softirq, before anything is allocated
//! or counted: checking the first MAC costs less than queueing a message. The others wait in one queue, an
//! unbound workqueue, for any CPU that is free; the queue holds a copy of the message, not the skb that it
//! arrived in.
//!
//! Whether a cookie reply is from somebody who knows our public key cannot be told there. These are let in if
//! their index is one of ours, which anybody may have seen, and so they have places of their own in the
//! queue, and do not count as load.

use crate::{
    crypto::{
        Identity,
        Kernel, //
    },
    device::{
        Device,
        Epoch, //
    },
    globals::Globals, //
};
use wg_kernel::prelude::*;
use wg_proto::{
    admission::{
        self,
        Admission,
        Host, //
    },
    cookie::{
        Checker,
        Source, //
    },
    limits,
    secret,
    wire, //
};

/// An incoming handshake message that was let in.
#[pin_data]
struct Incoming {
    #[pin]
    work: Work<Incoming>,
    device: Arc<Device>,
    /// The epoch in which the message arrived.
    epoch: Epoch,
    kind: wire::Kind,
    /// The message, of which only as many bytes count as its kind has.
    bytes: [u8; wire::INITIATION_LEN],
    outer: Outer,
}

impl_has_work! {
    impl HasWork<Incoming> for Incoming { self.work }
}

impl Incoming {
    /// Returns the message.
    fn message(&self) -> &[u8] {
        self.bytes.get(..self.kind.header_len()).unwrap_or_default()
    }
}

impl WorkItem for Incoming {
    type Pointer = Pin<KBox<Self>>;

    fn run(this: Pin<KBox<Self>>) {
        // A message that arrived before the interface went down is void.
        if this.device.is_in(this.epoch) {
            this.device
                .process_handshake(this.epoch, this.kind, this.message(), &this.outer);
            secret::wipe_stack();
        }
        this.device.queued(this.kind).0.fetch_sub(1, Relaxed);
    }
}

impl Device {
    /// Receives a handshake message: queues it, unless too many are queued or it is of no use.
    #[cold]
    pub(crate) fn queue_handshake(self: &Arc<Self>, kind: wire::Kind, skb: SkBuff) {
        let Some(outer) = skb.outer() else {
            return;
        };
        let (queued, most) = self.queued(kind);
        let full = queued.load(Relaxed) as usize >= most;
        if full || !random::is_initialized() {
            pr_debug_ratelimited!(
                "{}: Dropping handshake packet from {}\n",
                self.name(),
                outer.source
            );
            return;
        }
        let mut bytes = [0; wire::INITIATION_LEN];
        let message = bytes.get_mut(..kind.header_len()).unwrap_or_default();
        if skb.copy_bits(0, message) && self.lets_in(kind, message, &outer) {
            self.enqueue_handshake(kind, bytes, outer);
        }
        // Consumed rather than dropped, whether or not the message was queued.
        skb.consume();
    }

    /// Returns how many messages are queued that share places with those of that kind, and how many may be.
    fn queued(&self, kind: wire::Kind) -> (&Atomic<i32>, usize) {
        match kind {
            wire::Kind::CookieReply => (
                &self.cookie_replies_queued,
                limits::MAX_QUEUED_COOKIE_REPLIES,
            ),
            _ => (
                &self.handshakes_queued,
                limits::MAX_QUEUED_INCOMING_HANDSHAKES,
            ),
        }
    }

    /// Returns whether a message should be queued.
    fn lets_in(&self, kind: wire::Kind, message: &[u8], outer: &Outer) -> bool {
        let guard = rcu::read_lock();
        let is_reply = kind == wire::Kind::CookieReply;
        if is_reply {
            pr_debug_ratelimited!(
                "{}: Receiving cookie response from {}\n",
                self.name(),
                outer.source
            );
        }
        let doorkeeper = self.doorkeeper.load(&guard);
        let first_mac = doorkeeper.map(|own| own.into_ref().first_mac());
        let is_known = |index| self.indices.get(index, &guard).is_some();
        let worth = admission::may_wait::<Kernel>(kind, message, first_mac, is_known);
        if !worth && !is_reply {
            self.log_invalid(outer);
        }
        worth
    }

    /// Queues a message that was let in, unless memory runs out.
    fn enqueue_handshake(
        self: &Arc<Self>,
        kind: wire::Kind,
        bytes: [u8; wire::INITIATION_LEN],
        outer: Outer,
    ) {
        let Some(epoch) = self.epoch() else {
            return;
        };
        let incoming = KBox::pin_init(
            try_pin_init!(Incoming {
                work <- new_work!("Incoming::work"),
                device: self.clone(),
                epoch,
                kind,
                bytes,
                outer,
            }? Error),
            GFP_ATOMIC,
        );
        if let Ok(incoming) = incoming {
            self.queued(kind).0.fetch_add(1, Relaxed);
            self.queues.receive.enqueue::<_, 0>(incoming);
        }
    }

    /// Checks a message from the queue, and under load its cookie.
    ///
    /// Returns our identity if it is to be processed. If it lacks a cookie, a cookie reply is sent.
    pub(crate) fn admit(
        &self,
        message: &[u8],
        sender: wire::Index,
        outer: &Outer,
    ) -> Option<Identity> {
        let identity = self.identity()?;
        let source = match &outer.source {
            SocketAddr::V4 { addr, port } => Source::v4(addr, *port),
            SocketAddr::V6 { addr, port, .. } => Source::v6(addr, *port),
        };
        let mut arrival = Arrival {
            device: self,
            outer,
            now_ns: time::boottime_coarse_ns(),
        };
        match admission::admit::<Kernel>(&identity, message, sender, &source, &mut arrival) {
            Admission::Process => Some(identity),
            Admission::Challenge(reply) => {
                pr_debug_ratelimited!(
                    "{}: Sending cookie response for denied handshake message for {}\n",
                    self.name(),
                    outer.source
                );
                self.send_reply(outer, &reply.to_bytes());
                None
            }
            Admission::Refuse => None,
        }
    }

    /// Logs that the MAC of a message is wrong.
    fn log_invalid(&self, outer: &Outer) {
        pr_debug_ratelimited!(
            "{}: Invalid MAC of handshake, dropping packet from {}\n",
            self.name(),
            outer.source
        );
    }
}

/// A message from the queue that is to be admitted.
struct Arrival<'a> {
    device: &'a Device,
    outer: &'a Outer,
    now_ns: u64,
}

impl Host for Arrival<'_> {
    fn is_under_load(&mut self) -> bool {
        let queued = self.device.handshakes_queued.load(Relaxed) as usize;
        Globals::is_under_load(queued, self.now_ns)
    }

    fn copy_checker(&mut self, copy: &mut Checker) {
        let mut cookies = self.device.cookies.lock();
        cookies.refresh(|secret| random::fill(secret), self.now_ns);
        copy.copy_from(&cookies);
    }

    fn allows(&mut self) -> bool {
        let namespace = self.device.namespace_id();
        let allowed = Globals::allows(namespace, &self.outer.source, self.now_ns);
        if !allowed {
            self.device.log_invalid(self.outer);
        }
        allowed
    }

    fn fill(&mut self, nonce: &mut [u8; 24]) {
        random::fill(nonce);
    }
}
