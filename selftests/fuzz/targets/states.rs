// SPDX-License-Identifier: GPL-2.0

//! The states of handshakes: any calls in any order, of two sides, against a model that knows only who
//! has said what to whom.

#![no_main]

use std::sync::Arc;

use wg_fuzz::{
    fuzz_target,
    Bytes, //
};
use wg_proto::{
    handshake::{
        Claim,
        Handshake,
        Refusal,
        Role, //
    },
    identity::Identity,
    secret::Secret,
    tai64n::Timestamp,
    wire::{
        Index,
        Initiation,
        Response, //
    }, //
};
use wg_selftests::{
    begin_session,
    identity,
    quick::Quick, //
};

/// Time between two initiations that are accepted: there may be 50 in a second.
const INTERVAL: u64 = 20_000_000;

/// An initiation that was sent.
struct Sent {
    message: Initiation,
    from: usize,
    /// Which of the keys of its sender it was made with.
    key: u8,
    time: Timestamp,
}

/// A response that was sent.
struct Answer {
    message: Response,
    from: usize,
    /// To which initiation.
    initiation: usize,
    psk: u8,
    /// The keys of either side that has derived them: of what the initiator sends, and the responder.
    keys: Option<[[u8; 32]; 2]>,
}

/// How far a handshake is.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Nothing,
    Initiated(usize),
    /// An initiation came; the index is of our own that it has superseded.
    Initiatee(usize, Option<Index>),
    Responded(usize),
    Answered(usize),
}

/// One side, and what is known of it.
struct Side {
    handshake: Handshake<Arc<Identity>>,
    /// The key that it has: 0 is the one that the other side knows.
    key: Option<u8>,
    psk: u8,
    state: State,
    latest: Timestamp,
    last: Option<u64>,
    /// A claim that is not decided yet, of which initiation it is, and which key it was opened with.
    claim: Option<(Claim<Arc<Identity>>, usize, bool)>,
}

impl Side {
    fn new(side: u8) -> Self {
        let other = private(1 - side, 0);
        let public = *identity::<Quick>(&other).unwrap().public();
        let own = identity::<Quick>(&private(side, 0));

        Self {
            handshake: Handshake::new::<Quick>(&public, &[0; 32], own),
            key: Some(0),
            psk: 0,
            state: State::Nothing,
            latest: Timestamp::default(),
            last: None,
            claim: None,
        }
    }
}

fn private(side: u8, key: u8) -> [u8; 32] {
    [side * 16 + key + 1; 32]
}

/// Both sides, and all messages.
struct Fuzz {
    sides: [Side; 2],
    initiations: Vec<Sent>,
    answers: Vec<Answer>,
    now: u64,
    count: u32,
}

impl Fuzz {
    /// Returns a number that was not used before.
    fn fresh(&mut self) -> (Secret<32>, Index) {
        self.count += 1;
        let mut ephemeral = Secret::zero();
        ephemeral.as_mut_bytes()[1..5].copy_from_slice(&self.count.to_le_bytes());
        (ephemeral, Index(self.count))
    }

    /// Returns the index that a side holds.
    fn index(&self, side: usize) -> Option<Index> {
        match self.sides[side].state {
            State::Nothing => None,
            State::Initiated(at) => Some(self.initiations[at].message.sender),
            State::Initiatee(_, superseded) => superseded,
            State::Responded(at) => Some(self.answers[at].message.sender),
            State::Answered(at) => Some(self.answers[at].message.receiver),
        }
    }

    fn initiate(&mut self, from: usize, bytes: &mut Bytes<'_>) {
        let (mut ephemeral, index) = self.fresh();
        let time = Timestamp::from_unix(bytes.u8().into(), 0);
        let side = &mut self.sides[from];
        let got = side
            .handshake
            .create_initiation::<Quick>(&mut ephemeral, index, time);

        assert_eq!(got.is_some(), side.key.is_some());
        let (Some(message), Some(key)) = (got, side.key) else {
            return;
        };
        assert_eq!(message.sender, index);
        self.sides[from].state = State::Initiated(self.initiations.len());
        self.initiations.push(Sent {
            message,
            from,
            key,
            time,
        });
    }

