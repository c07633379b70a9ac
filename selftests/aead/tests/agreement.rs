// SPDX-License-Identifier: GPL-2.0

//! Messages are what another implementation makes of them, and the other way round.

use chacha20poly1305::{
    aead::Aead,
    ChaCha20Poly1305,
    KeyInit, //
};
use wg_aead::{
    available,
    key_stream,
    planted,
    reference,
    Code,
    Message,
    Random,
    Scratch,
    LANES,
    REAL,
    TAG_LEN, //
};

/// The longest message.
const MAX_LEN: usize = 2200;

/// Bytes around messages, which must stay as they are.
const AROUND: usize = 128;

/// What these bytes are.
const PAINT: u8 = 0xc3;

/// A place for each message.
const STRIDE: usize = 2 * AROUND + MAX_LEN + TAG_LEN + 64;

/// A message in the clear, and what it becomes.
struct Pair {
    key: [u8; 32],
    nonce: u64,
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

impl Pair {
    fn new(key: [u8; 32], nonce: u64, plain: Vec<u8>) -> Self {
        let sealed = reference(&key, nonce, &plain);

        Self {
            key,
            nonce,
            plain,
            sealed,
        }
    }
}

/// Where messages are: places of their own, or those that others have.
struct Places(Vec<u8>);

impl Places {
    fn new() -> Self {
        Self(vec![PAINT; (LANES + 1) * STRIDE])
    }

    fn at(&self, lane: usize, offset: usize) -> usize {
        // Offsets are from a multiple of 64.
        let base = self.0.as_ptr().align_offset(64);

        base + lane * STRIDE.next_multiple_of(64) + AROUND + offset
    }

    /// Puts bytes somewhere, among paint.
    fn put(&mut self, at: usize, bytes: &[u8]) -> *mut u8 {
        self.0[at - AROUND..at + bytes.len() + AROUND].fill(PAINT);
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self.0.as_mut_ptr().wrapping_add(at)
    }

