// SPDX-License-Identifier: GPL-2.0

//! A packet's way out: stage, encrypt, transmit.

use crate::{
    allowed_ips::AddrForLog,
    control,
    device::Device,
    keypair::Keypair,
    outbox,
    peer::{
        Peer,
        INITIATE, //
    },
    queue::{
        Job,
        Task, //
    },
    seal::{
        Bundle,
        Sealing, //
    }, //
};
use kernel::cpu::CpuId;
use wg_kernel::{
    compat::u32_as_usize,
    prelude::*,
    task, //
};
use wg_proto::{
    ip,
    timers::Occasion,
    wire, //
};

/// How many bytes at the start of a packet are inspected.
const HEAD_LEN: usize = ip::V6_HEADER_LEN;

/// Returns whether this CPU may encrypt and send here and now: it must not be deep in other work, nor hold
/// the lock of a queue that the message may go to.
///
/// For a tunnel inside another, the list of jobs takes the place of the stack, which is scarce, and the kernel's
/// limit on nested transmissions is not used up.
#[inline]
fn may_be_inline(device: &Device, softirq: Softirq<'_>) -> bool {
    let bh = softirq.bh();
    let netdev = device.link.get(softirq.rcu());
    netdev.is_some_and(|netdev| netdev.is_outermost(bh))
        && !netdevice::is_mirred(bh)
        && !task::is_stack_short(bh)
}

impl Device {
    /// Sends a packet that the stack transmits through the tunnel.
    ///
    /// # Errors
    ///
    /// [`EPROTONOSUPPORT`] if its protocol does not match its header, [`ENOKEY`] if it is for no peer,
    /// [`EDESTADDRREQ`] if the peer has no endpoint, and those of segmentation.
    #[inline]
    pub(crate) fn start_xmit(
        self: &Arc<Self>,
        netdev: &netdevice::Device,
        skb: OutgoingSkBuff<'_>,
        softirq: Softirq<'_>,
    ) -> Result {
        let protocol = skb.protocol();
        if protocol == 0 || protocol != skb.real_protocol() {
            pr_debug_ratelimited!("{}: Invalid IP packet\n", self.name());
            netdev.tx_errors_inc();
            return Err(EPROTONOSUPPORT);
        }
        self.send_to_peer(netdev, skb, softirq)
            .map_err(|(mut skb, error)| {
                // The message to the sender, too, may go to a queue whose lock is held.
                if !netdevice::is_mirred(softirq.bh()) {
                    skb.icmp_unreachable();
                }
                netdev.tx_errors_inc();
                error
            })
    }

    /// Finds the peer a packet is for, and hands it on. Gives it back with an error, which its sender is to be
    /// told by ICMP.
    #[inline]
    fn send_to_peer<'a>(
        &self,
        netdev: &netdevice::Device,
        skb: OutgoingSkBuff<'a>,
        softirq: Softirq<'_>,
    ) -> Result<(), (OutgoingSkBuff<'a>, Error)> {
        let mut head = [0; HEAD_LEN];
        let head = head
            .get_mut(..HEAD_LEN.min(skb.len() as usize))
            .unwrap_or_default();
        let header = match skb.copy_bits(0, head) {
            true => ip::Header::read(head),
            false => None,
        };
        let table = self.allowed_ips.load(softirq.rcu());
        let Some(header) = header else {
            return Err((skb, ENOKEY));
        };
        let Some(peer) = table.and_then(|table| table.into_ref().lookup(&header.destination))
        else {
            pr_debug_ratelimited!(
                "{}: No peer has allowed IPs matching {:#}\n",
                self.name(),
                AddrForLog(header.destination)
            );
            return Err((skb, ENOKEY));
        };
        if peer.endpoint(softirq.rcu()).is_none() {
            pr_debug_ratelimited!(
                "{}: No valid endpoint has been configured or discovered for peer {}\n",
                self.name(),
                peer.id()
            );
            return Err((skb, EDESTADDRREQ));
        }

        let mtu = skb.valid_dst_mtu().unwrap_or(netdev.mtu());
        let Err(skb) = Peer::send_large(peer.borrow(), skb, mtu, softirq) else {
            return Ok(());
        };
        let mut packets = skb.segment()?;
        packets.for_each_mut(|skb| control::set_mtu(skb.cb_mut(), mtu));
        Peer::send_or_stage(peer.borrow(), packets, softirq);
        Ok(())
    }
}

