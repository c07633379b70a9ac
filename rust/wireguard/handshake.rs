// SPDX-License-Identifier: GPL-2.0

//! Handshake messages: sending them, and answering those that were let in.
//!
//! All of this happens in process context, on the device's workqueues.

use crate::{
    crypto::{
        Claim,
        Identity,
        Kernel, //
    },
    device::{
        Device,
        Epoch, //
    },
    keying::Active,
    lookup::Entry,
    peer::Peer, //
};
use wg_kernel::prelude::*;
use wg_proto::{
    secret::Secret,
    tai64n::Timestamp,
    timers::Occasion,
    wire, //
};

impl Device {
    /// Processes a handshake message that arrived in `epoch`.
    ///
    /// Not inlined into its caller, which wipes the stack that this has used.
    #[inline(never)]
    pub(crate) fn process_handshake(
        self: &Arc<Self>,
        epoch: Epoch,
        kind: wire::Kind,
        message: &[u8],
        outer: &Outer,
    ) {
        let peer = match kind {
            wire::Kind::Initiation => self.answer_initiation(epoch, message, outer),
            wire::Kind::Response => self.consume_response(epoch, message, outer),
            wire::Kind::CookieReply => return self.take_cookie(epoch, message),
            wire::Kind::Data => None,
        };
        let Some(peer) = peer else {
            return;
        };

        let len = message.len() as u64;
        let bh = bh::disable();
        let guard = rcu::read_lock();
        if !peer.is_active_in(epoch, &guard) {
            return;
        }
        if let Some(netdev) = self.link.get(&guard) {
            netdev.sw_rx_add(1, len, &bh);
        }
        peer.add_rx_bytes(len);
        peer.on(Occasion::Received);
    }

    /// Answers an initiation, and returns the peer that sent it if it is accepted.
    fn answer_initiation(
        self: &Arc<Self>,
        epoch: Epoch,
        bytes: &[u8],
        outer: &Outer,
    ) -> Option<RcuArc<Peer>> {
        let message = wire::Initiation::from_bytes(bytes.first_chunk()?)?;
        let identity = self.admit(bytes, message.sender, outer)?;
        let Some(peer) = self.consume_initiation(epoch, &identity, &message, outer) else {
            pr_debug_ratelimited!(
                "{}: Invalid handshake initiation from {}\n",
                self.name(),
                outer.source
            );
            return None;
        };

        pr_debug_ratelimited!(
            "{}: Receiving handshake initiation from peer {} ({})\n",
            self.name(),
            peer.id(),
            peer.endpoint_for_log()
        );
        Peer::send_response(&peer, epoch);
        Some(peer)
    }

    /// Consumes an initiation, and returns the peer that sent it if it is accepted, with its endpoint
    /// updated.
    fn consume_initiation(
        &self,
        epoch: Epoch,
        identity: &Identity,
        message: &wire::Initiation,
        outer: &Outer,
    ) -> Option<RcuArc<Peer>> {
        let mut claim = Claim::new(identity, message);
        claim.open::<Kernel>()?;
        let guard = rcu::read_lock();
        let peer = self.peers.get(claim.remote_static(), &guard)?.clone();
        drop(guard);
        let is_first = peer.keying.lock().active().is_none();
        if is_first {
            // Nothing is allocated for a sender that knows only the two public keys.
            claim.prove_alone::<Kernel>()?;
        }
        let now_ns = time::boottime_coarse_ns();
        let mut keying = peer.keying.lock();
        peer.may_have_keys(epoch).then_some(())?;
        let active = peer.activate(&mut keying, Some(&claim)).ok()?;
        active
            .handshake
            .consume_initiation::<Kernel>(&mut claim, now_ns)
            .ok()?;
        peer.set_endpoint(outer);
        drop(keying);
        Some(peer)
    }

