// SPDX-License-Identifier: GPL-2.0

//! An interface: its state and its end.

mod epoch;
mod operations;

pub(crate) use self::{
    epoch::Epoch,
    operations::WireGuard, //
};

use self::epoch::Epochs;
use crate::{
    allowed_ips::AllowedIps,
    config::Config,
    crypto::Identity,
    doorkeeper::Doorkeeper,
    inbox::Inbox,
    load::Load,
    lookup::{
        Indices,
        Peers, //
    },
    socket::Sockets, //
};
use kernel::{
    cpu::nr_cpu_ids,
    rbtree::RBTreeNodeReservation,
    str::CString, //
};
use wg_kernel::{
    compat::{
        param,
        u32_as_usize, //
    },
    module,
    net::{
        namespace::{
            Net,
            WeakNet, //
        },
        udp_tunnel::Large, //
    },
    prelude::*,
    sync::rcu::hash::HashTable,
    workqueue::{
        Flag,
        OwnedQueue, //
    }, //
};
use wg_proto::{
    cookie::Checker,
    wire, //
};

/// Number of interfaces of this boot.
static COUNT: Atomic<u64> = Atomic::new(0);

/// The workqueues of a device.
pub(crate) struct Queues {
    /// Incoming handshake messages.
    pub(crate) receive: OwnedQueue,
    /// Initiations to send, and keys to wipe.
    pub(crate) send: OwnedQueue,
    /// Packets to encrypt or to decrypt.
    pub(crate) crypt: OwnedQueue,
    /// The same, when the CPU that they were given to is stuck.
    pub(crate) rescue: OwnedQueue,
}

impl Queues {
    fn new(name: &CStr) -> Result<Self> {
        let exclusive = Flag::PerCpu | Flag::CpuIntensive;
        let anywhere = Flag::Unbound | Flag::Freezable;
        let rescue = Flag::Unbound | Flag::MemReclaim;
        // One for each CPU, and one more in case one of them is kept from its work.
        let workers = cpu::online_count().saturating_add(1) as i32;
        Ok(Self {
            receive: OwnedQueue::new(c"wg-kex", name, anywhere, workers)?,
            send: OwnedQueue::new(c"wg-kex", name, anywhere, 0)?,
            crypt: OwnedQueue::new(c"wg-crypt", name, exclusive | Flag::MemReclaim, 1)?,
            rescue: OwnedQueue::new(c"wg-crypt", name, rescue, workers)?,
        })
    }
}

/// An interface.
///
/// Tables, slots, locks, counters and settings are open to the rest of the driver. Accessors have what is never
/// written again, what goes with another field, and what is read and written in a certain order.
#[pin_data]
pub(crate) struct Device {
    /// A number that no other interface of this boot has.
    id: u64,
    /// The link to the network device.
    pub(crate) link: netdevice::Link,
    /// The namespace that the sockets are in.
    pub(crate) transport_net: WeakNet,
    /// A place reserved in the list of devices, until it is used: once the interface is visible, it must not
    /// be missing there for want of memory.
    #[pin]
    place: Mutex<Option<RBTreeNodeReservation<u64, Arc<Self>>>>,
    #[pin]
    pub(crate) config: Mutex<Config>,
    /// Our static identity; users take a reference of their own first.
    #[pin]
    identity: SpinLockBh<Option<Identity>>,
    /// Checks the first MAC of messages to us, while there is an identity.
    pub(crate) doorkeeper: Slot<Doorkeeper>,
    /// Gives cookies; users take a copy first.
    #[pin]
    pub(crate) cookies: SpinLockBh<Checker>,

    /// Peers by public key.
    #[pin]
    pub(crate) peers: Peers,
    /// Sessions and handshakes by index.
    #[pin]
    pub(crate) indices: Indices,
    pub(crate) allowed_ips: Slot<AllowedIps>,
    /// Present while the interface is up.
    pub(crate) sockets: Slot<Sockets>,
    fwmark: Atomic<u32>,
    inboxes: KVec<Pin<KBox<Inbox>>>,
    pub(crate) load: Load,
    /// Whether the messages of a GSO packet are sent as one UDP GSO packet.
    pub(crate) outer_gso: bool,
    /// Whether UDP GRO packets are received unsegmented, and made.
    pub(crate) outer_gro: Large,

    epochs: Epochs,
    /// Number of incoming initiations and responses that are not processed yet.
    pub(crate) handshakes_queued: Atomic<i32>,
    /// Number of incoming cookie replies that are not processed yet.
    pub(crate) cookie_replies_queued: Atomic<i32>,
    pub(crate) queues: Queues,
    /// Number of peers that are not freed yet.
    live_peers: Atomic<i64>,
}

/// Returns what the module's parameter says of UDP GRO packets.
fn outer_gro() -> Large {
    match param(crate::module_parameters::outer_gro.value()) {
        0 => Large::Segmented,
        1 => Large::Whole,
        _ => Large::Merged,
    }
}

