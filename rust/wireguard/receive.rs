// SPDX-License-Identifier: GPL-2.0

//! A packet's way in: receive, decrypt, deliver.

use crate::{
    allowed_ips::{
        AddrForLog,
        AllowedIps, //
    },
    control,
    device::Device,
    inbox::Inbox,
    keypair::Keypair,
    lookup::Entry,
    open,
    peer::Peer,
    queue::{
        Batch,
        Job,
        Task, //
    },
    share::{
        Direction,
        Share, //
    }, //
};
use wg_kernel::{
    net::{
        napi::Napi,
        udp_tunnel::Receive, //
    },
    prelude::*, //
};
use wg_proto::{
    ip::{
        self,
        Refusal, //
    },
    timers::Occasion,
    wire, //
};

impl Receive for Device {
    /// Processes a packet that one of the sockets has received. Anything that is not a WireGuard message is
    /// dropped silently.
    #[inline]
    fn receive(this: &Arc<Self>, mut skb: SkBuff, softirq: Softirq<'_>) {
        if skb.pull_udp().is_err() {
            return;
        }
        match skb.datagram_size() {
            Some(size) => this.receive_many(skb, size as usize, softirq),
            None => this.receive_one(skb, softirq),
        }
    }
}

impl Device {
    /// Processes the payload of a datagram, whose headers are in the headroom.
    #[inline]
    fn receive_one(self: &Arc<Self>, mut skb: SkBuff, softirq: Softirq<'_>) {
        // The stack has made only the UDP header linear.
        if !skb.pull_linear(4) {
            return;
        }
        let Some(head) = skb.head::<4>() else {
            return;
        };
        let Some(kind) = wire::classify(&head, skb.len() as usize) else {
            return;
        };
        if !skb.pull_linear(kind.header_len() as u32) {
            return;
        }
        if kind != wire::Kind::Data {
            return self.queue_handshake(kind, skb);
        }

        self.enqueue(skb, 1, softirq);
    }

    /// Processes a UDP GRO packet of datagrams of `size` bytes each, except for the last.
    #[cold]
    fn receive_many(self: &Arc<Self>, mut skb: SkBuff, size: usize, softirq: Softirq<'_>) {
        let count = (skb.len() as usize).div_ceil(size.max(1));
        if size <= open::MAX_LEN && is_of_one_session(&skb, size) {
            if skb.pull_linear(wire::DATA_HEADER_LEN as u32) {
                self.enqueue(skb, count, softirq);
            }
            return;
        }
        let mut rest = skb.len() as usize;
        let mut offset: u32 = 0;
        while rest > 0 {
            let len = size.min(rest);
            if let Some(datagram) = skb.copy_inner(offset, len) {
                self.receive_one(datagram.into(), softirq);
            }
            offset = offset.wrapping_add(len as u32);
            rest = rest.wrapping_sub(len);
        }
        skb.consume();
    }

    /// Puts a packet with `count` data messages into an inbox: the same one for all messages of a session, on
    /// whatever CPU they arrive, so that they stay in order. Packets of no session are dropped without taking a
    /// lock or a place in an inbox.
    #[inline]
    fn enqueue(&self, skb: SkBuff, count: usize, softirq: Softirq<'_>) {
        let Some(receiver) = header(&skb).map(|header| header.receiver) else {
            return;
        };
        let entry = self.indices.get(receiver, softirq.rcu());
        let Some(Entry::Keypair(keypair)) = entry else {
            return;
        };
        let instance = self.instance_of(receiver);
        if let Some(inbox) = self.inbox(instance) {
            inbox.push(skb, count, &keypair.quota);
            self.link.schedule_napi(instance, softirq.bh());
        }
    }

    /// Decrypts and delivers up to `budget` packets, and returns how many that were.
    pub(crate) fn poll(self: &Arc<Self>, instance: usize, napi: &Napi<'_>, budget: usize) -> usize {
        let Some(inbox) = self.inbox(instance) else {
            return 0;
        };
        if !self.is_running() {
            inbox.clear();
            return 0;
        }
        let softirq = napi.softirq();
        let Some(netdev) = self.link.get(softirq.rcu()) else {
            return 0;
        };
        let delivery = Delivery {
            device: self,
            netdev,
            napi,
            softirq,
        };
        let mut done = delivery.deliver_jobs(inbox, budget);
        if done >= budget {
            return budget;
        }

        let (mut packets, weight, left) = inbox.take(budget.wrapping_sub(done));
        done = done.saturating_add(weight);
        let mut alone = self
            .load
            .parallel
            .messages_decrypted_alone(left, &inbox.meter);
        while let Some((keypair, mut run)) = delivery.next_run(&mut packets) {
            let of_run = control::total_weight(&run);
            // Later messages must not overtake those of their session that are under way. If there are none,
            // and jobs hold as much as they may, the messages are decrypted here.
            if keypair.has_jobs() || of_run > alone && Share::is_left(self, Direction::In(0)) {
                if let Some(own) = keypair.get() {
                    let task = Task::Decrypt {
                        keypair: own,
                        instance,
                    };
                    Job::submit(self, &inbox.order, task, keypair, run);
                }
            } else {
                alone = alone.saturating_sub(of_run);
                let merge = netdev.merges_packets();
                // Timing a single message costs more than it tells.
                match weight {
                    1 => keypair.open(&mut run, merge),
                    _ => inbox.meter.measure(|| keypair.open(&mut run, merge)),
                }
                delivery.deliver(keypair, run);
            }
        }
        done.min(budget)
    }
}