    /// Consumes a response, and returns the peer that sent it if it is accepted.
    fn consume_response(
        self: &Arc<Self>,
        epoch: Epoch,
        bytes: &[u8],
        outer: &Outer,
    ) -> Option<RcuArc<Peer>> {
        let message = wire::Response::from_bytes(bytes.first_chunk()?)?;
        self.admit(bytes, message.sender, outer)?;
        let peer = self.handshake_of(message.receiver);
        let accepted = peer.and_then(|peer| {
            let mut keying = peer.keying.lock();
            peer.may_have_keys(epoch).then_some(())?;
            let handshake = &mut keying.active()?.handshake;
            handshake.consume_response::<Kernel>(&message)?;
            peer.set_endpoint(outer);
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

        let guard = rcu::read_lock();
        if installed && peer.is_active_in(epoch, &guard) {
            peer.on(Occasion::ResponseAccepted);
            // Confirms the session, with the packets that wait for it or, if there are none, a keepalive.
            Peer::send_keepalive(peer.borrow());
        }
        drop(guard);
        Some(peer)
    }

    /// Consumes a cookie reply.
    fn take_cookie(&self, epoch: Epoch, bytes: &[u8]) {
        let Some(reply) = bytes.first_chunk().and_then(wire::CookieReply::from_bytes) else {
            return;
        };
        let guard = rcu::read_lock();
        let entry = self.indices.get(reply.receiver, &guard);
        let Some(peer) = entry.map(|entry| entry.peer().clone()) else {
            return;
        };
        drop(guard);
        let now_ns = time::boottime_coarse_ns();
        let mut keying = peer.keying.lock();
        if !peer.may_have_keys(epoch) {
            return;
        }
        let result = keying
            .active()
            .map(|active| active.cookies.consume_reply::<Kernel>(&reply, now_ns));
        drop(keying);
        if result == Some(Err(wg_proto::cookie::Refusal::Invalid)) {
            pr_debug_ratelimited!(
                "{}: Could not decrypt invalid cookie response\n",
                self.name()
            );
        }
    }

    /// Returns the peer of the pending handshake that our index `index` stands for.
    fn handshake_of(&self, index: wire::Index) -> Option<RcuArc<Peer>> {
        let guard = rcu::read_lock();
        match self.indices.get(index, &guard)? {
            Entry::Handshake(peer) => Some(peer.clone()),
            Entry::Keypair(_) => None,
        }
    }
}

impl Peer {
    /// Sends an initiation, unless a handshake message was sent only a short while ago.
    ///
    /// Not inlined, as [`Device::process_handshake`] is not.
    #[inline(never)]
    pub(crate) fn send_initiation(this: &RcuArc<Self>) {
        let Some(epoch) = this.device().epoch() else {
            return;
        };
        if !this.may_initiate() || !this.may_have_keys(epoch) {
            return;
        }
        pr_debug_ratelimited!(
            "{}: Sending handshake initiation to peer {} ({})\n",
            this.device().name(),
            this.id(),
            this.endpoint_for_log()
        );

        if let Some(message) = Self::create_initiation(this, epoch) {
            this.send_handshake(epoch, Occasion::Initiating, &message);
        }
    }

    /// Sends a handshake message that was created in `epoch`, which is void if that is over.
    fn send_handshake(&self, epoch: Epoch, occasion: Occasion, message: &[u8]) {
        let guard = rcu::read_lock();
        if self.is_active_in(epoch, &guard) {
            self.on(occasion);
            self.send_bytes(message, wire::HANDSHAKE_DSCP);
        }
    }

    /// Begins a handshake, whose index replaces that of an earlier one.
    ///
    /// Returns the bytes of the message.
    fn create_initiation(this: &RcuArc<Self>, epoch: Epoch) -> Option<[u8; wire::INITIATION_LEN]> {
        // This may take long, so no lock is held yet.
        random::wait().ok()?;
        let indices = &this.device().indices;
        let mut keying = this.keying.lock();
        // A response may have been sent meanwhile.
        (this.may_initiate() && this.may_have_keys(epoch)).then_some(())?;
        this.note_handshake_sent(&keying);
        let begun = this
            .activate(&mut keying, None)
            .and_then(|active| Ok((active, indices.insert(this)?)));
        let (Active { handshake, cookies }, index) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                if error == ENOMEM {
                    // As if the message were lost, so that there is another attempt, or in the end none.
                    this.on(Occasion::NotInitiated);
                }
                return None;
            }
        };
        let old = handshake.local_index();
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
    fn send_response(this: &RcuArc<Self>, epoch: Epoch) {
        pr_debug_ratelimited!(
            "{}: Sending handshake response to peer {} ({})\n",
            this.device().name(),
            this.id(),
            this.endpoint_for_log()
        );

        if let Some(message) = Self::create_response(this, epoch) {
            this.send_handshake(epoch, Occasion::Responding, &message);
        }
    }

    /// Creates the response to an initiation, and the session that both lead to.
    ///
    /// Returns the bytes of the message.
    fn create_response(this: &RcuArc<Self>, epoch: Epoch) -> Option<[u8; wire::RESPONSE_LEN]> {
        random::wait().ok()?;
        let indices = &this.device().indices;
        let mut keying = this.keying.lock();
        this.may_have_keys(epoch).then_some(())?;
        let Active { handshake, cookies } = keying.active()?;
        let old = handshake.local_index();
        let index = indices.insert(this).ok();
        let mut ephemeral = Secret::zero();
        random::fill(ephemeral.as_mut_bytes());
        let message =
            index.and_then(|index| handshake.create_response::<Kernel>(&mut ephemeral, index));
        // Without a response nothing stands for the handshake any more.
        let unused = match message {
            Some(_) => [old, None],
            None => [handshake.abandon_unanswered(), index],
        };
        for unused in unused.into_iter().flatten() {
            indices.remove_handshake(unused, this);
        }
        let mut bytes = message?.to_bytes();
        if !this.sessions.install(this, handshake) {
            return None;
        }
        cookies.add_macs::<Kernel>(&mut bytes, time::boottime_coarse_ns());
        // Not if the initiation is void by now: what has made it so lets the next packet begin a handshake.
        this.note_handshake_sent(&keying);
        Some(bytes)
    }
}