impl Peer {
    /// Sends packets, after those that wait for a session if there are any.
    #[inline]
    fn send_or_stage(this: Borrow<'_, Self>, packets: SkBuffList, softirq: Softirq<'_>) {
        let packets = match this.staged.is_empty() {
            true => {
                let keypair = this.into_ref().session(softirq.rcu());
                match Self::try_send(this, keypair, packets, softirq) {
                    Ok(()) => return,
                    Err(packets) => packets,
                }
            }
            false => packets,
        };
        if !this.is_active(softirq.rcu()) {
            return this.device().count_tx_dropped(packets.len() as u64);
        }
        this.append_staged(packets);
        Self::send_staged(this);
    }

    /// Sends the packets that wait for a session if there is one now, and otherwise begins a
    /// handshake.
    pub(crate) fn send_staged(this: Borrow<'_, Self>) {
        let bh = bh::disable();
        let guard = rcu::read_lock();
        if !this.is_active(&guard) {
            return;
        }
        let softirq = Softirq::new(&guard, &bh);
        let session = || this.into_ref().session(&guard);
        let send = |keypair, packets| {
            Self::try_send(this, keypair, packets, softirq).map_err(|mut packets| {
                // Waiting packets must not use up their sockets' send buffers.
                packets.for_each_mut(SkBuff::orphan);
                packets
            })
        };
        if this.staged.send_all(session, send) {
            Self::queue_initiation(this, false);
        }
    }

