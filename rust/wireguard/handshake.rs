// SPDX-License-Identifier: GPL-2.0

//! Handshake messages: sending them, and answering those that come in.
//!
//! All of this happens in process context, on the device's workqueues: one message that came in is
//! one work item, on the CPU whose turn it is.

use crate::{
    crypto::{
        Identity,
        Kernel, //
    },
    device::Device,
    globals::Globals,
    keying::Active,
    lookup::Entry,
    peer::Peer,
    socket, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
    workqueue::{
        impl_has_work,
        new_work,
        Work,
        WorkItem, //
    }, //
};
use wg_kernel::{
    cpu,
    net::{
        addr::SocketAddr,
        skbuff::{
            Outer,
            Served,
            SkBuff, //
        }, //
    },
    pr_debug_ratelimited,
    random,
    sync::{
        bh,
        rcu::{
            self,
            RcuArc, //
        }, //
    },
    time, //
};
use wg_proto::{
    handshake::Claim,
    limits,
    secret::{
        self,
        Secret, //
    },
    tai64n::Timestamp,
    timers::Event,
    wire::{
        self,
        CookieReply,
        Index,
        Initiation,
        Kind,
        Response, //
    }, //
};

/// A handshake message that came in.
#[pin_data]
struct Incoming {
    #[pin]
    work: Work<Incoming>,
    device: Arc<Device>,
    /// How often the interface had gone down when the message came in.
    epoch: u32,
    kind: Kind,
    skb: Served,
}

impl_has_work! {
    impl HasWork<Incoming> for Incoming { self.work }
}

impl WorkItem for Incoming {
    type Pointer = Pin<KBox<Self>>;

    fn run(this: Pin<KBox<Self>>) {
        // What came in before the interface went down is void.
        if let Some(skb) = this.skb.get().filter(|_| this.epoch == this.device.epoch()) {
            this.device.answer(this.kind, skb);
            secret::wipe_stack();
        }
        this.device.handshakes_queued().fetch_sub(1, Relaxed);
    }
}

impl Device {
    /// Queues a handshake message that came in, unless there are too many.
    #[cold]
    pub(crate) fn queue_handshake(self: &Arc<Self>, kind: Kind, skb: SkBuff) {
        let queued = self.handshakes_queued();
        let full = queued.load(Relaxed) as usize >= limits::MAX_QUEUED_INCOMING_HANDSHAKES;
        if full || !random::is_initialized() {
            return self.log_dropped(&skb);
        }
        let incoming = KBox::pin_init(
            try_pin_init!(Incoming {
                work <- new_work!("Incoming::work"),
                device: self.clone(),
                epoch: self.epoch(),
                kind,
                skb: Served::new(skb),
            }? Error),
            GFP_ATOMIC,
        );
        let Ok(incoming) = incoming else {
            return;
        };
        queued.fetch_add(1, Relaxed);
        let cpu = cpu::Online::after(self.last_handshake_cpu().load(Relaxed));
        self.last_handshake_cpu().store(cpu.as_raw(), Relaxed);
        self.queues().receive.enqueue_on::<_, 0>(cpu, incoming);
    }

    /// Says in the log that a message was dropped.
    fn log_dropped(&self, skb: &SkBuff) {
        if let Some(outer) = skb.outer() {
            pr_debug_ratelimited!(
                "{}: Dropping handshake packet from {}\n",
                self.name(),
                outer.source
            );
        }
    }

