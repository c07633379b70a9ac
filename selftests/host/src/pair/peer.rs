// SPDX-License-Identifier: GPL-2.0

//! A peer and its sessions.

use std::{
    cell::{
        Cell,
        RefCell, //
    },
    collections::VecDeque,
    rc::Rc,
    sync::Arc, //
};

use wg_proto::{
    cookie::Maker,
    handshake::{
        Handshake,
        Role, //
    },
    identity::Identity,
    replay::Window,
    secret::Secret,
    session::Keypairs,
    timers::{
        Timer,
        View, //
    },
    wire::Index, //
};

use super::link::Endpoint;

/// A session.
pub struct Session {
    /// Key of what is sent.
    pub sending: Secret<32>,
    /// Key of what is received.
    pub receiving: Secret<32>,
    /// Whether it may be used for sending.
    pub may_send: Cell<bool>,
    /// Whether it may be used for receiving.
    pub may_receive: Cell<bool>,
    /// When it was derived.
    pub born: u64,
    /// Who began.
    pub role: Role,
    /// Index at this side.
    pub local_index: Index,
    /// Index at the other side.
    pub remote_index: Index,
    /// How many messages were sent.
    pub sent: Cell<u64>,
    /// Which messages were received.
    pub window: RefCell<Window>,
}

/// A peer.
pub struct Peer {
    /// Its public key.
    pub public_key: [u8; 32],
    /// The preshared key, as it was added.
    pub preshared_key: [u8; 32],
    /// Its handshake.
    pub handshake: Handshake<Arc<Identity>>,
    /// MACs and cookies of what is sent to it.
    pub maker: Maker,
    /// Its sessions.
    pub keypairs: Keypairs<Rc<Session>>,
    /// Where it is.
    pub endpoint: Option<Endpoint>,
    /// Packets that wait for a session; an empty one is a keepalive.
    pub staged: VecDeque<Vec<u8>>,
    /// When its timers fire.
    pub deadlines: [Option<u64>; Timer::COUNT],
    /// Seconds between keepalives, or 0.
    pub persistent_keepalive: u16,
    /// Attempts at a handshake after the first.
    pub attempts: u32,
    /// Whether one keepalive was not enough.
    pub need_another_keepalive: bool,
    /// Whether a handshake was begun because the session was about to end.
    pub sent_lastminute_handshake: bool,
    /// When the last handshake message was sent.
    pub last_sent_handshake: u64,
    /// When the last handshake was complete.
    pub latest_handshake: Option<u64>,
    /// How often its source address was forgotten.
    pub source_cleared: u32,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
}

impl View for Peer {
    fn is_pending(&self, timer: Timer) -> bool {
        self.deadlines[timer.index()].is_some()
    }

    fn persistent_keepalive(&self) -> u16 {
        self.persistent_keepalive
    }
}
