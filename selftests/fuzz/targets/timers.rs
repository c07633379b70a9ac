// SPDX-License-Identifier: GPL-2.0

//! Timers and sessions of a peer: what is pending is told from the history alone, by section 6 of the
//! paper.

#![no_main]

use wg_fuzz::{
    fuzz_target,
    Bytes, //
};
use wg_proto::{
    handshake::Role,
    session::Keypairs,
    timers::{
        expired,
        on,
        Delay,
        Effects,
        Expired,
        Occasion,
        Timer,
        View, //
    }, //
};

/// Ticks of a second.
const HZ: u32 = 1000;
/// Jitter is less than this.
const JITTER: u32 = HZ / 3;

/// What happened, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Past {
    On(Occasion),
    Fired(Timer),
    /// One keepalive was not enough.
    Again,
    /// A handshake was given up.
    GaveUp,
}

/// A peer as the driver has it: when timers fire, and flags.
struct Peer {
    now: u32,
    deadlines: [Option<u32>; Timer::COUNT],
    keepalive: u16,
    attempts: u32,
    another: bool,
    /// All that happened, with the time, the interval of keepalives, and the jitter that was drawn.
    past: Vec<(Past, u32, u16, u32)>,
}

impl View for Peer {
    fn is_pending(&self, timer: Timer) -> bool {
        self.deadlines[timer.index()].is_some()
    }

    fn persistent_keepalive(&self) -> u16 {
        self.keepalive
    }
}

impl Peer {
    fn arm(&mut self, timer: Timer, delay: Delay, jitter: u32) {
        let ticks = delay.ticks(HZ, |bound| {
            assert_eq!(bound, JITTER);
            jitter
        });

        self.deadlines[timer.index()] = Some(self.now + ticks);
    }

    fn on(&mut self, occasion: Occasion, jitter: u32) {
        self.past
            .push((Past::On(occasion), self.now, self.keepalive, jitter));
        let mut events = Vec::new();
        occasion.each(|event| events.push(event));
        for event in events {
            let effects = on(event, self);
            assert!(!effects.purge_staged && effects.need_another_keepalive != Some(false));
            self.apply(effects, jitter);
        }
    }

    fn apply(&mut self, effects: Effects, jitter: u32) {
        if let Some(timer) = effects.cancel {
            self.deadlines[timer.index()] = None;
        }
        self.another = effects.need_another_keepalive.unwrap_or(self.another);
        if let Some((timer, delay)) = effects.arm {
            self.arm(timer, delay, jitter);
        }
        if effects.handshake_complete {
            self.attempts = 0;
        }
    }

    /// Lets the timer fire that is the next.
    fn fire(&mut self, jitter: u32) {
        let next = Timer::ALL
            .into_iter()
            .filter_map(|timer| Some((self.deadlines[timer.index()]?, timer)))
            .min_by_key(|(at, timer)| (*at, timer.index()));
        let Some((at, timer)) = next else {
            return;
        };
        let zero = self.is_pending(Timer::ZeroKeyMaterial);

        self.now = self.now.max(at);
        self.deadlines[timer.index()] = None;
        self.past
            .push((Past::Fired(timer), self.now, self.keepalive, jitter));
        let another = self.another;
        let (effects, expired) = expired(timer, self.attempts, another, self);
        assert_eq!(effects.purge_staged, matches!(expired, Expired::GiveUp));
        self.apply(effects, jitter);
        match expired {
            Expired::RetryHandshake { attempts } => {
                assert_eq!(timer, Timer::RetransmitHandshake);
                assert_eq!(attempts, self.attempts + 1);
                // 90 seconds, a try in five.
                assert!(attempts <= 19);
                self.attempts = attempts;
                self.on(Occasion::Initiating, jitter);
            }
            Expired::GiveUp => {
                assert_eq!(timer, Timer::RetransmitHandshake);
                assert_eq!(self.attempts, 19);
                assert_eq!(effects.arm.is_none(), zero);
                self.past
                    .push((Past::GaveUp, self.now, self.keepalive, jitter));
            }
            Expired::SendKeepalive => {
                match timer {
                    Timer::SendKeepalive => assert_eq!(effects.arm.is_some(), another),
                    _ => {
                        assert!(timer == Timer::PersistentKeepalive && self.keepalive != 0);
                        assert!(effects.arm.is_some());
                    }
                }
                if timer == Timer::SendKeepalive && another {
                    assert!(!self.another);
                    self.past
                        .push((Past::Again, self.now, self.keepalive, jitter));
                }
                // There may be no session to send it in, or no memory for it.
                if jitter & 1 == 0 {
                    self.on(Occasion::Sending, jitter);
                }
            }
            Expired::NewHandshake => {
                assert_eq!(timer, Timer::NewHandshake);
                self.attempts = 0;
                self.on(Occasion::Initiating, jitter);
            }
            Expired::ZeroKeyMaterial => assert_eq!(timer, Timer::ZeroKeyMaterial),
            Expired::Nothing => {
                assert!(timer == Timer::PersistentKeepalive && self.keepalive == 0);
            }
        }
    }

