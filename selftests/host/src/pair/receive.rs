// SPDX-License-Identifier: GPL-2.0

//! A datagram's way in.

use std::rc::Rc;

use wg_proto::{
    admission::{
        self,
        Admission,
        Host, //
    },
    allowed_ips::Addr,
    cookie::Checker,
    crypto::Suite,
    handshake::Claim,
    ip::{
        ecn_decap,
        set_dsfield,
        Header,
        Refusal, //
    },
    ratelimit::{
        source_v4,
        source_v6,
        Bucket, //
    },
    session::{
        keep_key_fresh_receiving,
        may_receive, //
    },
    timers::Occasion,
    wire::{
        classify,
        CookieReply,
        DataHeader,
        Initiation,
        Kind,
        Response,
        DATA_MIN_LEN,
        TAG_LEN, //
    }, //
};

use super::{
    device::{
        Device,
        Entry, //
    },
    link::{
        Datagram,
        Endpoint, //
    },
    peer::Session,
    Crypto, //
};

impl Device {
    /// Takes a datagram.
    pub(super) fn receive(&mut self, datagram: &Datagram) {
        if !self.up {
            return;
        }

        let bytes = &datagram.bytes[..];
        let head = bytes.first_chunk();
        let accepted = match head.and_then(|head| classify(head, bytes.len())) {
            Some(Kind::Data) => self.receive_data(datagram),
            Some(kind) if !self.may_wait(kind, bytes) => None,
            Some(Kind::CookieReply) => self.receive_cookie(bytes),
            Some(kind) => self.receive_handshake(kind, datagram),
            None => None,
        };

        if accepted.is_none() {
            self.counters.rx_ignored += 1;
        }
    }

    /// Returns whether a handshake message would be queued, if there were a queue.
    fn may_wait(&self, kind: Kind, bytes: &[u8]) -> bool {
        let identity = self.identity.as_ref();
        let first_mac = identity.map(|identity| identity.first_mac());
        let is_known = |index| self.indices.contains_key(&index);

        admission::may_wait::<Crypto>(kind, bytes, first_mac, is_known)
    }

    /// Takes a handshake message.
    fn receive_handshake(&mut self, kind: Kind, datagram: &Datagram) -> Option<()> {
        let bytes = &datagram.bytes[..];
        let identity = self.identity.clone()?;
        let sender = match kind {
            Kind::Initiation => Initiation::from_bytes(bytes.try_into().ok()?)?.sender,
            _ => Response::from_bytes(bytes.try_into().ok()?)?.sender,
        };
        let mut arrival = Arrival {
            device: self,
            source: &datagram.src,
        };
        let source = datagram.src.source();

        match admission::admit::<Crypto>(&identity, bytes, sender, &source, &mut arrival) {
            Admission::Process => {}
            Admission::Challenge(reply) => {
                self.outbox.push(Datagram {
                    src: self.endpoint,
                    dst: datagram.src,
                    ds: 0,
                    bytes: reply.to_bytes().to_vec(),
                });
                return Some(());
            }
            Admission::Refuse => return None,
        }

        let peer = match kind {
            Kind::Initiation => {
                let message = Initiation::from_bytes(bytes.try_into().ok()?)?;
                let mut claim = Claim::new(&identity, &message);

                claim.open::<Crypto>()?;
                let mut peers = self.peers.iter();
                let peer = peers.position(|peer| &peer.public_key == claim.remote_static())?;
                let handshake = &mut self.peers[peer].handshake;

                handshake
                    .consume_initiation::<Crypto>(&mut claim, self.now)
                    .ok()?;
                self.peers[peer].endpoint = Some(datagram.src);
                self.respond(peer);
                peer
            }
            _ => {
                let message = Response::from_bytes(bytes.try_into().ok()?)?;
                let Some(&Entry::Handshake(peer)) = self.indices.get(&message.receiver) else {
                    return None;
                };

                self.peers[peer]
                    .handshake
                    .consume_response::<Crypto>(&message)?;
                self.peers[peer].endpoint = Some(datagram.src);
                if self.begin_session(peer) {
                    self.on(peer, Occasion::ResponseAccepted);
                    self.send_keepalive(peer);
                }
                peer
            }
        };
        self.peers[peer].rx_bytes += bytes.len() as u64;
        self.on(peer, Occasion::Received);
        Some(())
    }

    /// Takes a cookie reply.
    fn receive_cookie(&mut self, bytes: &[u8]) -> Option<()> {
        let reply = CookieReply::from_bytes(bytes.try_into().ok()?)?;
        let peer = self.indices.get(&reply.receiver)?.peer();
        let maker = &mut self.peers[peer].maker;

        maker.consume_reply::<Crypto>(&reply, self.now).ok()
    }