    /// Sends a GSO packet without having the kernel segment it first, or gives it back if that is not
    /// possible.
    #[inline]
    fn send_large<'a>(
        this: Borrow<'_, Self>,
        mut skb: OutgoingSkBuff<'a>,
        mtu: u32,
        softirq: Softirq<'_>,
    ) -> Result<(), OutgoingSkBuff<'a>> {
        if !skb.is_gso() || !this.device().outer_gso || !this.staged.is_empty() {
            return Err(skb);
        }
        control::set_mtu(skb.cb_mut(), mtu);
        let Some(bundle) = Bundle::plan(&skb) else {
            return Err(skb);
        };
        let keypair = this.into_ref().session(softirq.rcu());
        let Some(sealing) = keypair.and_then(|keypair| Sealing::bundle(keypair, bundle)) else {
            return Err(skb);
        };
        Self::dispatch(this, skb.detach().into(), sealing, softirq);
        Ok(())
    }

    /// Has packets encrypted with the keys of a session and sent, or gives them back if there is none or if it
    /// has too few nonces left, and so is no session to send with from then on.
    #[inline]
    fn try_send(
        this: Borrow<'_, Self>,
        keypair: Option<Borrow<'_, Keypair>>,
        packets: SkBuffList,
        softirq: Softirq<'_>,
    ) -> Result<(), SkBuffList> {
        if packets.is_empty() {
            return Ok(());
        }
        if !outbox::fit_at_once(&packets) {
            return Self::try_send_many(this, keypair, packets);
        }
        let Some(sealing) = keypair.and_then(|keypair| Sealing::each(keypair, packets.len()))
        else {
            return Err(packets);
        };
        Self::dispatch(this, packets, sealing, softirq);
        Ok(())
    }

    /// As [`Self::try_send`], for more packets than are encrypted, or sent, at once: they become as many jobs
    /// as it takes, so that whoever empties a ring, or wants the CPU, comes in between.
    #[cold]
    fn try_send_many(
        this: Borrow<'_, Self>,
        keypair: Option<Borrow<'_, Keypair>>,
        mut packets: SkBuffList,
    ) -> Result<(), SkBuffList> {
        let cpu = u32_as_usize(CpuId::current().as_u32());
        while !packets.is_empty() && !this.is_dead() {
            let mut some = outbox::take_some(&mut packets);
            let Some(sealing) = keypair.and_then(|keypair| Sealing::each(keypair, some.len()))
            else {
                some.append(&mut packets);
                return Err(some);
            };
            Self::leave_to_worker(this, some, sealing, cpu);
        }
        Ok(())
    }

    /// Returns the session to send with.
    #[inline]
    fn session<'g>(&'g self, guard: &'g Guard) -> Option<Borrow<'g, Keypair>> {
        let keypair = self.sessions.current(guard)?;
        keypair
            .may_send(time::boottime_coarse_ns())
            .then_some(keypair)
    }

    /// Encrypts and sends packets, inline or as a job.
    #[inline]
    fn dispatch(
        this: Borrow<'_, Self>,
        packets: SkBuffList,
        mut sealing: Sealing<Borrow<'_, Keypair>>,
        softirq: Softirq<'_>,
    ) {
        if this.is_dead() {
            return;
        }
        let device = this.device();
        let parallel = device.load.parallel;
        let cpu = u32_as_usize(CpuId::current().as_u32());
        let meter = device.encryption_meter(cpu);
        let count = sealing.count();
        let is_for_others = || {
            !this.outbox.sender.may_be(cpu, parallel)
                || parallel.wants_encryption(count, meter)
                || this.outbox.is_for_task(&sealing, softirq.bh())
        };
        let inline = this.outbox.order.is_empty()
            && may_be_inline(device, softirq)
            && (!is_for_others() || this.outbox.is_better_inline(device, &sealing));
        if inline {
            // Timing a single message costs more than it tells.
            let sealed = match count {
                1 => sealing.seal(packets),
                _ => parallel.measure_encryption(meter, || sealing.seal(packets)),
            };
            Self::transmit(this, sealed, softirq);
        } else {
            Self::leave_to_worker(this, packets, sealing, cpu);
        }
    }

    /// Has packets that were sent on `cpu` encrypted and sent by a worker.
    #[inline(never)]
    fn leave_to_worker(
        this: Borrow<'_, Self>,
        packets: SkBuffList,
        sealing: Sealing<Borrow<'_, Keypair>>,
        cpu: usize,
    ) {
        let session = *sealing.keypair();
        if let Some(sealing) = sealing.hold() {
            let task = Task::Encrypt { sealing, cpu };
            Job::submit(this.device(), &this.outbox.order, task, session, packets);
        }
    }

    /// Sends encrypted packets to the peer's endpoint.
    #[inline]
    pub(crate) fn transmit(this: Borrow<'_, Self>, mut packets: SkBuffList, softirq: Softirq<'_>) {
        if packets.is_empty() {
            return;
        }
        let mut data_sent = false;

        this.on(Occasion::Sending);
        while let Some(skb) = packets.pop_front() {
            let keepalive = skb.len() as usize == wire::DATA_MIN_LEN;
            let ds = control::dsfield(&skb);
            data_sent |= this.send(skb, ds, softirq) && !keepalive;
        }
        if data_sent {
            this.on(Occasion::DataSent);
        }
        let now_ns = time::boottime_coarse_ns();
        let current = this.sessions.current(softirq.rcu());
        if current.is_some_and(|keypair| keypair.is_stale_for_sending(now_ns)) {
            Self::queue_initiation(this, false);
        }
    }

    /// Sends the packets that wait for a session or, if there are none, a keepalive.
    pub(crate) fn send_keepalive(this: Borrow<'_, Self>) {
        let guard = rcu::read_lock();
        if !this.is_active(&guard) {
            return;
        }
        if this.staged.is_empty() {
            Self::stage_keepalive(this, &guard);
        }
        // With or without it: there may be packets by now that count on whoever makes a session.
        Self::send_staged(this);
    }

    /// Adds a keepalive to the packets that wait or, if there is no memory for it, has that tried again later.
    fn stage_keepalive(this: Borrow<'_, Self>, guard: &Guard) {
        let Some(mut skb) = SkBuff::alloc(control::HEADROOM, wire::DATA_MIN_LEN) else {
            this.on(Occasion::NoKeepalive);
            return;
        };
        let Some(netdev) = this.device().link.get(guard) else {
            return;
        };
        control::set_mtu(skb.cb_mut(), netdev.mtu());
        this.append_staged(SkBuff::from(skb).into());
        pr_debug_ratelimited!(
            "{}: Sending keepalive packet to peer {} ({})\n",
            this.device().name(),
            this.id(),
            this.endpoint_for_log()
        );
    }

    /// Has an initiation sent, unless a handshake message was sent only a short while ago.
    pub(crate) fn queue_initiation(this: Borrow<'_, Self>, is_retry: bool) {
        if !is_retry {
            this.timer_state.attempts.store(0, Relaxed);
        }
        let guard = rcu::read_lock();
        if !this.may_initiate() || !this.is_active(&guard) {
            return;
        }
        if let Some(peer) = this.get() {
            // If it is queued already, the reference is just dropped.
            let _ = this.device().queues.send.enqueue::<_, INITIATE>(peer);
        }
    }
}