    /// Opens an initiation, perhaps one that was changed.
    fn open(&mut self, to: usize, bytes: &mut Bytes<'_>) {
        let back = bytes.u8();
        let Some(at) = self
            .initiations
            .len()
            .checked_sub(usize::from(back & 7) + 1)
        else {
            return;
        };
        let sent = &self.initiations[at];
        let side = &mut self.sides[to];
        let Some(own) = side.handshake.identity() else {
            return;
        };
        let mut message = sent.message.clone();
        let changed = back >= 0xc0;
        if changed {
            let bit = 1 << (bytes.u8() & 7);
            match back >> 3 & 7 {
                0 => message.ephemeral[bytes.below(8)] ^= bit,
                1..=3 => message.encrypted_static[bytes.below(48)] ^= bit,
                _ => message.encrypted_timestamp[bytes.below(28)] ^= bit,
            }
        }

        let mut claim = Claim::new(own, &message);
        let opened = claim.open::<Quick>();
        if message.encrypted_static == sent.message.encrypted_static
            && message.ephemeral == sent.message.ephemeral
        {
            // It can be read by whom it was sent to, as long as they have that key.
            assert_eq!(opened.is_some(), sent.from != to && side.key == Some(0));
        } else {
            assert!(opened.is_none());
        }
        if opened.is_none() {
            return;
        }
        let public = *identity::<Quick>(&private(sent.from as u8, sent.key))
            .unwrap()
            .public();
        assert_eq!(claim.remote_static(), &public);
        if bytes.flag() {
            // Before there is a handshake with that peer.
            let proven = claim.prove_alone::<Quick>();
            assert_eq!(proven.is_some(), !changed);
            if proven.is_none() {
                return;
            }
        }
        side.claim = Some((claim, at, changed));
    }

    fn consume(&mut self, to: usize) {
        let held = self.index(to);
        let side = &mut self.sides[to];
        let Some((mut claim, at, changed)) = side.claim.take() else {
            return;
        };
        let sent = &self.initiations[at];
        // As for one that comes before there is a handshake with that peer, proven or not.
        if let Some(own) = side.handshake.identity().cloned() {
            side.handshake.set_identity_for::<Quick>(own, &claim);
        }
        let got = side
            .handshake
            .consume_initiation::<Quick>(&mut claim, self.now);

        // A claim is dropped when the identity changes, so that is the same.
        let expected = if changed || sent.key != 0 {
            Err(Refusal::Crypto)
        } else if sent.time <= side.latest {
            Err(Refusal::Replay)
        } else if side.last.is_some_and(|last| self.now - last < INTERVAL) {
            Err(Refusal::Flood)
        } else {
            Ok(())
        };
        assert_eq!(got, expected);
        if got.is_ok() {
            side.latest = sent.time;
            side.last = Some(self.now);
            side.state = State::Initiatee(at, held);
        }
    }

    fn respond(&mut self, from: usize) {
        let (mut ephemeral, index) = self.fresh();
        let side = &mut self.sides[from];
        let got = side
            .handshake
            .create_response::<Quick>(&mut ephemeral, index);

        let State::Initiatee(initiation, _) = side.state else {
            assert!(got.is_none());
            return;
        };
        let message = got.unwrap();
        assert_eq!(message.sender, index);
        assert_eq!(
            message.receiver,
            self.initiations[initiation].message.sender
        );
        let psk = side.psk;
        side.state = State::Responded(self.answers.len());
        self.answers.push(Answer {
            message,
            from,
            initiation,
            psk,
            keys: None,
        });
    }

