// SPDX-License-Identifier: GPL-2.0

//! Rates, load, expiry, nonces, timestamps: sequences of calls, and what must hold after each.

#![no_main]

use std::cell::Cell;

use wg_fuzz::{
    fuzz_target,
    Bytes, //
};
use wg_proto::{
    handshake::Role,
    limits::{
        expired,
        reached, //
    },
    nonce::{
        Counter,
        Nonces,
        Shared, //
    },
    ratelimit::{
        source_v4,
        source_v6,
        Bucket,
        Load, //
    },
    session::{
        is_too_old,
        keep_key_fresh_receiving,
        keep_key_fresh_sending,
        may_initiate,
        may_receive, //
    },
    tai64n::Timestamp, //
};

const SECOND: u64 = 1_000_000_000;
/// Nanoseconds in which a source may have one handshake.
const COST: u64 = SECOND / 20;
/// Handshakes that it may have at once.
const BURST: u64 = 5;
/// The first counter that no session has.
const END: u64 = u64::MAX - 8128 - 1;

/// Returns how much time passes.
fn pause(bytes: &mut Bytes<'_>) -> u64 {
    match bytes.u8() {
        0..=0x3f => 0,
        how @ 0x40..=0x7f => {
            (COST * u64::from(how & 7) + u64::from(bytes.u8())).saturating_sub(128)
        }
        0x80..=0xbf => bytes.u32().into(),
        0xc0..=0xdf => SECOND - 128 + u64::from(bytes.u8()),
        how => (SECOND * u64::from(how & 31) + u64::from(bytes.u8())).saturating_sub(128),
    }
}

/// A source that never has more than its rate allows, nor less.
fn rate(bytes: &mut Bytes<'_>) {
    let mut now = bytes.number() >> 1;
    let mut bucket = Bucket::new(now);
    // What is left of the burst, by a rule in which all is exact.
    let mut saved = (BURST - 1) * COST;
    let mut last = now;
    let mut allowed = vec![now];

    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        let pause = pause(bytes).min(1 << 40);
        now += pause;
        assert_eq!(bucket.is_idle(now), now - last > SECOND);
        saved = (saved + pause).min(BURST * COST);
        let expected = saved >= COST;
        assert_eq!(bucket.allow(now), expected);
        last = now;
        if expected {
            saved -= COST;
            allowed.push(now);
        }
    }
    // In any span of time: a burst, and the rate.
    for (i, first) in allowed.iter().enumerate() {
        for (j, last) in allowed.iter().enumerate().skip(i) {
            assert!((j - i) as u64 <= BURST - 1 + (last - first) / COST + 1);
        }
    }
}

/// Load, which is high for a second after it was.
fn load(bytes: &mut Bytes<'_>) {
    let mut now = 1 + (bytes.number() >> 1);
    let mut load = Load::default();
    let mut last = None;

    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        now += pause(bytes).min(1 << 40);
        let queued = match bytes.u8() {
            near @ 0..=0x7f => 448 + usize::from(near),
            _ => bytes.u16().into(),
        };
        // An eighth of what may wait.
        if queued >= 4096 / 8 {
            last = Some(now);
        }
        let expected = last.is_some_and(|last| now - last < SECOND);
        assert_eq!(load.is_high(queued, now), expected);
    }
}

/// A number that others change at any moment.
struct Contended<'a, 'b> {
    number: &'a Cell<u64>,
    bytes: &'a Cell<Option<Bytes<'b>>>,
    /// What others have taken meanwhile.
    others: &'a Cell<Vec<u64>>,
}

impl Shared for Contended<'_, '_> {
    fn load(&self) -> u64 {
        self.number.get()
    }

    fn compare_exchange(&self, old: u64, new: u64) -> Result<(), u64> {
        let mut bytes = self.bytes.take().unwrap_or(Bytes::new(&[]));
        let intruder = bytes.u8();
        self.bytes.set(Some(bytes));
        let now = self.number.get();
        if intruder >= 0xc0 && now < END {
            // Somebody was faster, and has taken one.
            let mut others = self.others.take();
            others.push(now);
            self.others.set(others);
            self.number.set(now + 1);
        }
        if self.number.get() != old {
            return Err(self.number.get());
        }
        self.number.set(new);
        Ok(())
    }
}