    /// Does what a handshake message asks for.
    ///
    /// Not inlined, so that all it leaves on the stack lies below the one that wipes that.
    #[inline(never)]
    fn answer(self: &Arc<Self>, kind: Kind, skb: &SkBuff) {
        let Some(outer) = skb.outer() else {
            return;
        };
        let peer = match kind {
            Kind::Initiation => self.answer_initiation(skb, &outer),
            Kind::Response => self.answer_response(skb, &outer),
            Kind::CookieReply => {
                pr_debug_ratelimited!(
                    "{}: Receiving cookie response from {}\n",
                    self.name(),
                    outer.source
                );
                return self.take_cookie(skb);
            }
            Kind::Data => None,
        };
        let Some(peer) = peer else {
            return;
        };

        let len = u64::from(skb.len());
        let bh = bh::disable();
        let guard = rcu::read_lock();
        if let Some(netdev) = self.link().get(&guard) {
            netdev.sw_rx_add(1, len, &bh);
        }
        peer.add_rx_bytes(len);
        drop(guard);
        drop(bh);
        peer.on(Event::AnyAuthenticatedPacketReceived);
        peer.on(Event::AnyAuthenticatedPacketTraversal);
    }

    /// Answers an initiation, and returns who it is by if it is accepted.
    fn answer_initiation(self: &Arc<Self>, skb: &SkBuff, outer: &Outer) -> Option<RcuArc<Peer>> {
        let bytes = skb.head::<{ wire::INITIATION_LEN }>()?;
        let message = Initiation::from_bytes(&bytes)?;
        let identity = self.admit(&bytes, message.sender, outer)?;
        let Some(peer) = self.consume_initiation(&identity, &message) else {
            pr_debug_ratelimited!(
                "{}: Invalid handshake initiation from {}\n",
                self.name(),
                outer.source
            );
            return None;
        };

        let (addr, source) = socket::answer_to(outer);
        peer.set_endpoint(addr, source);
        pr_debug_ratelimited!(
            "{}: Receiving handshake initiation from peer {} ({})\n",
            self.name(),
            peer.id(),
            peer.endpoint_for_log()
        );
        Peer::send_response(&peer);
        Some(peer)
    }

    /// Accepts an initiation, and returns who it is by.
    fn consume_initiation(
        &self,
        identity: &Identity,
        message: &Initiation,
    ) -> Option<RcuArc<Peer>> {
        let mut claim = Claim::new(identity, message);
        claim.open::<Kernel>()?;
        let guard = rcu::read_lock();
        let peer = self.peers().get(claim.remote_static(), &guard)?.clone();
        drop(guard);
        let now_ns = time::boottime_coarse_ns();
        let mut keying = peer.keying.lock();
        let handshake = &mut keying.activate(&peer).ok()?.handshake;
        let accepted = handshake
            .consume_initiation::<Kernel>(&mut claim, now_ns)
            .is_ok();
        drop(keying);
        accepted.then_some(peer)
    }

    /// Takes in a response, and returns who it is by if it is accepted.
    fn answer_response(self: &Arc<Self>, skb: &SkBuff, outer: &Outer) -> Option<RcuArc<Peer>> {
        let bytes = skb.head::<{ wire::RESPONSE_LEN }>()?;
        let message = Response::from_bytes(&bytes)?;
        self.admit(&bytes, message.sender, outer)?;
        let peer = self.handshake_of(message.receiver);
        let accepted = peer.and_then(|peer| {
            let mut keying = peer.keying.lock();
            let handshake = &mut keying.active()?.handshake;
            handshake.consume_response::<Kernel>(&message)?;
            let (addr, source) = socket::answer_to(outer);
            peer.set_endpoint(addr, source);
            pr_debug_ratelimited!(
                "{}: Receiving handshake response from peer {} ({})\n",
                self.name(),
                peer.id(),
                peer.endpoint_for_log()
            );
            let installed = peer.sessions.install(&peer, handshake);
            drop(keying);
            Some((peer, installed))
        });
        let Some((peer, installed)) = accepted else {
            pr_debug_ratelimited!(
                "{}: Invalid handshake response from {}\n",
                self.name(),
                outer.source
            );
            return None;
        };

        if installed {
            peer.on(Event::SessionDerived);
            peer.on(Event::HandshakeComplete);
            // Confirms the session: by what waits for it or, if nothing does, by an empty message.
            Peer::send_keepalive(peer.borrow());
        }
        Some(peer)
    }

