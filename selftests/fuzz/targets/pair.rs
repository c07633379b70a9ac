// SPDX-License-Identifier: GPL-2.0

//! Two interfaces, to which happens what the bytes say: on the link, at their clocks, and by their
//! users.
//!
//! The cryptography is none, so that there is time for more. The model, `wg_selftests::pair`, asserts by
//! itself that what is given out was given in, as it was, and once.

#![no_main]

use std::collections::HashSet;

use wg_fuzz::{
    fuzz_target,
    Bytes, //
};
use wg_proto::{
    limits::{
        REJECT_AFTER_MESSAGES,
        REKEY_AFTER_MESSAGES, //
    },
    wire::{
        DataHeader,
        Index,
        Kind, //
    }, //
};
use wg_selftests::pair::{
    World,
    A,
    B,
    MS,
    SECOND, //
};

/// Steps of one input.
const STEPS: usize = 48;
/// As many handshake messages wait that cookies are asked for.
const MANY: usize = 512;

/// The world, and what is known of it from outside.
struct Fuzz {
    world: World,
    /// The preshared key that both are to have in the end.
    psk: [u8; 32],
    /// The latest wall clocks, as a peer accepts nothing older.
    wall: [i64; 2],
    /// Messages that were looked at.
    looked_at: usize,
    /// All nonces: sender, index of the receiver, and counter.
    nonces: HashSet<(usize, Index, u64)>,
}

impl Fuzz {
    fn new(seed: u8) -> Self {
        let mut world = World::new(seed.into());
        let psk = world.devices[A].peers[0].preshared_key;

        world.link.keep();
        Self {
            world,
            psk,
            wall: [0; 2],
            looked_at: 0,
            nonces: HashSet::new(),
        }
    }

    /// Does one thing.
    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let what = bytes.u8();
        let device = usize::from(what >> 7);
        let world = &mut self.world;