    /// Returns when a timer is to fire, according to the past.
    fn expected(&self, timer: Timer) -> Option<u32> {
        use Occasion::*;

        let mut at = None;
        let seconds = |seconds: u32| seconds * HZ;
        for (past, now, keepalive, jitter) in &self.past {
            let sends = matches!(past, Past::On(Sending | Initiating | Responding));
            at = match (timer, past) {
                // Five seconds after each initiation, until the handshake is complete.
                (Timer::RetransmitHandshake, Past::On(Initiating | NotInitiated)) => {
                    Some(now + seconds(5) + jitter)
                }
                (Timer::RetransmitHandshake, Past::On(ResponseAccepted | Confirmed)) => None,
                // Ten seconds after the first data that nothing was sent after.
                (Timer::SendKeepalive, Past::On(DataReceived)) => at.or(Some(now + seconds(10))),
                (Timer::SendKeepalive, Past::Again | Past::On(NoKeepalive)) => {
                    Some(now + seconds(10))
                }
                (Timer::SendKeepalive, Past::GaveUp) => None,
                (Timer::SendKeepalive, _) if sends => None,
                // Fifteen seconds after the first data that nothing was received after.
                (Timer::NewHandshake, Past::On(DataSent)) => {
                    at.or(Some(now + seconds(15) + jitter))
                }
                (Timer::NewHandshake, Past::On(Received)) => None,
                // Nine minutes after the last keys, or after the end of a handshake without any.
                (Timer::ZeroKeyMaterial, Past::On(Responding | ResponseAccepted)) => {
                    Some(now + seconds(540))
                }
                (Timer::ZeroKeyMaterial, Past::GaveUp) => at.or(Some(now + seconds(540))),
                // As long as the user says after any packet.
                (Timer::PersistentKeepalive, Past::On(occasion))
                    if (sends || *occasion == Received) && *keepalive != 0 =>
                {
                    Some(now + seconds((*keepalive).into()))
                }
                (Timer::PersistentKeepalive, Past::Fired(Timer::PersistentKeepalive))
                    if *keepalive != 0 =>
                {
                    Some(now + seconds(u32::from(*keepalive).max(6)))
                }
                (_, Past::Fired(fired)) if *fired == timer => None,
                _ => at,
            };
        }
        at
    }

    fn check(&self) {
        for timer in Timer::ALL {
            let got = self.deadlines[timer.index()];
            assert_eq!(got, self.expected(timer), "{timer:?}: {:?}", self.past);
        }
    }
}

fn timers(bytes: &mut Bytes<'_>) {
    let mut peer = Peer {
        now: 0,
        deadlines: [None; Timer::COUNT],
        keepalive: 0,
        attempts: 0,
        another: false,
        past: Vec::new(),
    };
    let occasions = [
        Occasion::Sending,
        Occasion::DataSent,
        Occasion::Initiating,
        Occasion::NotInitiated,
        Occasion::Responding,
        Occasion::ResponseAccepted,
        Occasion::Confirmed,
        Occasion::Received,
        Occasion::DataReceived,
        Occasion::NoKeepalive,
    ];

    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        let jitter = u32::from(bytes.u8());
        match bytes.u8() {
            pause @ 0..=0x1f => peer.now += u32::from(pause) * HZ / 2,
            0x20..=0x3f => peer.keepalive = bytes.u8().into(),
            0x40..=0x7f => peer.fire(jitter),
            which => {
                let which = usize::from(which) % occasions.len();
                peer.on(occasions[which], jitter);
            }
        }
        peer.check();
    }
}

/// Sessions by their number: those of the initiator are in use at once, those of the responder once they
/// are confirmed.
fn sessions(bytes: &mut Bytes<'_>) {
    let mut keypairs = Keypairs::default();
    let (mut current, mut previous, mut next) = (None, None, None);
    let mut alive = Vec::new();

    for number in 0..64u8 {
        if bytes.is_empty() {
            break;
        }
        let mut gone: Vec<u8> = Vec::new();
        match bytes.u8() % 8 {
            0..=1 => {
                gone.extend(
                    keypairs
                        .install(number, Role::Initiator)
                        .into_iter()
                        .flatten(),
                );
                // The one that was used last, or would have been, is the one to be late in.
                previous = next.take().or(current);
                current = Some(number);
                alive.push(number);
            }
            2..=3 => {
                gone.extend(
                    keypairs
                        .install(number, Role::Responder)
                        .into_iter()
                        .flatten(),
                );
                (next, previous) = (Some(number), None);
                alive.push(number);
            }
            4..=6 => {
                let heard = bytes.u8() % 64;
                let heard = if heard < 48 {
                    next.unwrap_or(heard)
                } else {
                    heard
                };
                let got = keypairs.confirm(|session| *session == heard);
                assert_eq!(got.is_ok(), next == Some(heard));
                if let Ok(displaced) = got {
                    gone.extend(displaced);
                    (current, previous, next) = (next, current, None);
                }
            }
            _ => {
                gone.extend(keypairs.clear().into_iter().flatten());
                (current, previous, next) = (None, None, None);
            }
        }
        assert_eq!(keypairs.current, current);
        assert_eq!(keypairs.previous, previous);
        assert_eq!(keypairs.next, next);
        // Each that is not held any more was given back, once: its index must be released.
        let held = [current, previous, next];
        for session in &gone {
            assert!(alive.contains(session) && !held.contains(&Some(*session)));
        }
        alive.retain(|session| !gone.contains(session));
        assert!(alive.iter().all(|session| held.contains(&Some(*session))));
        assert_eq!(alive.len(), held.iter().flatten().count());
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes::new(data);

    match bytes.u8() % 4 {
        0 => sessions(&mut bytes),
        _ => timers(&mut bytes),
    }
});