/// The context in which packets are delivered.
struct Delivery<'a> {
    device: &'a Device,
    netdev: &'a netdevice::Device,
    napi: &'a Napi<'a>,
    softirq: Softirq<'a>,
}

impl<'a> Delivery<'a> {
    /// Delivers finished jobs until they amount to `budget` messages, and returns how many they were; each
    /// job counts as at least one.
    fn deliver_jobs(&self, inbox: &Inbox, budget: usize) -> usize {
        let mut done: usize = 0;
        while done < budget {
            let Some(batch) = inbox.order.pop_done_of_session() else {
                break;
            };
            let Batch {
                keypair,
                packets,
                epoch,
                size,
            } = batch;
            let count = match keypair.peer().is_active_in(epoch, self.softirq.rcu()) {
                true => self.deliver(keypair.borrow(), packets),
                false => 0,
            };
            done = done.saturating_add(count.max(1));
            keypair.end_job(size);
            inbox.order.delivered();
        }
        done
    }

    /// Takes the first messages that belong to one session, and drops those before them that belong to none.
    fn next_run(&self, packets: &mut SkBuffList) -> Option<(Borrow<'a, Keypair>, SkBuffList)> {
        loop {
            let first = packets.pop_front()?;
            let Some(index) = header(&first).map(|header| header.receiver) else {
                continue;
            };
            let entry = self.device.indices.get(index, self.softirq.rcu());
            let Some(Entry::Keypair(keypair)) = entry else {
                continue;
            };
            if keypair.peer().is_dead() {
                continue;
            }
            let of_session = |skb: &SkBuff| header(skb).is_some_and(|next| next.receiver == index);
            let mut run = SkBuffList::from(first);
            while packets.front().is_some_and(of_session) {
                if let Some(skb) = packets.pop_front() {
                    run.push_back(skb);
                }
            }
            return Some((keypair.borrow(), run));
        }
    }

    /// Delivers the packets that were decrypted with one session, and returns how many messages they arrived
    /// in.
    fn deliver(&self, keypair: Borrow<'_, Keypair>, mut packets: SkBuffList) -> usize {
        if packets.is_empty() {
            return 0;
        }
        let peer = keypair.peer();
        let table = self.device.allowed_ips.load(self.softirq.rcu());
        let mut total = 0usize;
        let mut count = 0u64;
        let mut bytes = 0u64;
        while let Some(skb) = packets.pop_front() {
            let of_one = control::message_count(&skb);
            let bytes_of_one = control::message_bytes(&skb);
            total = total.wrapping_add(of_one);
            if self
                .deliver_one(keypair, table, skb, of_one as u64)
                .is_some()
            {
                count = count.wrapping_add(of_one as u64);
                bytes = bytes.wrapping_add(bytes_of_one);
            }
        }
        if count > 0 {
            self.netdev.sw_rx_add(count, bytes, self.softirq.bh());
            peer.add_rx_bytes(bytes);
        }
        total
    }

    /// Delivers one packet, which arrived in `count` messages, and returns whether to count these.
    fn deliver_one(
        &self,
        keypair: Borrow<'_, Keypair>,
        table: Option<Borrow<'_, AllowedIps>>,
        mut skb: SkBuff,
        count: u64,
    ) -> Option<()> {
        let outer = skb.outer()?;
        let peer = keypair.peer();

        skb.scrub(false);
        peer.set_endpoint(&outer);
        if peer.sessions.confirm(keypair) {
            peer.on(Occasion::Confirmed);
            Peer::send_staged(peer.borrow());
        }
        self.keep_key_fresh(peer.borrow());
        peer.on(Occasion::Received);

        if skb.is_empty() {
            pr_debug_ratelimited!(
                "{}: Receiving keepalive packet from peer {} ({})\n",
                self.device.name(),
                peer.id(),
                peer.endpoint_for_log()
            );
            skb.consume();
            return Some(());
        }
        peer.on(Occasion::DataReceived);

        match self.set_up(peer, table, &mut skb, outer.ds) {
            Ok(true) => {
                self.napi.gro_receive(skb);
                Some(())
            }
            Ok(false) => None,
            Err(refusal) => {
                self.count_error(refusal, peer, count);
                None
            }
        }
    }

