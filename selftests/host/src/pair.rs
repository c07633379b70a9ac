// SPDX-License-Identifier: GPL-2.0

//! Two instances of the protocol, a bad link between them, and a clock that does not wait.
//!
//! [`World`] has two interfaces, [`A`] and [`B`], which are peers of each other. Its time goes from
//! one event to the next: a datagram arrives or a timer fires. All chance comes from a seed, so that
//! what fails once always fails.
//!
//! Each interface is a [`Device`], the smallest driver that there can be. It has no queues, threads
//! and locks. What the driver asks of the protocol, it asks too: what is to be decided, and what
//! follows on each occasion. Only how that is carried out, and in which order, it repeats.

mod changes;
pub mod device;
pub mod link;
pub mod peer;
pub mod random;
mod receive;
mod send;

use std::{
    collections::HashMap,
    rc::Rc, //
};

use wg_proto::{
    allowed_ips::Addr,
    wire::{
        classify,
        Kind,
        DATA_MIN_LEN, //
    }, //
};

use self::{
    device::Device,
    link::{
        Datagram,
        Endpoint,
        Link, //
    },
    peer::Session,
    random::Random, //
};

pub use self::send::TransmitError;

#[cfg(feature = "quick")]
pub use crate::quick::Quick as Crypto;
/// The cryptography of the interfaces.
#[cfg(not(feature = "quick"))]
pub use crate::suite::RustCrypto as Crypto;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;

/// The interface that usually begins.
pub const A: usize = 0;
/// The other interface.
pub const B: usize = 1;

/// A message that was sent, whether or not it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When, in nanoseconds from the beginning of the world.
    pub at: u64,
    /// By which interface.
    pub from: usize,
    /// What it is.
    pub kind: Kind,
    /// Its length.
    pub len: usize,
    /// DS field of its outer header.
    pub ds: u8,
}

impl Sent {
    /// Returns whether it is data, but empty.
    pub fn is_keepalive(&self) -> bool {
        self.kind == Kind::Data && self.len == DATA_MIN_LEN
    }

    /// Returns whether it is data, and not empty.
    pub fn is_data(&self) -> bool {
        self.kind == Kind::Data && self.len > DATA_MIN_LEN
    }
}

/// Two interfaces and what is between them.
pub struct World {
    /// The time, in nanoseconds from the beginning of the world.
    pub now: u64,
    /// The interfaces.
    pub devices: [Device; 2],
    /// What is between them.
    pub link: Link,
    /// What was sent so far.
    pub log: Vec<Sent>,
    /// Packets that were given to an interface, by their number.
    packets: HashMap<u64, Vec<u8>>,
    /// Packets that an interface gave out so far; the rest of its list is to be looked at.
    checked: [usize; 2],
    /// Chance.
    random: Random,
}

impl World {
    /// When the clocks of the interfaces began, before that of the world.
    ///
    /// It is so short that births before the epoch occur.
    pub const BOOT: u64 = SECOND;