/// Nonces, each of which there is once.
fn nonces(bytes: &mut Bytes<'_>) {
    let start = match bytes.u8() {
        0..=0x7f => 0,
        near => END - u64::from(near & 0x7f),
    };
    let number = Cell::new(start);
    let shared = Cell::new(None);
    let others = Cell::new(Vec::new());
    let counter = Counter::new(Contended {
        number: &number,
        bytes: &shared,
        others: &others,
    });
    let mut open: Vec<Nonces> = Vec::new();
    let mut used = Vec::new();

    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        let how = bytes.u8();
        if how & 1 == 0 {
            let count = if how < 0xf0 {
                u64::from(how >> 4)
            } else {
                bytes.number()
            };
            let before = counter.taken();
            shared.set(Some(bytes.clone()));
            let got = counter.take(count);
            *bytes = shared.take().unwrap();
            match got {
                Some(nonces) => {
                    assert_eq!(nonces.left(), count);
                    assert!(counter.taken() >= before + count);
                    open.push(nonces);
                }
                None => assert!(u128::from(counter.taken()) + u128::from(count) > END.into()),
            }
            assert!(counter.taken() <= END);
        } else if let Some(at) = (how as usize >> 1).checked_rem(open.len()) {
            match open[at].next() {
                Some(nonce) => used.push(nonce.spend()),
                None => drop(open.swap_remove(at)),
            }
        }
    }
    let taken = counter.taken();
    used.extend(others.take());
    used.sort_unstable();
    assert!(used.windows(2).all(|pair| pair[0] < pair[1]), "{used:?}");
    let mut used = used.iter();
    assert!(used.all(|nonce| (start..taken).contains(nonce) && *nonce < END));
}

/// Ages, in numbers that do not wrap.
fn ages(bytes: &mut Bytes<'_>) {
    let (birth, seconds) = (bytes.number(), u64::from(bytes.u16()));
    let jitter = i128::from(bytes.u8()) - 128;
    // Near to when it expires, or anywhere.
    let now = match bytes.u8() {
        0..=0x7f => i128::from(birth) + i128::from(seconds * SECOND) + jitter,
        _ => bytes.number().into(),
    };
    let wrapped = now as u64;
    let age = i128::from(wrapped.wrapping_sub(birth) as i64);
    // Neither the age nor what is left of it is anywhere near 146 years.
    if age.abs() > 1 << 62 {
        return;
    }

    let is = |seconds: u64| age >= i128::from(seconds) * i128::from(SECOND);
    assert_eq!(expired(birth, seconds, wrapped), is(seconds));
    assert_eq!(reached(birth, wrapped), is(0));
    assert_eq!(is_too_old(birth, wrapped), is(180));
    assert_eq!(may_initiate(birth, wrapped), is(5));
    let sent = bytes.choose(&[0, 1 << 60, (1 << 60) + 1, u64::MAX]);
    for role in [Role::Initiator, Role::Responder] {
        let initiator = role == Role::Initiator;
        assert_eq!(
            keep_key_fresh_sending(true, sent, role, birth, wrapped),
            sent > 1 << 60 || initiator && is(120)
        );
        assert_eq!(
            keep_key_fresh_receiving(true, role, birth, wrapped),
            initiator && is(180 - 10 - 5)
        );
        assert!(!keep_key_fresh_sending(false, sent, role, birth, wrapped));
        assert!(!keep_key_fresh_receiving(false, role, birth, wrapped));
    }
    assert_eq!(may_receive(true, birth, birth, birth), birth < END);
}

/// Timestamps, which are as ordered as the times are, and not more exact than they may be.
fn timestamps(bytes: &mut Bytes<'_>) {
    let time = |bytes: &mut Bytes<'_>| (i64::from(bytes.u32()), bytes.u32() % SECOND as u32);
    let (a, b) = (time(bytes), time(bytes));
    let coarse = |(seconds, nanos): (i64, u32)| (seconds, nanos >> 24);
    let [stamp_a, stamp_b] = [a, b].map(|(seconds, nanos)| Timestamp::from_unix(seconds, nanos));

    assert_eq!(stamp_a.cmp(&stamp_b), coarse(a).cmp(&coarse(b)));
    let seconds = u64::from_be_bytes(stamp_a.0[..8].try_into().unwrap());
    let nanos = u32::from_be_bytes(stamp_a.0[8..].try_into().unwrap());
    assert_eq!(seconds, (1 << 62) + 10 + a.0 as u64);
    assert_eq!(nanos, a.1 >> 24 << 24);
}

/// Keys of sources: all of an IPv4 address, and half of an IPv6 address.
fn sources(bytes: &mut Bytes<'_>) {
    let (v4, v6): ([u8; 4], [u8; 16]) = (bytes.array(), bytes.array());

    assert_eq!(source_v4(&v4), u64::from(u32::from_be_bytes(v4)));
    assert_eq!(source_v6(&v6), (u128::from_be_bytes(v6) >> 64) as u64);
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes::new(data);

    match bytes.u8() % 6 {
        0 => rate(&mut bytes),
        1 => load(&mut bytes),
        2 => nonces(&mut bytes),
        3 => ages(&mut bytes),
        4 => timestamps(&mut bytes),
        _ => sources(&mut bytes),
    }
});
