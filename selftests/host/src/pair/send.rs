// SPDX-License-Identifier: GPL-2.0

//! A packet's way out.

use std::{
    cell::{
        Cell,
        RefCell, //
    },
    rc::Rc, //
};

use wg_proto::{
    crypto::Suite,
    handshake::Outcome,
    ip::{
        ecn_encap,
        Header, //
    },
    nonce::{
        Counter,
        Nonce,
        Shared, //
    },
    replay::Window,
    secret::Secret,
    session::{
        keep_key_fresh_sending,
        may_initiate,
        may_send,
        staged_excess, //
    },
    tai64n::Timestamp,
    timers::Occasion,
    wire::{
        self,
        DataHeader,
        Index,
        DATA_MIN_LEN,
        HANDSHAKE_DSCP,
        TAG_LEN, //
    }, //
};

use super::{
    device::{
        Device,
        Entry, //
    },
    link::Datagram,
    peer::Session,
    Crypto,
    SECOND, //
};
use crate::begin_session;

/// Why a packet is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitError {
    /// It is neither IPv4 nor IPv6.
    Protocol,
    /// Its destination is no peer's.
    NoPeer,
    /// It is not known where the peer is.
    NoEndpoint,
}

/// The number of messages that were sent in a session.
struct Number<'a>(&'a Cell<u64>);

impl Shared for Number<'_> {
    fn load(&self) -> u64 {
        self.0.get()
    }

    fn compare_exchange(&self, old: u64, new: u64) -> Result<(), u64> {
        assert_eq!(old, self.0.replace(new), "there is only one thread");
        Ok(())
    }
}

impl Device {
    /// Sends a packet.
    pub fn transmit(&mut self, packet: Vec<u8>) -> Result<(), TransmitError> {
        let header = Header::read(&packet).ok_or(TransmitError::Protocol)?;
        let peer = self.table.lookup(&header.destination);
        let peer = *peer.ok_or(TransmitError::NoPeer)?;
        let state = &mut self.peers[peer];

        state.endpoint.ok_or(TransmitError::NoEndpoint)?;
        let excess = staged_excess(state.staged.len());
        state.staged.drain(..excess);
        self.counters.tx_dropped += excess as u64;
        state.staged.push_back(packet);
        self.send_staged(peer);
        Ok(())
    }

    /// Sends an empty packet, or those that wait.
    pub fn send_keepalive(&mut self, peer: usize) {
        if self.peers[peer].staged.is_empty() {
            self.peers[peer].staged.push_back(Vec::new());
        }
        self.send_staged(peer);
    }

    /// Sends the packets that wait, or begins a handshake.
    pub(super) fn send_staged(&mut self, peer: usize) {
        if self.peers[peer].staged.is_empty() {
            return;
        }

        let current = self.peers[peer].keypairs.current.clone();
        let Some(session) = current.filter(|session| session.may_send.get()) else {
            return self.initiate(peer, false);
        };
        let count = self.peers[peer].staged.len() as u64;
        let counter = Counter::new(Number(&session.sent));
        let nonces = match may_send(true, session.born, self.now) {
            true => counter.take(count),
            false => None,
        };
        let Some(nonces) = nonces else {
            session.may_send.set(false);
            return self.initiate(peer, false);
        };

        let packets = std::mem::take(&mut self.peers[peer].staged);
        self.on(peer, Occasion::Sending);
        let mut data_sent = false;
        for (packet, nonce) in packets.into_iter().zip(nonces) {
            let ds = Header::read(&packet).map_or(0, |header| ecn_encap(header.tos));
            let message = self.seal(&session, packet, nonce);
            let is_keepalive = message.len() == DATA_MIN_LEN;

            data_sent |= self.send_to_peer(peer, message, ds) && !is_keepalive;
        }
        if data_sent {
            self.on(peer, Occasion::DataSent);
        }
        self.keep_key_fresh(peer);
    }

    /// Returns a data message.
    fn seal(&self, session: &Session, mut packet: Vec<u8>, nonce: Nonce) -> Vec<u8> {
        let counter = nonce.spend();
        let header = DataHeader {
            receiver: session.remote_index,
            counter,
        };
        let mut message = header.to_bytes().to_vec();
        let padding = wire::padding(packet.len() as u32, self.mtu) as usize;

        packet.resize(packet.len() + padding, 0);
        message.resize(message.len() + packet.len() + TAG_LEN, 0);
        Crypto::seal(
            &mut message[wire::DATA_HEADER_LEN..],
            &packet,
            &[],
            counter,
            session.sending.as_bytes(),
        );
        message
    }