    fn finish(&mut self, to: usize, bytes: &mut Bytes<'_>) {
        let back = bytes.u8();
        let Some(at) = self.answers.len().checked_sub(usize::from(back & 7) + 1) else {
            return;
        };
        let answer = &self.answers[at];
        let side = &mut self.sides[to];
        let mut message = answer.message.clone();
        let changed = back >= 0xc0;
        if changed {
            let bit = 1 << (bytes.u8() & 7);
            match back >> 3 & 7 {
                0 => message.receiver.0 ^= u32::from(bit),
                1..=3 => message.ephemeral[bytes.below(8)] ^= bit,
                _ => message.encrypted_nothing[bytes.below(16)] ^= bit,
            }
        }
        let got = side.handshake.consume_response::<Quick>(&message);

        let expected = !changed
            && answer.from != to
            && side.state == State::Initiated(answer.initiation)
            && side.psk == answer.psk
            && side.key == Some(self.initiations[answer.initiation].key);
        assert_eq!(got.is_some(), expected);
        if expected {
            side.state = State::Answered(at);
        }
    }

    fn begin(&mut self, of: usize) {
        let got = begin_session::<Quick>(&mut self.sides[of].handshake);
        let state = std::mem::replace(&mut self.sides[of].state, State::Nothing);

        let (at, role) = match state {
            State::Responded(at) => (at, Role::Responder),
            State::Answered(at) => (at, Role::Initiator),
            _ => {
                assert!(got.is_none());
                self.sides[of].state = state;
                return;
            }
        };
        let got = got.unwrap();
        let answer = &mut self.answers[at];
        let (sending, receiving) = (*got.sending.as_bytes(), *got.receiving.as_bytes());
        let indices = [got.outcome.local_index, got.outcome.remote_index];
        let (keys, indices) = match role {
            Role::Initiator => ([sending, receiving], indices),
            Role::Responder => ([receiving, sending], [indices[1], indices[0]]),
        };
        assert_eq!(got.outcome.role, role);
        assert_eq!(indices, [answer.message.receiver, answer.message.sender]);
        assert_ne!(sending, receiving);
        assert_eq!(answer.keys.unwrap_or(keys), keys);
        answer.keys = Some(keys);
    }

    fn clear(&mut self, of: usize, only_unanswered: bool) {
        let held = self.index(of);
        let side = &mut self.sides[of];

        if only_unanswered {
            let unanswered = matches!(side.state, State::Initiatee(..));
            let got = side.handshake.abandon_unanswered();
            assert_eq!(got, held.filter(|_| unanswered));
            if unanswered {
                side.state = State::Nothing;
            }
        } else {
            assert_eq!(side.handshake.clear(), held);
            side.state = State::Nothing;
        }
    }

    fn set_key(&mut self, of: usize, key: u8) {
        let side = &mut self.sides[of];
        let own = match key {
            0..=2 => identity::<Quick>(&private(of as u8, key)),
            _ => None,
        };

        side.key = own.is_some().then_some(key);
        side.handshake.set_identity::<Quick>(own);
        if let Some((mut claim, ..)) = side.claim.take() {
            let got = side
                .handshake
                .consume_initiation::<Quick>(&mut claim, self.now);
            assert_eq!(got, Err(Refusal::Identity));
        }
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let what = bytes.u8();
        let side = usize::from(what >> 7);

        match what & 15 {
            0..=1 => self.initiate(side, bytes),
            2..=3 => self.open(side, bytes),
            4..=5 => self.consume(side),
            6..=7 => self.respond(side),
            8..=9 => self.finish(side, bytes),
            10..=11 => self.begin(side),
            12 => self.now += u64::from(what >> 4 & 7) * INTERVAL / 2,
            13 => self.set_key(side, what >> 4 & 3),
            14 => {
                let psk = what >> 4 & 1;
                self.sides[side].psk = psk;
                self.sides[side].handshake.set_preshared_key(&[psk; 32]);
            }
            _ => self.clear(side, what & 16 != 0),
        }
        for side in 0..2 {
            assert_eq!(self.sides[side].handshake.local_index(), self.index(side));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes::new(data);
    let mut fuzz = Fuzz {
        sides: [Side::new(0), Side::new(1)],
        initiations: Vec::new(),
        answers: Vec::new(),
        now: bytes.u8().into(),
        count: 0,
    };

    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        fuzz.step(&mut bytes);
    }
});
