// SPDX-License-Identifier: GPL-2.0

//! A datagram's way in: receive, decrypt, deliver.

use crate::{
    allowed_ips::AllowedIps,
    device::Device,
    keypair::Keypair,
    lookup::Entry,
    meter::Meter,
    peer::Peer,
    queue::{
        Job,
        Ordered,
        Task, //
    },
    socket, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};
use wg_kernel::{
    cpu,
    crypto::chacha20poly1305,
    net::{
        napi::Napi,
        netdevice,
        skbuff::{
            SkBuff,
            SkBuffList, //
        }, //
    },
    new_spinlock_bh,
    pr_debug_ratelimited,
    sync::{
        bh,
        rcu::{
            Borrow,
            Guard, //
        },
        SpinLockBh, //
    },
    time, //
};
use wg_proto::{
    ip::{
        self,
        Malformed, //
    },
    limits,
    timers::Event,
    wire::{
        self,
        DataHeader,
        Index,
        Kind, //
    }, //
};

/// How many packets may wait to be decrypted on one CPU.
const MAX_WAITING: usize = 4 * limits::MAX_QUEUED_PACKETS;

/// Messages that wait to be decrypted on one CPU, and jobs that wait to be delivered there.
#[pin_data]
pub(crate) struct Inbox {
    #[pin]
    waiting: SpinLockBh<SkBuffList>,
    #[pin]
    order: Ordered,
    meter: Meter,
}

impl Inbox {
    /// Creates an initialiser for an empty inbox.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            waiting <- new_spinlock_bh!(SkBuffList::new(), "Inbox::waiting"),
            order <- Ordered::new(),
            meter: Meter::new(),
        })
    }

    /// Returns how much of the CPU's time goes into decryption.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Adds a message, unless there are too many.
    #[inline]
    fn push(&self, skb: SkBuff) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < MAX_WAITING {
            waiting.push_back(skb);
        } else {
            drop(waiting);
            drop(skb);
        }
    }

    /// Drops all that waits to be decrypted or delivered. No job must be under way any more.
    pub(crate) fn clear(&self) {
        let waiting = core::mem::replace(&mut *self.waiting.lock(), SkBuffList::new());
        drop(waiting);
        while let Some(job) = self.order.pop_done() {
            drop(job);
            self.order.delivered();
        }
    }

    /// Takes up to `count` messages, and says how many are left.
    fn take(&self, count: usize) -> (SkBuffList, usize) {
        let mut waiting = self.waiting.lock();
        let mut taken = SkBuffList::new();
        if waiting.len() <= count {
            core::mem::swap(&mut *waiting, &mut taken);
            return (taken, 0);
        }
        for _ in 0..count {
            let Some(skb) = waiting.pop_front() else {
                break;
            };
            taken.push_back(skb);
        }
        (taken, waiting.len())
    }
}

impl Device {
    /// Takes in a datagram that one of the sockets has received. It is silent about what is not a
    /// message.
    #[inline]
    pub(crate) fn receive(self: &Arc<Self>, mut skb: SkBuff, bh: &bh::Guard) {
        let Ok(len) = skb.pull_udp() else {
            return;
        };
        // The stack has made no more of it linear than the UDP header.
        if !skb.pull_linear(4) {
            return;
        }
        let Some(head) = skb.head::<4>() else {
            return;
        };
        let Some(kind) = wire::classify(&head, len as usize) else {
            return;
        };
        if !skb.pull_linear(kind.header_len() as u32) {
            return;
        }
        if kind != Kind::Data {
            return self.queue_handshake(kind, skb);
        }

        let instance = cpu::current() as usize;
        if let Some(inbox) = self.inboxes().get(instance) {
            inbox.push(skb);
            self.link().schedule_napi(instance, bh);
        }
    }

    /// Decrypts and delivers up to `budget` packets, and returns how many that were.
    pub(crate) fn poll(self: &Arc<Self>, instance: usize, napi: &Napi<'_>, budget: usize) -> usize {
        let Some(inbox) = self.inboxes().get(instance) else {
            return 0;
        };
        let (guard, bh) = (napi.rcu(), napi.bh());
        let Some(netdev) = self.link().get(guard) else {
            return 0;
        };
        let delivery = Delivery {
            device: self,
            netdev,
            napi,
            guard,
            bh,
        };
        let mut done: usize = 0;

        while done < budget {
            let Some(job) = inbox.order.pop_done() else {
                break;
            };
            let packets = job.take_packets();
            done = done.saturating_add(packets.len().max(1));
            delivery.deliver(job.keypair().borrow(), packets);
            inbox.order.delivered();
        }
        if done >= budget {
            return budget;
        }

        let (mut packets, left) = inbox.take(budget.wrapping_sub(done));
        done = done.saturating_add(packets.len());
        while let Some((keypair, mut run)) = delivery.next_run(&mut packets) {
            // Those that come later must not overtake those that are under way.
            if !inbox.order.is_empty() || self.wants_parallel_decryption(left, &inbox.meter) {
                if let Some(keypair) = keypair.get() {
                    Job::submit(self, &inbox.order, Task::Decrypt { instance }, keypair, run);
                }
            } else {
                inbox.meter.measure(|| keypair.open(&mut run));
                delivery.deliver(keypair, run);
            }
        }
        done.min(budget)
    }
}