    /// Takes in a cookie reply.
    fn take_cookie(&self, skb: &SkBuff) {
        let Some(reply) = skb
            .head::<{ wire::COOKIE_REPLY_LEN }>()
            .and_then(|bytes| CookieReply::from_bytes(&bytes))
        else {
            return;
        };
        let guard = rcu::read_lock();
        let entry = self.indices().get(reply.receiver, &guard);
        let Some(peer) = entry.map(|entry| entry.peer().clone()) else {
            return;
        };
        drop(guard);
        let now_ns = time::boottime_coarse_ns();
        let mut keying = peer.keying.lock();
        let result = keying
            .active()
            .map(|active| active.cookies.consume_reply::<Kernel>(&reply, now_ns));
        drop(keying);
        if result == Some(Err(wg_proto::cookie::CookieRefusal::Invalid)) {
            pr_debug_ratelimited!(
                "{}: Could not decrypt invalid cookie response\n",
                self.name()
            );
        }
    }

    /// Returns the peer that a pending handshake with our index `index` is with.
    fn handshake_of(&self, index: Index) -> Option<RcuArc<Peer>> {
        let guard = rcu::read_lock();
        match self.indices().get(index, &guard)? {
            Entry::Handshake(peer) => Some(peer.clone()),
            Entry::Keypair(_) => None,
        }
    }

    /// Checks the MACs of a message, and under load its cookie, too.
    ///
    /// Returns our identity if it is to be processed. If it lacks a cookie, one is sent.
    fn admit(&self, message: &[u8], sender: Index, outer: &Outer) -> Option<Identity> {
        let globals = Globals::get()?;
        let now_ns = time::boottime_coarse_ns();
        let queued = self.handshakes_queued().load(Relaxed) as usize;
        // Messages that are of no use are a load, too.
        let under_load = globals.is_under_load(queued, now_ns);
        let identity = self.identity();
        let identity = identity.filter(|identity| identity.check_mac1::<Kernel>(message));
        let Some(identity) = identity else {
            self.log_invalid(outer);
            return None;
        };
        if !under_load {
            return Some(identity);
        }

        let source = SourceBytes::new(&outer.source);
        let mut checker = self.cookies().lock();
        if checker.needs_secret(now_ns) {
            checker.rotate(|secret| random::fill(secret), now_ns);
        }
        if checker.check_mac2::<Kernel>(message, source.as_slice()) {
            drop(checker);
            if !globals.allows(self.namespace_id(), &outer.source, now_ns) {
                self.log_invalid(outer);
                return None;
            }
            return Some(identity);
        }

        pr_debug_ratelimited!(
            "{}: Sending cookie response for denied handshake message for {}\n",
            self.name(),
            outer.source
        );
        let mut nonce = [0; 24];
        random::fill(&mut nonce);
        let source = source.as_slice();
        let reply = checker.reply::<Kernel>(&identity, message, sender, source, &nonce);
        drop(checker);
        if let Some(reply) = reply {
            self.send_reply(outer, &reply.to_bytes());
        }
        None
    }

    /// Says in the log that the MAC of a message is wrong.
    fn log_invalid(&self, outer: &Outer) {
        pr_debug_ratelimited!(
            "{}: Invalid MAC of handshake, dropping packet from {}\n",
            self.name(),
            outer.source
        );
    }
}

/// The source of a datagram, as cookies are made from it: address, then port, as on the wire.
struct SourceBytes {
    bytes: [u8; 18],
    len: usize,
}