    /// Returns whether bytes are there, among paint.
    fn holds(&self, at: usize, bytes: &[u8]) -> bool {
        let place = &self.0[at - AROUND..at + bytes.len() + AROUND];
        let (before, rest) = place.split_at(AROUND);
        let (here, behind) = rest.split_at(bytes.len());

        here == bytes && before.iter().chain(behind).all(|byte| *byte == PAINT)
    }
}

/// Encrypts and decrypts messages, in place or out of place, and says what is wrong.
fn exchange(
    code: &Code,
    pairs: &[&Pair],
    in_place: bool,
    offset: impl Fn(usize) -> usize,
) -> Result<(), String> {
    for open in [false, true] {
        let (mut from, mut to) = (Places::new(), Places::new());
        let mut messages = Vec::new();

        for (lane, pair) in pairs.iter().enumerate() {
            let at = from.at(lane, offset(lane));
            let there = to.at(lane, offset(lane + LANES));
            let (src, dst);

            // There is paint where the tag comes to be, and behind what is decrypted.
            match (open, in_place) {
                (false, true) => {
                    let room = [pair.plain.clone(), vec![PAINT; TAG_LEN]].concat();
                    dst = from.put(at, &room);
                    src = dst;
                }
                (false, false) => {
                    src = from.put(at, &pair.plain);
                    dst = to.put(there, &vec![PAINT; pair.sealed.len()]);
                }
                (true, true) => {
                    dst = from.put(at, &pair.sealed);
                    src = dst;
                }
                (true, false) => {
                    src = from.put(at, &pair.sealed);
                    dst = to.put(there, &vec![PAINT; pair.plain.len()]);
                }
            }
            messages.push(Message {
                src,
                dst,
                len: pair.plain.len(),
                nonce: pair.nonce,
                key: &pair.key,
            });
        }

        let mut scratch = Scratch::new();
        let mut authentic = (1 << pairs.len()) - 1;
        let complete = authentic;
        if open {
            // SAFETY: The messages are valid, and the processor was asked.
            authentic = unsafe { code.open(&messages, &mut *scratch) };
        } else {
            // SAFETY: As above.
            unsafe { code.seal(&messages, &mut *scratch) };
        }

        let lengths: Vec<_> = pairs.iter().map(|pair| pair.plain.len()).collect();
        let what = format!("open {open}, in place {in_place}, lengths {lengths:?}");
        if authentic != complete {
            return Err(format!("{what}: only {authentic:b} are authentic"));
        }
        for (lane, pair) in pairs.iter().enumerate() {
            let at = from.at(lane, offset(lane));
            let there = to.at(lane, offset(lane + LANES));
            let tag = &pair.sealed[pair.plain.len()..];
            let right = match (open, in_place) {
                (false, true) => from.holds(at, &pair.sealed),
                (false, false) => from.holds(at, &pair.plain) && to.holds(there, &pair.sealed),
                (true, true) => from.holds(at, &[&pair.plain, tag].concat()),
                (true, false) => from.holds(at, &pair.sealed) && to.holds(there, &pair.plain),
            };
            if !right {
                return Err(format!("{what}: message {lane} is wrong"));
            }
        }
    }
    Ok(())
}

/// All lengths, all numbers of messages, at some places.
fn all_lengths(code: &Code, step: usize) -> Result<(), String> {
    let mut random = Random::new(1);

    for len in (0..=MAX_LEN).step_by(step) {
        let pairs: Vec<_> = (0..LANES)
            .map(|_| Pair::new(random.key(), random.number(), random.bytes(len)))
            .collect();
        let pairs: Vec<_> = pairs.iter().collect();

        for n in 1..=LANES {
            let shift = random.below(64);
            exchange(code, &pairs[..n], n % 2 == 0, |lane| {
                (lane * 37 + shift) % 64
            })?;
            exchange(code, &pairs[..n], n % 2 == 1, |lane| {
                (lane * 5 + shift) % 64
            })?;
        }
    }
    Ok(())
}

/// Lengths that differ, a little or much.
fn mixed_lengths(code: &Code, count: usize) -> Result<(), String> {
    let mut random = Random::new(2);

    for round in 0..count {
        let most = [8, 40, 140, 300, MAX_LEN][random.below(5)];
        let least = random.below(MAX_LEN + 1 - most);
        let n = 1 + random.below(LANES);
        let pairs: Vec<_> = (0..n)
            .map(|_| {
                let len = least + random.below(most + 1);
                Pair::new(random.key(), random.number(), random.bytes(len))
            })
            .collect();
        let pairs: Vec<_> = pairs.iter().collect();
        let shift = random.below(64);

        exchange(code, &pairs, round % 2 == 0, |lane| {
            (lane * 11 + shift) % 64
        })?;
    }
    Ok(())
}

/// Ciphertexts whose sums are as large, and as small, as they can be.
fn extremes(code: &Code) -> Result<(), String> {
    let mut random = Random::new(3);

    for len in (0..=MAX_LEN).step_by(7) {
        let pairs: Vec<_> = (0..LANES)
            .map(|lane| {
                let (key, nonce) = (random.key(), random.number());
                let mut plain = key_stream(&key, nonce, 64 + len).split_off(64);

                for byte in &mut plain {
                    *byte ^= if lane % 2 == 0 { 0xff } else { 0 };
                }
                Pair::new(key, nonce, plain)
            })
            .collect();
        let pairs: Vec<_> = pairs.iter().collect();

        exchange(code, &pairs, true, |lane| lane)?;
    }
    Ok(())
}

#[test]
fn lengths() {
    if available("lengths") {
        assert_eq!(all_lengths(&REAL, 1), Ok(()));
    }
}

#[test]
fn mixtures() {
    if available("mixtures") {
        assert_eq!(mixed_lengths(&REAL, 20_000), Ok(()));
    }
}

#[test]
fn ones_and_zeros() {
    if available("ones_and_zeros") {
        assert_eq!(extremes(&REAL), Ok(()));
    }
}

#[test]
fn alignments() {
    if !available("alignments") {
        return;
    }
    let mut random = Random::new(4);
    for len in [0, 1, 15, 16, 63, 64, 65, 191, 192, 193, 1420] {
        let pairs: Vec<_> = (0..LANES)
            .map(|_| Pair::new(random.key(), random.number(), random.bytes(len)))
            .collect();
        let pairs: Vec<_> = pairs.iter().collect();

        for offset in 0..64 {
            assert_eq!(exchange(&REAL, &pairs, true, |_| offset), Ok(()));
            assert_eq!(exchange(&REAL, &pairs, false, |_| offset), Ok(()));
        }
    }
}

/// The counter of blocks is right far behind what a packet can hold.
#[test]
fn long_messages() {
    if !available("long_messages") {
        return;
    }
    let mut random = Random::new(5);
    let key = random.key();
    for len in [65_535, 65_536, 300_000] {
        let plain = random.bytes(len);
        let mut place = [plain.clone(), vec![0; TAG_LEN]].concat();
        let message = Message {
            src: place.as_ptr(),
            dst: place.as_mut_ptr(),
            len,
            nonce: 7,
            key: &key,
        };
        // SAFETY: The message is valid, and the processor was asked.
        unsafe { REAL.seal(&[message], &mut *Scratch::new()) };
        assert!(place == reference(&key, 7, &plain));
    }
}

/// The other implementation opens what it did not make itself.
#[test]
fn opened_elsewhere() {
    if !available("opened_elsewhere") {
        return;
    }
    let mut random = Random::new(6);
    let key = random.key();
    let plain = random.bytes(1420);
    let mut place = [plain.clone(), vec![0; TAG_LEN]].concat();
    let message = Message {
        src: place.as_ptr(),
        dst: place.as_mut_ptr(),
        len: plain.len(),
        nonce: 1 << 40,
        key: &key,
    };
    // SAFETY: The message is valid, and the processor was asked.
    unsafe { REAL.seal(&[message], &mut *Scratch::new()) };

    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&(1u64 << 40).to_le_bytes());
    let opened = ChaCha20Poly1305::new(&key.into()).decrypt(&nonce.into(), &place[..]);
    assert_eq!(opened, Ok(plain));
}

/// What these tests would not notice.
#[test]
fn faults_are_noticed() {
    if !available("faults_are_noticed") {
        return;
    }
    for name in ["carry", "square", "sum", "nonce", "key", "first_key"] {
        assert!(all_lengths(&planted(name), 97).is_err(), "{name}");
    }
    for name in ["masked", "write_past"] {
        assert!(mixed_lengths(&planted(name), 500).is_err(), "{name}");
    }
}