impl Keypair {
    /// Decrypts messages in place, and drops those that are not authentic.
    pub(crate) fn open(&self, packets: &mut SkBuffList) {
        if !self.may_receive(time::boottime_coarse_ns()) {
            drop(core::mem::replace(packets, SkBuffList::new()));
            return;
        }
        packets.retain(|skb| {
            let Some(header) = header(skb) else {
                return false;
            };
            let open = chacha20poly1305::open_skb(
                skb,
                wire::DATA_HEADER_LEN as u32,
                header.counter,
                self.receiving_key(),
            );
            set_nonce(skb, header.counter);
            open
        });
    }
}

/// What delivering packets needs.
struct Delivery<'a> {
    device: &'a Device,
    netdev: &'a netdevice::Device,
    napi: &'a Napi<'a>,
    guard: &'a Guard,
    bh: &'a bh::Guard,
}

impl<'a> Delivery<'a> {
    /// Takes the first messages that belong to one session, and drops those before that belong to
    /// none.
    fn next_run(&self, packets: &mut SkBuffList) -> Option<(Borrow<'a, Keypair>, SkBuffList)> {
        loop {
            let first = packets.pop_front()?;
            let Some(index) = header(&first).map(|header| header.receiver) else {
                continue;
            };
            let entry = self.device.indices().get(index, self.guard);
            let Some(Entry::Keypair(keypair)) = entry else {
                continue;
            };
            if keypair.peer().is_dead() {
                continue;
            }
            let mut run = SkBuffList::new();
            run.push_back(first);
            while is_for(packets.front(), index) {
                match packets.pop_front() {
                    Some(skb) => run.push_back(skb),
                    None => break,
                }
            }
            return Some((keypair.borrow(), run));
        }
    }

    /// Delivers the packets that were decrypted with one session, except for replayed ones.
    fn deliver(&self, keypair: Borrow<'_, Keypair>, mut packets: SkBuffList) {
        if packets.is_empty() {
            return;
        }
        keypair.with_window(|window| {
            packets.retain(|skb| {
                let new = window.accept(nonce(skb));
                if !new {
                    pr_debug_ratelimited!(
                        "{}: Packet has invalid nonce {} (max {})\n",
                        self.device.name(),
                        nonce(skb),
                        window.highest()
                    );
                }
                new
            });
        });

        let peer = keypair.peer();
        let table = self.device.allowed_ips().load(self.guard);
        let mut count = 0u64;
        let mut bytes = 0u64;
        while let Some(skb) = packets.pop_front() {
            if let Some(len) = self.deliver_one(keypair, table, skb) {
                count = count.wrapping_add(1);
                bytes = bytes.wrapping_add(u64::from(len));
            }
        }
        if count > 0 {
            self.netdev.sw_rx_add(count, bytes, self.bh);
            peer.add_rx_bytes(bytes);
        }
    }

    /// Delivers one packet, and returns the length of its message if it is to be counted.
    fn deliver_one(
        &self,
        keypair: Borrow<'_, Keypair>,
        table: Option<Borrow<'_, AllowedIps>>,
        mut skb: SkBuff,
    ) -> Option<u32> {
        let outer = skb.outer()?;
        let peer = keypair.peer();

        skb.scrub(false);
        let (addr, source) = socket::answer_to(&outer);
        peer.set_endpoint(addr, source);
        if peer.sessions.confirm(keypair) {
            peer.on(Event::HandshakeComplete);
            Peer::send_staged(peer.borrow());
        }
        self.keep_key_fresh(peer.borrow());
        peer.on(Event::AnyAuthenticatedPacketReceived);
        peer.on(Event::AnyAuthenticatedPacketTraversal);

        let message_len = skb.len().wrapping_add(wire::DATA_MIN_LEN as u32);
        if skb.is_empty() {
            pr_debug_ratelimited!(
                "{}: Receiving keepalive packet from peer {} ({})\n",
                self.device.name(),
                peer.id(),
                peer.endpoint_for_log()
            );
            skb.consume();
            return Some(message_len);
        }
        peer.on(Event::DataReceived);

        match self.admit(peer, table, &mut skb, outer.ds) {
            Ok(true) => {
                self.napi.gro_receive(skb);
                Some(message_len)
            }
            Ok(false) => None,
            Err(dishonesty) => {
                self.count(dishonesty, peer);
                None
            }
        }
    }