impl Device {
    fn new(link: netdevice::Link, net: &Net, name: netdevice::Name) -> Result<Arc<Self>> {
        let name = CString::try_from_fmt(fmt!("{}", name))?;
        let queues = Queues::new(&name)?;
        let mut inboxes = KVec::with_capacity(u32_as_usize(nr_cpu_ids()), GFP_KERNEL)?;
        for _ in 0..nr_cpu_ids() {
            let inbox = KBox::pin_init(Inbox::new(), GFP_KERNEL)?;
            inboxes.push_within_capacity(inbox).map_err(|_| ENOMEM)?;
        }
        let transport_net = WeakNet::new(net);
        let place = RBTreeNodeReservation::new(GFP_KERNEL)?;
        Arc::pin_init(
            try_pin_init!(Self {
                id: COUNT.fetch_add(1, Relaxed),
                link,
                transport_net,
                place <- new_mutex!(Some(place), "Device::place"),
                config <- new_mutex!(Config::new(), "Device::config"),
                identity <- new_spinlock_bh!(None, "Device::identity"),
                doorkeeper: Slot::new(None),
                cookies <- new_spinlock_bh!(Checker::new(), "Device::cookies"),
                peers <- HashTable::new(),
                indices <- Indices::new(),
                allowed_ips: Slot::new(None),
                sockets: Slot::new(None),
                fwmark: Atomic::new(0),
                inboxes,
                load: Load::new(),
                outer_gso: param(crate::module_parameters::outer_gso.value()) != 0,
                outer_gro: outer_gro(),
                epochs: Epochs::new(),
                handshakes_queued: Atomic::new(0),
                cookie_replies_queued: Atomic::new(0),
                queues,
                live_peers: Atomic::new(0),
            }? Error),
            GFP_KERNEL,
        )
    }

    /// Returns a number that no other interface of this boot has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Returns the name of the interface.
    pub(crate) fn name(&self) -> netdevice::Name {
        self.link.name()
    }

    /// Returns a number that identifies the namespace that the interface is in.
    pub(crate) fn namespace_id(&self) -> usize {
        let guard = rcu::read_lock();
        self.link
            .get(&guard)
            .map_or(0, |netdev| netdev.net(&guard).id())
    }

    /// Returns our static identity.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity.lock().clone()
    }

    /// Sets our static identity, and what checks the first MAC of messages to it.
    pub(crate) fn set_identity(&self, new: Option<(Identity, RcuArc<Doorkeeper>)>) {
        let (identity, doorkeeper) = new.unzip();
        let old = core::mem::replace(&mut *self.identity.lock(), identity);
        drop(old);
        drop(self.doorkeeper.swap(doorkeeper));
    }

    /// Returns the mark of outgoing packets.
    #[inline]
    pub(crate) fn fwmark(&self) -> u32 {
        self.fwmark.load(Relaxed)
    }

    /// Returns the mark of outgoing packets, which is that of [`Device::set_fwmark`] if anything that was
    /// published after it was seen before this call.
    pub(crate) fn latest_fwmark(&self) -> u32 {
        // Pairs with the full ordering of `Slot::swap`.
        self.fwmark.fetch_add(0, Full)
    }

    /// Sets the mark of outgoing packets.
    pub(crate) fn set_fwmark(&self, mark: u32) {
        self.fwmark.xchg(mark, Full);
    }

    /// Returns the inbox of a NAPI instance, of which there is one for each CPU.
    #[inline]
    pub(crate) fn inbox(&self, instance: usize) -> Option<&Inbox> {
        let inbox = self.inboxes.get(instance)?;
        Some(inbox)
    }

    /// Returns the number of the inbox, and of the NAPI instance, of a session.
    #[inline]
    pub(crate) fn instance_of(&self, wire::Index(index): wire::Index) -> usize {
        (index as usize)
            .checked_rem(self.inboxes.len())
            .unwrap_or(0)
    }

    /// Notes that a peer was allocated.
    pub(crate) fn peer_allocated(&self) {
        self.live_peers.add(1, Relaxed);
    }

    /// Notes that a peer is about to be freed.
    pub(crate) fn peer_freed(&self) {
        self.live_peers.fetch_sub(1, Relaxed);
    }

    /// Counts packets that were dropped on their way out.
    pub(crate) fn count_tx_dropped(&self, count: u64) {
        let guard = rcu::read_lock();
        if let Some(netdev) = self.link.get(&guard) {
            netdev.tx_dropped_add(count);
        }
    }

    /// Removes all peers and waits until they are freed. Process context only.
    fn remove_peers_and_wait(&self) {
        let mut config = self.config.lock();
        self.remove_all_peers(&mut config);
        let grave = self.bury_dead(&mut config);
        drop(config);
        grave.clear();

        self.queues.receive.flush();
        self.queues.send.flush();
        self.queues.rescue.flush();
        // The sessions are over, so no job waits to be begun. Only a job that a CPU was about to do may still
        // be held up, until the CPU is no longer kept from its work.
        self.inboxes.iter().for_each(|inbox| inbox.backlog.stop());
        self.queues.crypt.flush();
        // A search for stuck jobs may have enqueued one here that was cancelled meanwhile.
        self.queues.rescue.flush();
        // Packets that were decrypted after the interface was gone are not delivered.
        self.inboxes.iter().for_each(|inbox| inbox.clear());
        module::wait_until_none(|| self.live_peers.load(Relaxed));
        // The last peer has been counted as freed, but may not have dropped its reference to us yet.
        rcu::rcu_barrier();
    }
}