    /// Returns two interfaces that know each other, on a link without faults, but 10 ms long.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let endpoint = |last| Endpoint {
            addr: Addr::V4([192, 0, 2, last]),
            port: 51820,
        };
        let mut devices = [1, 2].map(|last| Device::new(endpoint(last), &mut random, Self::BOOT));
        let psk = random.bytes();

        for (here, there) in [(A, B), (B, A)] {
            let public = *devices[there].public();
            let endpoint = devices[there].endpoint;
            let peer = devices[here].add_peer(&public, &psk, Some(endpoint));

            for prefix in inner(there) {
                devices[here].allow(prefix, peer);
            }
        }
        let mut world = Self {
            now: 0,
            devices,
            link: Link::new(random.next()),
            log: Vec::new(),
            packets: HashMap::new(),
            checked: [0; 2],
            random,
        };
        world.up(A);
        world.up(B);
        world
    }

    /// Returns `new(seed)`, in which A has done a handshake with B, just now, and nothing more.
    pub fn connected(seed: u64) -> Self {
        let mut world = Self::new(seed);

        world.run(SECOND);
        world.act(A, |device| device.initiate(0, false));
        world.run(SECOND);
        assert!(world.agree());
        world
    }

    /// Does something to an interface, at this moment.
    pub fn act<R>(&mut self, device: usize, f: impl FnOnce(&mut Device) -> R) -> R {
        self.devices[device].now = Self::BOOT + self.now;
        let result = f(&mut self.devices[device]);
        self.flush(device);
        result
    }

    /// Takes an interface up.
    pub fn up(&mut self, device: usize) {
        self.act(device, Device::up);
    }

    /// Takes an interface down.
    pub fn down(&mut self, device: usize) {
        self.act(device, Device::down);
    }

    /// Gives an interface a packet for the other one, of any length, and returns its number.
    pub fn try_send(&mut self, from: usize) -> Result<u64, TransmitError> {
        let len = 28 + self.random.below(1392) as usize;
        let v6 = self.random.chance(300);
        let number = self.packets.len() as u64;
        let packet = packet(from, 1 - from, number, len, v6);

        self.packets.insert(number, packet.clone());
        self.act(from, |device| device.transmit(packet))?;
        Ok(number)
    }

    /// As [`Self::try_send`], which must succeed.
    pub fn send(&mut self, from: usize) -> u64 {
        self.try_send(from).expect("a peer with an endpoint")
    }

    /// Sends a packet, runs for `ns`, and returns whether the packet arrived.
    pub fn reaches(&mut self, from: usize, ns: u64) -> bool {
        let number = self.send(from);

        self.run(ns);
        self.received(1 - from).contains(&number)
    }

    /// Returns the numbers of the packets that an interface gave out.
    pub fn received(&self, device: usize) -> Vec<u64> {
        let delivered = self.devices[device].delivered.iter();

        delivered.map(|packet| number(packet)).collect()
    }

    /// Runs for `ns`.
    pub fn run(&mut self, ns: u64) {
        self.run_until(self.now + ns);
    }

    /// Runs until `end`.
    pub fn run_until(&mut self, end: u64) {
        loop {
            let timers = [A, B].map(|device| self.devices[device].next_timer());
            let arrival = self.link.next_arrival();
            let timer = timers.iter().flatten().min().map(|at| at - Self::BOOT);
            let Some(next) = timer
                .into_iter()
                .chain(arrival)
                .min()
                .filter(|at| *at <= end)
            else {
                break;
            };

            self.now = next.max(self.now);
            if let Some(datagram) = self.link.arrive(self.now) {
                // What is sent to where nobody is, is lost.
                for device in [A, B] {
                    if self.devices[device].endpoint == datagram.dst {
                        self.act(device, |device| device.receive(&datagram));
                    }
                }
            } else {
                for device in [A, B] {
                    self.act(device, Device::fire);
                }
            }
            self.check();
        }
        self.now = end;
    }

    /// Returns what an interface sent since `since` that is of that kind.
    pub fn sent(&self, from: usize, since: u64, kind: impl Fn(&Sent) -> bool) -> Vec<u64> {
        let log = self
            .log
            .iter()
            .filter(|sent| sent.from == from && sent.at >= since);

        log.filter(|sent| kind(sent)).map(|sent| sent.at).collect()
    }

    /// Returns when an interface sent initiations since `since`.
    pub fn initiations(&self, from: usize, since: u64) -> Vec<u64> {
        self.sent(from, since, |sent| sent.kind == Kind::Initiation)
    }

    /// Returns when an interface sent empty packets since `since`.
    pub fn keepalives(&self, from: usize, since: u64) -> Vec<u64> {
        self.sent(from, since, Sent::is_keepalive)
    }

    /// Returns whether what either of the two would send in its current session can be received by
    /// the other.
    pub fn agree(&self) -> bool {
        [(A, B), (B, A)].into_iter().all(|(here, there)| {
            let session = self.devices[here].peers[0].keypairs.current.as_ref();

            session.is_some_and(|session| {
                self.devices[there].has_session(session.remote_index, session.sending.as_bytes())
            })
        })
    }

    /// Returns the current session of an interface.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn current(&self, device: usize) -> Rc<Session> {
        let keypairs = &self.devices[device].peers[0].keypairs;

        keypairs.current.clone().expect("a session")
    }

    /// Returns when the current session of an interface was born, by the clock of the world.
    pub fn born(&self, device: usize) -> u64 {
        self.current(device).born - Self::BOOT
    }

    /// Asserts that every packet that was given out is one that was given in, and new.
    fn check(&mut self) {
        for device in [A, B] {
            let delivered = &self.devices[device].delivered;

            for packet in &delivered[self.checked[device]..] {
                let sent = self.packets.remove(&number(packet));
                assert_eq!(sent.as_ref(), Some(packet), "forged or seen before");
                // So that numbers stay as they were.
                self.packets.insert(number(packet), Vec::new());
            }
            self.checked[device] = delivered.len();
        }
    }

    /// Puts on the link what an interface has sent.
    fn flush(&mut self, from: usize) {
        for datagram in std::mem::take(&mut self.devices[from].outbox) {
            let sent = Sent {
                at: self.now,
                from,
                kind: kind(&datagram),
                len: datagram.bytes.len(),
                ds: datagram.ds,
            };

            self.log.push(sent);
            self.link.carry(sent, datagram);
        }
    }
}

/// Returns the kind of a message that an interface has sent.
fn kind(datagram: &Datagram) -> Kind {
    let head = datagram.bytes.first_chunk().expect("a header");

    classify(head, datagram.bytes.len()).expect("a message")
}

/// Returns the inner addresses of an interface.
pub fn inner(device: usize) -> [Addr; 2] {
    let last = 1 + device as u8;
    let mut v6 = [0; 16];

    v6[0] = 0xfd;
    v6[15] = last;
    [Addr::V4([10, 0, 0, last]), Addr::V6(v6)]
}

/// Returns a packet that bears a number.
pub fn packet(from: usize, to: usize, number: u64, len: usize, v6: bool) -> Vec<u8> {
    let (header, src, dst) = match (inner(from), inner(to), v6) {
        ([Addr::V4(src), _], [Addr::V4(dst), _], false) => {
            let mut header = vec![0; 12];
            header[0] = 0x45;
            header[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            (header, src.to_vec(), dst.to_vec())
        }
        ([_, Addr::V6(src)], [_, Addr::V6(dst)], _) => {
            let mut header = vec![0; 8];
            header[0] = 0x60;
            header[4..6].copy_from_slice(&(len.max(48) as u16 - 40).to_be_bytes());
            (header, src.to_vec(), dst.to_vec())
        }
        _ => unreachable!("one address of each kind"),
    };
    let mut packet = [header, src, dst, number.to_be_bytes().to_vec()].concat();

    // Not zeros, so that padding can be told from it.
    packet.resize(packet.len().max(len), 0xa5);
    packet
}

/// Returns the number of a packet.
fn number(packet: &[u8]) -> u64 {
    let header = if packet[0] >> 4 == 4 { 20 } else { 40 };

    u64::from_be_bytes(packet[header..][..8].try_into().expect("8 bytes"))
}