    /// Checks a packet and makes it one that has come in through the tunnel.
    ///
    /// Returns whether it can be delivered, or what is wrong with it.
    fn admit(
        &self,
        peer: &Peer,
        table: Option<Borrow<'_, AllowedIps>>,
        skb: &mut SkBuff,
        outer_ds: u8,
    ) -> Result<bool, Dishonesty> {
        let mut head = [0; ip::V6_HEADER_LEN];
        let head_len = ip::V6_HEADER_LEN.min(skb.len() as usize);
        let head = head.get_mut(..head_len).unwrap_or_default();
        if !skb.pull_linear(head_len as u32) || !skb.copy_bits(0, head) {
            return Err(Dishonesty::Type);
        }
        let header =
            ip::Header::parse(head, skb.len() as usize).map_err(|malformed| match malformed {
                Malformed::Type => Dishonesty::Type,
                Malformed::Size => Dishonesty::Size,
            })?;

        skb.set_device(self.netdev);
        skb.mark_checksum_verified();
        skb.set_protocol(skb.real_protocol());
        skb.ecn_decapsulate(outer_ds);
        if !skb.trim(header.total_len()) {
            return Ok(false);
        }
        let source = header.source();
        let owner = table.and_then(|table| table.into_ref().lookup(&source));
        match owner {
            Some(owner) if core::ptr::eq(&**owner, peer) => Ok(true),
            _ => Err(Dishonesty::Source(source)),
        }
    }

    /// Counts a dishonest packet.
    #[cold]
    fn count(&self, dishonesty: Dishonesty, peer: &Peer) {
        let name = self.device.name();
        let (id, endpoint) = (peer.id(), peer.endpoint_for_log());

        self.netdev.rx_errors_inc();
        match dishonesty {
            Dishonesty::Source(source) => {
                pr_debug_ratelimited!(
                    "{}: Packet has unallowed src IP ({}) from peer {} ({})\n",
                    name,
                    crate::allowed_ips::AddrForLog(source),
                    id,
                    endpoint
                );
                self.netdev.rx_frame_errors_inc();
            }
            Dishonesty::Type => {
                pr_debug_ratelimited!(
                    "{}: Packet is neither ipv4 nor ipv6 from peer {} ({})\n",
                    name,
                    id,
                    endpoint
                );
                self.netdev.rx_frame_errors_inc();
            }
            Dishonesty::Size => {
                pr_debug_ratelimited!(
                    "{}: Packet has incorrect size from peer {} ({})\n",
                    name,
                    id,
                    endpoint
                );
                self.netdev.rx_length_errors_inc();
            }
        }
    }

    /// Begins a handshake if the session that we send with nears its end, once per session.
    #[inline]
    fn keep_key_fresh(&self, peer: Borrow<'_, Peer>) {
        let sent = &peer.timer_state.sent_lastminute_handshake;
        if sent.load(Relaxed) {
            return;
        }
        let now_ns = time::boottime_coarse_ns();
        if peer.sessions.is_stale_for_receiving(now_ns, self.guard) {
            sent.store(true, Relaxed);
            Peer::queue_initiation(peer, false);
        }
    }
}

/// What is wrong with a packet that the peer has sent.
enum Dishonesty {
    /// It is not an IP packet.
    Type,
    /// It is not as long as it says.
    Size,
    /// It has a source that is not the peer's.
    Source(wg_proto::allowed_ips::Addr),
}

/// Returns the header of a data message.
#[inline]
fn header(skb: &SkBuff) -> Option<DataHeader> {
    DataHeader::from_bytes(&skb.head()?)
}

/// Returns whether there is a message, and it belongs to the session with `index`.
#[inline]
fn is_for(skb: Option<&SkBuff>, index: Index) -> bool {
    skb.and_then(header)
        .is_some_and(|header| header.receiver == index)
}

/// Notes the nonce that a packet came with.
#[inline]
fn set_nonce(skb: &mut SkBuff, nonce: u64) {
    let [_, _, low, high, ..] = skb.cb_mut();
    *low = nonce as u32;
    *high = (nonce >> 32) as u32;
}

/// Returns what [`set_nonce`] noted.
#[inline]
fn nonce(skb: &SkBuff) -> u64 {
    let [_, _, low, high, ..] = skb.cb();
    u64::from(*high) << 32 | u64::from(*low)
}