    /// Begins a handshake if the current session has been sent in for long enough.
    fn keep_key_fresh(&mut self, peer: usize) {
        let now = self.now;

        if self.peers[peer]
            .keypairs
            .current
            .as_ref()
            .is_some_and(|session| {
                let (might, sent) = (session.may_send.get(), session.sent.get());
                keep_key_fresh_sending(might, sent, session.role, session.born, now)
            })
        {
            self.initiate(peer, false);
        }
    }

    /// Sends an initiation, unless a handshake message was sent just before.
    pub fn initiate(&mut self, peer: usize, is_retry: bool) {
        if !is_retry {
            self.peers[peer].attempts = 0;
        }
        if !may_initiate(self.peers[peer].last_sent_handshake, self.now) {
            return;
        }

        self.peers[peer].last_sent_handshake = self.now;
        let mut ephemeral = Secret::from(&self.random.bytes());
        let index = self.reserve_index();
        let before = self.peers[peer].handshake.local_index();
        let handshake = &mut self.peers[peer].handshake;
        // As is the clock of the world: it began in 2026.
        let wall = Timestamp::from_unix(
            1_800_000_000 + (self.now / SECOND) as i64 + self.wall,
            (self.now % SECOND) as u32,
        );
        let message = handshake.create_initiation::<Crypto>(&mut ephemeral, index, wall);

        if let Some(message) = message {
            let mut message = message.to_bytes();

            self.replace_index(before, index, Entry::Handshake(peer));
            self.peers[peer]
                .maker
                .add_macs::<Crypto>(&mut message, self.now);
            self.on(peer, Occasion::Initiating);
            self.send_to_peer(peer, message.to_vec(), HANDSHAKE_DSCP);
        }
    }

    /// Answers an initiation that was consumed.
    pub(super) fn respond(&mut self, peer: usize) {
        let mut ephemeral = Secret::from(&self.random.bytes());
        let index = self.reserve_index();
        let before = self.peers[peer].handshake.local_index();
        let handshake = &mut self.peers[peer].handshake;

        let Some(message) = handshake.create_response::<Crypto>(&mut ephemeral, index) else {
            if let Some(index) = handshake.abandon_unanswered() {
                self.indices.remove(&index);
            }
            return;
        };
        let mut message = message.to_bytes();

        self.replace_index(before, index, Entry::Handshake(peer));
        if self.begin_session(peer) {
            self.peers[peer]
                .maker
                .add_macs::<Crypto>(&mut message, self.now);
            self.peers[peer].last_sent_handshake = self.now;
            self.on(peer, Occasion::Responding);
            self.send_to_peer(peer, message.to_vec(), HANDSHAKE_DSCP);
        }
    }

    /// Ends the handshake of a peer, and returns whether there is a new session.
    pub(super) fn begin_session(&mut self, peer: usize) -> bool {
        let state = &mut self.peers[peer];
        let Some(derived) = begin_session::<Crypto>(&mut state.handshake) else {
            return false;
        };
        let Outcome {
            local_index: index,
            remote_index,
            role,
        } = derived.outcome;
        let session = Rc::new(Session {
            sending: derived.sending,
            receiving: derived.receiving,
            may_send: Cell::new(true),
            may_receive: Cell::new(true),
            born: self.now,
            role,
            local_index: index,
            remote_index,
            sent: Cell::new(0),
            window: RefCell::new(Window::new()),
        });

        for gone in state
            .keypairs
            .install(session.clone(), role)
            .into_iter()
            .flatten()
        {
            self.indices.remove(&gone.local_index);
        }
        self.indices.insert(index, Entry::Session(peer, session));
        true
    }

    /// Sends a message to where a peer is, and returns whether that is known.
    fn send_to_peer(&mut self, peer: usize, bytes: Vec<u8>, ds: u8) -> bool {
        let Some(dst) = self.peers[peer].endpoint else {
            return false;
        };

        self.peers[peer].tx_bytes += bytes.len() as u64;
        self.outbox.push(Datagram {
            src: self.endpoint,
            dst,
            ds,
            bytes,
        });
        true
    }

    /// Returns an index that stands for nothing.
    fn reserve_index(&mut self) -> Index {
        loop {
            let index = Index(self.random.next() as u32);

            if !self.indices.contains_key(&index) {
                break index;
            }
        }
    }

    /// Lets another index stand for a handshake.
    fn replace_index(&mut self, before: Option<Index>, index: Index, entry: Entry) {
        if let Some(before) = before {
            self.indices.remove(&before);
        }
        self.indices.insert(index, entry);
    }
}