impl SourceBytes {
    fn new(source: &SocketAddr) -> Self {
        let mut bytes = [0; 18];
        let (addr, port): (&[u8], u16) = match source {
            SocketAddr::V4 { addr, port } => (addr, *port),
            SocketAddr::V6 { addr, port, .. } => (addr, *port),
        };
        let port = port.to_be_bytes();
        let all = [addr, &port].into_iter().flatten();
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        Self {
            bytes,
            len: addr.len().saturating_add(2),
        }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Peer {
    /// Sends an initiation, unless a handshake message was sent a short while ago.
    ///
    /// Not inlined, as [`Device::answer`] is not.
    #[inline(never)]
    pub(crate) fn send_initiation(this: &RcuArc<Self>) {
        if !this.may_initiate() {
            return;
        }
        this.note_handshake_sent();
        pr_debug_ratelimited!(
            "{}: Sending handshake initiation to peer {} ({})\n",
            this.device().name(),
            this.id(),
            this.endpoint_for_log()
        );

        let Some(message) = Self::create_initiation(this) else {
            return;
        };
        this.on(Event::AnyAuthenticatedPacketTraversal);
        this.on(Event::AnyAuthenticatedPacketSent);
        this.note_handshake_sent();
        // First the timer: the response may be there before `send_bytes` returns, and stops it.
        this.on(Event::HandshakeInitiated);
        this.send_bytes(&message, wire::HANDSHAKE_DSCP);
    }

    /// Begins a handshake, whose index takes the place of that of an earlier one.
    ///
    /// Returns the bytes of the message.
    fn create_initiation(this: &RcuArc<Self>) -> Option<[u8; wire::INITIATION_LEN]> {
        // It may take long, so no lock is held yet.
        random::wait().ok()?;
        let indices = this.device().indices();
        let mut keying = this.keying.lock();
        if this.is_dead() {
            return None;
        }
        let Active { handshake, cookies } = keying.activate(this).ok()?;
        let old = handshake.local_index();
        let index = indices.insert(this).ok()?;
        let (seconds, nanoseconds) = time::real_time();
        let now = Timestamp::from_unix(seconds, nanoseconds);
        let mut ephemeral = Secret::zero();
        random::fill(ephemeral.as_mut_bytes());
        let message = handshake.create_initiation::<Kernel>(&mut ephemeral, index, now);
        let unused = match message {
            Some(_) => old,
            None => Some(index),
        };
        if let Some(unused) = unused {
            indices.remove_handshake(unused, this);
        }
        let mut bytes = message?.to_bytes();
        cookies.add_macs::<Kernel>(&mut bytes, time::boottime_coarse_ns());
        Some(bytes)
    }

    /// Answers the initiation that was just accepted.
    fn send_response(this: &RcuArc<Self>) {
        this.note_handshake_sent();
        pr_debug_ratelimited!(
            "{}: Sending handshake response to peer {} ({})\n",
            this.device().name(),
            this.id(),
            this.endpoint_for_log()
        );

        let Some(message) = Self::create_response(this) else {
            return;
        };
        this.on(Event::SessionDerived);
        this.on(Event::AnyAuthenticatedPacketTraversal);
        this.on(Event::AnyAuthenticatedPacketSent);
        this.note_handshake_sent();
        this.send_bytes(&message, wire::HANDSHAKE_DSCP);
    }

    /// Creates the response to an initiation, and the session that follows from both.
    ///
    /// Returns the bytes of the message.
    fn create_response(this: &RcuArc<Self>) -> Option<[u8; wire::RESPONSE_LEN]> {
        random::wait().ok()?;
        let indices = this.device().indices();
        let mut keying = this.keying.lock();
        if this.is_dead() {
            return None;
        }
        let Active { handshake, cookies } = keying.active()?;
        let old = handshake.local_index();
        let index = indices.insert(this).ok()?;
        let mut ephemeral = Secret::zero();
        random::fill(ephemeral.as_mut_bytes());
        let message = handshake.create_response::<Kernel>(&mut ephemeral, index);
        let unused = match message {
            Some(_) => old,
            None => Some(index),
        };
        if let Some(unused) = unused {
            indices.remove_handshake(unused, this);
        }
        let mut bytes = message?.to_bytes();
        if !this.sessions.install(this, handshake) {
            return None;
        }
        cookies.add_macs::<Kernel>(&mut bytes, time::boottime_coarse_ns());
        Some(bytes)
    }
}
