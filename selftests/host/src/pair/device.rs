// SPDX-License-Identifier: GPL-2.0

//! An interface: what it has, and its timers.

use std::{
    collections::{
        HashMap,
        VecDeque, //
    },
    rc::Rc,
    sync::Arc, //
};

use wg_proto::{
    allowed_ips::{
        Addr,
        Family,
        OutOfMemory,
        Prefix,
        Table, //
    },
    cookie::{
        Checker,
        Maker, //
    },
    handshake::Handshake,
    identity::Identity,
    ratelimit::{
        Bucket,
        Load, //
    },
    session::{
        sent_long_enough_ago,
        Keypairs, //
    },
    timers::{
        self,
        Delay,
        Effects,
        Expired,
        Occasion,
        Timer, //
    },
    wire::Index, //
};

use super::{
    link::{
        Datagram,
        Endpoint, //
    },
    peer::{
        Peer,
        Session, //
    },
    random::Random,
    Crypto,
    MS, //
};
use crate::identity;

/// Pointers of the standard library.
pub struct Shared;

impl Family for Shared {
    type Ptr<T> = Arc<T>;

    fn new<T>(value: T) -> Result<Self::Ptr<T>, OutOfMemory> {
        Ok(Arc::new(value))
    }

    fn drop_last<T: Unpin, R>(ptr: Self::Ptr<T>, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        Arc::into_inner(ptr).map(|mut value| f(&mut value))
    }
}

/// Whom an index stands for.
#[derive(Clone)]
pub(super) enum Entry {
    /// The handshake of a peer.
    Handshake(usize),
    /// A session of a peer.
    Session(usize, Rc<Session>),
}

impl Entry {
    /// Returns the peer.
    pub(super) fn peer(&self) -> usize {
        match self {
            Self::Handshake(peer) | Self::Session(peer, _) => *peer,
        }
    }
}

/// What is counted of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that were dropped while they waited.
    pub tx_dropped: u64,
    /// Packets from a source that is not its peer's, or that are none.
    pub rx_frame_errors: u64,
    /// Packets that lie about their length.
    pub rx_length_errors: u64,
    /// Messages that were not what they seemed, or not for us.
    pub rx_ignored: u64,
    /// Packets that were authentic, but a replay.
    pub rx_replayed: u64,
}

/// An interface.
pub struct Device {
    /// The time since boot, in nanoseconds.
    pub now: u64,
    /// Where it is.
    pub endpoint: Endpoint,
    /// By how many seconds its wall clock is ahead.
    pub wall: i64,
    /// Its MTU.
    pub mtu: u32,
    /// Who it is.
    pub identity: Option<Arc<Identity>>,
    /// Its peers.
    pub peers: Vec<Peer>,
    /// How many handshake messages are said to wait.
    pub queued: usize,
    /// What is counted.
    pub counters: Counters,
    /// Packets that it has given out.
    pub delivered: Vec<Vec<u8>>,
    /// Datagrams that it has sent, but that are not on the link yet.
    pub(super) outbox: Vec<Datagram>,
    /// Makes cookies.
    pub(super) checker: Checker,
    /// Whether cookies are wanted.
    pub(super) load: Load,
    /// Handshakes by source.
    pub(super) buckets: HashMap<u64, Bucket>,
    /// Which peer has which addresses.
    pub(super) table: Table<Shared, usize>,
    /// What its indices stand for.
    pub(super) indices: HashMap<Index, Entry>,
    /// Chance.
    pub(super) random: Random,
    /// Whether it is up.
    pub(super) up: bool,
}

impl Device {
    /// Returns an interface that is down.
    pub(super) fn new(endpoint: Endpoint, random: &mut Random, now: u64) -> Self {
        let identity = identity::<Crypto>(&random.bytes());
        Self {
            now,
            endpoint,
            wall: 0,
            mtu: 1420,
            identity,
            peers: Vec::new(),
            queued: 0,
            counters: Counters::default(),
            delivered: Vec::new(),
            outbox: Vec::new(),
            checker: Checker::new(),
            load: Load::default(),
            buckets: HashMap::new(),
            table: Table::new(),
            indices: HashMap::new(),
            random: Random::new(random.next()),
            up: false,
        }
    }

    /// Returns its public key.
    pub fn public(&self) -> &[u8; 32] {
        self.identity.as_ref().expect("an identity").public()
    }

    /// Adds a peer and returns its place.
    pub fn add_peer(
        &mut self,
        public: &[u8; 32],
        psk: &[u8; 32],
        endpoint: Option<Endpoint>,
    ) -> usize {
        self.peers.push(Peer {
            public_key: *public,
            preshared_key: *psk,
            handshake: Handshake::new::<Crypto>(public, psk, self.identity.clone()),
            maker: Maker::new::<Crypto>(public),
            keypairs: Keypairs::default(),
            endpoint,
            staged: VecDeque::new(),
            deadlines: [None; Timer::COUNT],
            persistent_keepalive: 0,
            attempts: 0,
            need_another_keepalive: false,
            sent_lastminute_handshake: false,
            last_sent_handshake: sent_long_enough_ago(self.now),
            latest_handshake: None,
            source_cleared: 0,
            rx_bytes: 0,
            tx_bytes: 0,
        });
        self.peers.len() - 1
    }

    /// Gives a peer an address.
    pub fn allow(&mut self, addr: Addr, peer: usize) {
        let len = match addr {
            Addr::V4(_) => 32,
            Addr::V6(_) => 128,
        };
        let prefix = Prefix::new(addr, len).expect("a whole address");

        self.table = self.table.insert(prefix, peer).expect("memory");
    }