    /// Takes a data message.
    fn receive_data(&mut self, datagram: &Datagram) -> Option<()> {
        let (header, sealed) = datagram.bytes.split_first_chunk()?;
        let header = DataHeader::from_bytes(header)?;
        let Some(Entry::Session(peer, session)) = self.indices.get(&header.receiver).cloned()
        else {
            return None;
        };
        let mut packet = vec![0; sealed.len().checked_sub(TAG_LEN)?];

        let highest = session.window.borrow().highest();
        let might = session.may_receive.get();
        session
            .may_receive
            .set(may_receive(might, session.born, highest, self.now));
        if !session.may_receive.get() {
            return None;
        }
        let key = session.receiving.as_bytes();
        if !Crypto::open(&mut packet, sealed, &[], header.counter, key) {
            return None;
        }
        if !session.window.borrow_mut().accept(header.counter) {
            self.counters.rx_replayed += 1;
            return None;
        }
        self.consume_data(peer, &session, datagram, packet);
        Some(())
    }

    /// Takes what was in a data message.
    fn consume_data(
        &mut self,
        peer: usize,
        session: &Rc<Session>,
        datagram: &Datagram,
        packet: Vec<u8>,
    ) {
        let len = packet.len();

        self.peers[peer].endpoint = Some(datagram.src);
        let confirmed = self.peers[peer]
            .keypairs
            .confirm(|next| Rc::ptr_eq(next, session));
        if let Ok(gone) = confirmed {
            if let Some(gone) = gone {
                self.indices.remove(&gone.local_index);
            }
            self.on(peer, Occasion::Confirmed);
            self.send_staged(peer);
        }
        self.keep_key_fresh_on_receipt(peer);
        self.on(peer, Occasion::Received);

        if packet.is_empty() {
            self.peers[peer].rx_bytes += DATA_MIN_LEN as u64;
            return;
        }
        self.on(peer, Occasion::DataReceived);

        match self.deliver(peer, datagram.ds, packet) {
            Ok(()) => self.peers[peer].rx_bytes += (len + DATA_MIN_LEN) as u64,
            Err(Refusal::Type | Refusal::Source(_)) => self.counters.rx_frame_errors += 1,
            Err(Refusal::Size) => self.counters.rx_length_errors += 1,
        }
    }

    /// Gives out a packet.
    fn deliver(&mut self, peer: usize, outer: u8, mut packet: Vec<u8>) -> Result<(), Refusal> {
        let head = &mut packet[..];
        let header = Header::parse(head, head.len())?;

        if let Some(tos) = ecn_decap(outer, header.tos) {
            set_dsfield(head, tos);
        }
        packet.truncate(header.total_len as usize);
        if self.table.lookup(&header.source) != Some(&peer) {
            return Err(Refusal::Source(header.source));
        }
        self.delivered.push(packet);
        Ok(())
    }

    /// Begins a handshake if the current session would end before there is an answer.
    fn keep_key_fresh_on_receipt(&mut self, peer: usize) {
        let now = self.now;
        let state = &mut self.peers[peer];

        if state.sent_lastminute_handshake {
            return;
        }
        if state.keypairs.current.as_ref().is_some_and(|session| {
            keep_key_fresh_receiving(session.may_send.get(), session.role, session.born, now)
        }) {
            state.sent_lastminute_handshake = true;
            self.initiate(peer, false);
        }
    }
}

/// A handshake message that asks to be admitted.
struct Arrival<'a> {
    device: &'a mut Device,
    source: &'a Endpoint,
}

impl Host for Arrival<'_> {
    fn is_under_load(&mut self) -> bool {
        self.device
            .load
            .is_high(self.device.queued, self.device.now)
    }

    fn copy_checker(&mut self, copy: &mut Checker) {
        let random = &mut self.device.random;
        let checker = &mut self.device.checker;

        checker.refresh(|secret| *secret = random.bytes(), self.device.now);
        copy.copy_from(checker);
    }

    fn allows(&mut self) -> bool {
        let key = match &self.source.addr {
            Addr::V4(addr) => source_v4(addr),
            Addr::V6(addr) => source_v6(addr),
        };
        let now = self.device.now;
        let buckets = &mut self.device.buckets;

        buckets.retain(|_, bucket| !bucket.is_idle(now));
        match buckets.get_mut(&key) {
            Some(bucket) => bucket.allow(now),
            None => {
                buckets.insert(key, Bucket::new(now));
                true
            }
        }
    }

    fn fill(&mut self, nonce: &mut [u8; 24]) {
        *nonce = self.device.random.bytes();
    }
}