    /// Checks a packet and sets it up as one received through the tunnel.
    ///
    /// Returns whether it can be delivered, or why it is refused.
    fn set_up(
        &self,
        peer: &Peer,
        table: Option<Borrow<'_, AllowedIps>>,
        skb: &mut SkBuff,
        outer_ds: u8,
    ) -> Result<bool, Refusal> {
        let mut head = [0; ip::V6_HEADER_LEN];
        let head_len = ip::V6_HEADER_LEN.min(skb.len() as usize);
        let head = head.get_mut(..head_len).unwrap_or_default();
        if !skb.pull_linear(head_len as u32) || !skb.copy_bits(0, head) {
            return Err(Refusal::Type);
        }
        let header = ip::Header::parse(head, skb.len() as usize)?;

        if !skb.is_gso() {
            skb.mark_checksum_verified();
        } else if !skb.set_tcp_partial(header.fixed_len) {
            return Ok(false);
        }
        skb.set_protocol(skb.real_protocol());
        if let Some(ds) = ip::ecn_decap(outer_ds, header.tos) {
            if let Some(head) = skb.own_linear_mut(header.fixed_len) {
                ip::set_dsfield(head, ds);
            }
        }
        if !skb.trim(header.total_len) {
            return Ok(false);
        }
        let owner = table.and_then(|table| table.into_ref().lookup(&header.source));
        match owner {
            Some(owner) if core::ptr::eq(&**owner, peer) => Ok(true),
            _ => Err(Refusal::Source(header.source)),
        }
    }

    /// Counts a refused packet, which arrived in so many messages.
    #[cold]
    fn count_error(&self, refusal: Refusal, peer: &Peer, messages: u64) {
        let name = self.device.name();
        let (id, endpoint) = (peer.id(), peer.endpoint_for_log());

        self.netdev.rx_errors_add(messages);
        match refusal {
            Refusal::Source(source) => {
                let source = AddrForLog(source);
                pr_debug_ratelimited!(
                    "{name}: Packet has unallowed src IP ({source}) from peer {id} ({endpoint})\n"
                );
                self.netdev.rx_frame_errors_add(messages);
            }
            Refusal::Type => {
                pr_debug_ratelimited!(
                    "{name}: Packet is neither ipv4 nor ipv6 from peer {id} ({endpoint})\n"
                );
                self.netdev.rx_frame_errors_add(messages);
            }
            Refusal::Size => {
                pr_debug_ratelimited!(
                    "{name}: Packet has incorrect size from peer {id} ({endpoint})\n"
                );
                self.netdev.rx_length_errors_add(messages);
            }
        }
    }

    /// Begins a handshake if the session that we send with is about to expire, once per session.
    #[inline]
    fn keep_key_fresh(&self, peer: Borrow<'_, Peer>) {
        let sent = &peer.timer_state.sent_lastminute_handshake;
        if sent.load(Relaxed) {
            return;
        }
        let now_ns = time::boottime_coarse_ns();
        let current = peer.sessions.current(self.softirq.rcu());
        if current.is_some_and(|keypair| keypair.is_stale_for_receiving(now_ns)) {
            sent.store(true, Relaxed);
            Peer::queue_initiation(peer, false);
        }
    }
}

/// Returns the header of a data message.
#[inline]
fn header(skb: &SkBuff) -> Option<wire::DataHeader> {
    wire::DataHeader::from_bytes(&skb.head()?)
}

/// Returns whether the datagrams of the UDP GRO packet `skb` are all data messages of one session.
fn is_of_one_session(skb: &SkBuff, size: usize) -> bool {
    let total = skb.len() as usize;
    let mut first = None;
    let mut offset = 0;
    while offset < total {
        let len = size.min(total.wrapping_sub(offset));
        let mut head = [0; 8];
        if !skb.copy_bits(offset as u32, &mut head) {
            return false;
        }
        let kind = head
            .first_chunk()
            .and_then(|kind| wire::classify(kind, len));
        if kind != Some(wire::Kind::Data) || *first.get_or_insert(head) != head {
            return false;
        }
        offset = offset.wrapping_add(len);
    }
    true
}