        match what & 0x1f {
            0..=5 => drop(world.try_send(device)),
            6..=8 => world.run(u64::from(bytes.u8()) * 5 * MS),
            9..=11 => world.run(u64::from(bytes.u8()) * SECOND / 4),
            12 => world.run(u64::from(bytes.u8()) * 5 * SECOND),
            13..=14 => self.spoil(device, bytes),
            15 => world.link.set(|quality| quality.loss = 0),
            16 => world.down(device),
            17 => world.up(device),
            18 => world.act(device, |device| device.restart()),
            19 => self.change_psk(device, bytes),
            20 => world.change_key(device, &[bytes.u8() | 1; 32]),
            21 => world.introduce(),
            22 => self.set_clock(device, bytes),
            23 => world.suspend(u64::from(bytes.u8()) * 2 * SECOND),
            24 => world.devices[device].queued = MANY * usize::from(bytes.flag()),
            25 => {
                let seconds = bytes.u8().into();
                world.act(device, |device| device.set_persistent_keepalive(0, seconds));
            }
            26 => self.use_up(device, bytes),
            27..=28 => self.repeat(bytes),
            29 => world.devices[device].endpoint.port ^= 1,
            _ => world.act(device, |device| device.initiate(0, false)),
        }
        self.check();
    }

    /// Makes the link worse in one direction.
    fn spoil(&mut self, device: usize, bytes: &mut Bytes<'_>) {
        let quality = &mut self.world.link.quality[device];

        match bytes.u8() % 5 {
            0 => quality.loss = u32::from(bytes.u8()) * 4,
            1 => quality.duplication = u32::from(bytes.u8()) * 4,
            2 => quality.corruption = u32::from(bytes.u8()) * 4,
            3 => quality.delay = u64::from(bytes.u8()) * 20 * MS,
            _ => quality.jitter = u64::from(bytes.u8()) * 50 * MS,
        }
    }

    fn change_psk(&mut self, device: usize, bytes: &mut Bytes<'_>) {
        let psk = [bytes.u8(); 32];

        self.psk = psk;
        self.world
            .act(device, |device| device.set_preshared_key(0, &psk));
    }

    fn set_clock(&mut self, device: usize, bytes: &mut Bytes<'_>) {
        let wall = i64::from(bytes.u16() as i16);

        self.world.devices[device].wall = wall;
        self.wall[device] = self.wall[device].max(wall);
    }

    /// Lets the current session have sent so many messages that its end is near.
    fn use_up(&mut self, device: usize, bytes: &mut Bytes<'_>) {
        let ends = [REKEY_AFTER_MESSAGES, REJECT_AFTER_MESSAGES];
        let sent = bytes.choose(&ends) - u64::from(bytes.u8() & 7);

        if self.world.devices[device].peers[0]
            .keypairs
            .current
            .is_some()
        {
            let session = self.world.current(device);
            session.sent.set(session.sent.get().max(sent));
        }
    }

    /// Lets a message arrive once more, perhaps changed.
    fn repeat(&mut self, bytes: &mut Bytes<'_>) {
        let kept = self.world.link.kept_count();
        let back = bytes.below(256);
        let Some((_, mut datagram)) = kept
            .checked_sub(back + 1)
            .and_then(|at| self.world.link.kept_one(at))
        else {
            return;
        };
        if bytes.flag() {
            let at = bytes.below(datagram.bytes.len());
            datagram.bytes[at] ^= bytes.u8();
        }
        let at = self.world.now + u64::from(bytes.u8()) * MS;
        self.world.link.inject(at, datagram);
    }

    /// Asserts what holds at any time.
    fn check(&mut self) {
        for at in self.looked_at..self.world.link.kept_count() {
            let (sent, datagram) = self.world.link.kept_one(at).unwrap();
            if sent.kind == Kind::Data {
                let header = datagram.bytes.first_chunk().unwrap();
                let header = DataHeader::from_bytes(header).unwrap();
                let nonce = (sent.from, header.receiver, header.counter);
                assert!(header.counter < REJECT_AFTER_MESSAGES);
                assert!(self.nonces.insert(nonce), "nonce used twice: {nonce:?}");
            }
        }
        self.looked_at = self.world.link.kept_count();
        for device in &self.world.devices {
            // A handshake and three sessions.
            assert!(device.indices() <= 4);
            assert_eq!(device.counters.rx_frame_errors, 0);
            assert_eq!(device.counters.rx_length_errors, 0);
        }
    }

    /// Lets everything be well again.
    fn repair(&mut self) {
        let psk = self.psk;

        self.world.link.set(|quality| {
            quality.loss = 0;
            quality.duplication = 0;
            quality.corruption = 0;
            quality.delay = 10 * MS;
            quality.jitter = 0;
        });
        for device in [A, B] {
            self.world.devices[device].wall = self.wall[device];
            self.world.devices[device].queued = 0;
            self.world.act(device, |device| {
                device.set_persistent_keepalive(0, 0);
                device.set_preshared_key(0, &psk);
            });
        }
        self.world.introduce();
        for device in [A, B] {
            // Where the other one is, is part of the configuration.
            let endpoint = self.world.devices[1 - device].endpoint;
            self.world.devices[device].peers[0].endpoint = Some(endpoint);
            self.world.up(device);
        }
        self.world.run(20 * SECOND);
        self.check();
    }

    /// Asserts that both can talk to each other soon.
    fn assert_heals(&mut self) {
        for _ in 0..6 {
            let there = self.world.reaches(A, 3 * SECOND);
            let back = self.world.reaches(B, 3 * SECOND);
            self.check();
            if there && back {
                assert!(self.world.agree());
                // And it lasts.
                for from in [B, A, A, B] {
                    assert!(self.world.reaches(from, SECOND));
                }
                self.check();
                return;
            }
        }
        panic!("no way to talk to each other");
    }

    /// Asserts that nothing is left of it once nobody talks any more.
    fn assert_sleeps(&mut self) {
        self.world.run(800 * SECOND);
        self.check();
        assert!(self.world.devices.iter().all(|device| device.is_asleep()));
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes::new(data);
    let mut fuzz = Fuzz::new(bytes.u8());

    for _ in 0..STEPS {
        if bytes.is_empty() {
            break;
        }
        fuzz.step(&mut bytes);
    }
    fuzz.repair();
    fuzz.assert_heals();
    fuzz.assert_sleeps();
});