    /// Takes it up.
    pub(super) fn up(&mut self) {
        self.up = true;
        for peer in 0..self.peers.len() {
            self.send_staged(peer);
            if self.peers[peer].persistent_keepalive != 0 {
                self.send_keepalive(peer);
            }
        }
    }

    /// Takes it down.
    pub(super) fn down(&mut self) {
        self.up = false;
        for peer in 0..self.peers.len() {
            self.purge(peer);
            self.peers[peer].deadlines = [None; Timer::COUNT];
            self.zero_keys(peer);
            self.peers[peer].last_sent_handshake = sent_long_enough_ago(self.now);
        }
    }

    /// Sets the persistent keepalive of a peer.
    pub fn set_persistent_keepalive(&mut self, peer: usize, seconds: u16) {
        let before = std::mem::replace(&mut self.peers[peer].persistent_keepalive, seconds);

        if before == 0 && seconds != 0 && self.up {
            self.send_keepalive(peer);
        }
    }

    /// Replaces the private key.
    pub fn set_private_key(&mut self, private: &[u8; 32]) {
        self.identity = identity::<Crypto>(private);
        for peer in &mut self.peers {
            peer.handshake.set_identity::<Crypto>(self.identity.clone());
            if let Some(index) = peer.handshake.clear() {
                self.indices.remove(&index);
            }
            peer.last_sent_handshake = sent_long_enough_ago(self.now);
            for session in peer.keypairs.for_sending() {
                session.may_send.set(false);
            }
        }
    }

    /// Returns how many indices are in use.
    pub fn indices(&self) -> usize {
        self.indices.len()
    }

    /// Returns whether there is a session of that index, in which what is sealed with that key can
    /// be received.
    pub(super) fn has_session(&self, index: Index, key: &[u8; 32]) -> bool {
        match self.indices.get(&index) {
            Some(Entry::Session(_, session)) => session.receiving.as_bytes() == key,
            _ => false,
        }
    }

    /// Drops the packets that wait for a session.
    pub(super) fn purge(&mut self, peer: usize) {
        let count = self.peers[peer].staged.drain(..).count();

        self.counters.tx_dropped += count as u64;
    }

    /// Forgets all keys of a peer.
    pub(super) fn zero_keys(&mut self, peer: usize) {
        let peer = &mut self.peers[peer];

        if let Some(index) = peer.handshake.clear() {
            self.indices.remove(&index);
        }
        for session in peer.keypairs.clear().into_iter().flatten() {
            self.indices.remove(&session.local_index);
        }
    }

    /// Returns when the next timer fires.
    pub(super) fn next_timer(&self) -> Option<u64> {
        let peers = self.peers.iter();

        peers
            .flat_map(|peer| peer.deadlines.iter().flatten())
            .min()
            .copied()
    }

    /// Fires the timers whose time has come.
    pub(super) fn fire(&mut self) {
        for peer in 0..self.peers.len() {
            for timer in Timer::ALL {
                let deadline = &mut self.peers[peer].deadlines[timer.index()];

                if deadline.take_if(|at| *at <= self.now).is_some() {
                    self.expired(peer, timer);
                }
            }
        }
    }

    /// Does what an occasion asks for.
    pub(super) fn on(&mut self, peer: usize, occasion: Occasion) {
        occasion.each(|event| {
            let effects = timers::on(event, &self.peers[peer]);

            self.apply(peer, effects);
        });
    }

    /// Does what an event of a peer, or a timer that fires, asks for.
    fn apply(&mut self, peer: usize, effects: Effects) {
        if let Some(timer) = effects.cancel {
            self.peers[peer].deadlines[timer.index()] = None;
        }
        if effects.purge_staged {
            self.purge(peer);
        }
        if let Some(need) = effects.keepalive_again(|| self.up) {
            self.peers[peer].need_another_keepalive = need;
        }
        if let Some((timer, delay)) = effects.arm {
            self.arm(peer, timer, delay);
        }
        if effects.handshake_complete {
            self.peers[peer].attempts = 0;
            self.peers[peer].sent_lastminute_handshake = false;
            self.peers[peer].latest_handshake = Some(self.now);
        }
    }

    /// Does what a timer that fires asks for.
    fn expired(&mut self, peer: usize, timer: Timer) {
        let state = &self.peers[peer];
        let (attempts, need) = (state.attempts, state.need_another_keepalive);
        let (effects, expired) = timers::expired(timer, attempts, need, state);

        self.apply(peer, effects);
        match expired {
            Expired::RetryHandshake { attempts } => {
                self.peers[peer].attempts = attempts;
                self.peers[peer].source_cleared += 1;
                self.initiate(peer, true);
            }
            Expired::SendKeepalive => self.send_keepalive(peer),
            Expired::NewHandshake => {
                self.peers[peer].source_cleared += 1;
                self.initiate(peer, false);
            }
            Expired::ZeroKeyMaterial => {
                let keypairs = &self.peers[peer].keypairs;
                if !keypairs.are_young(|session| session.born, self.now) {
                    self.zero_keys(peer);
                }
            }
            Expired::GiveUp | Expired::Nothing => {}
        }
    }

    /// Starts a timer, or starts it over.
    fn arm(&mut self, peer: usize, timer: Timer, delay: Delay) {
        if self.up {
            let random_below = |limit| self.random.below(u64::from(limit)) as u32;
            let ms = delay.ticks(1000, random_below);

            self.peers[peer].deadlines[timer.index()] = Some(self.now + u64::from(ms) * MS);
        }
    }
}
