// SPDX-License-Identifier: GPL-2.0

//! What is not authentic is refused, and only that.

use wg_aead::{
    available,
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

/// Messages that can be opened.
struct Batch {
    key: [u8; 32],
    sealed: Vec<Vec<u8>>,
}

impl Batch {
    fn new(n: usize, len: impl Fn(usize) -> usize) -> Self {
        let mut random = Random::new(10);
        let key = random.key();
        let sealed = (0..n)
            .map(|lane| reference(&key, lane as u64, &random.bytes(len(lane))))
            .collect();

        Self { key, sealed }
    }

    /// Returns which messages are authentic, opened with nonces that may be wrong.
    fn open(&self, code: &Code, nonce: impl Fn(usize) -> u64) -> u32 {
        let mut opened: Vec<_> = self
            .sealed
            .iter()
            .map(|sealed| vec![0; sealed.len()])
            .collect();
        let messages: Vec<_> = self
            .sealed
            .iter()
            .zip(&mut opened)
            .enumerate()
            .map(|(lane, (sealed, opened))| Message {
                src: sealed.as_ptr(),
                dst: opened.as_mut_ptr(),
                len: sealed.len() - TAG_LEN,
                nonce: nonce(lane),
                key: &self.key,
            })
            .collect();

        // SAFETY: The messages are valid, and the processor was asked.
        unsafe { code.open(&messages, &mut *Scratch::new()) }
    }
}

/// Each bit of each tag, among any number of messages.
fn tags(code: &Code) -> Result<(), String> {
    for n in 1..=LANES {
        let mut batch = Batch::new(n, |lane| 60 + 3 * lane);
        let all = (1 << n) - 1;

        for lane in 0..n {
            for bit in 0..8 * TAG_LEN {
                let at = batch.sealed[lane].len() - TAG_LEN + bit / 8;

                batch.sealed[lane][at] ^= 1 << (bit % 8);
                let authentic = batch.open(code, |lane| lane as u64);
                batch.sealed[lane][at] ^= 1 << (bit % 8);
                if authentic != all & !(1 << lane) {
                    return Err(format!("{n} messages, bit {bit} of {lane}: {authentic:b}"));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn wrong_tags() {
    if available("wrong_tags") {
        assert_eq!(tags(&REAL), Ok(()));
    }
}

/// Each byte of a text, in each lane.
#[test]
fn wrong_text() {
    if !available("wrong_text") {
        return;
    }
    for len in [1, 16, 63, 64, 65, 192, 193, 333, 1420] {
        let mut batch = Batch::new(LANES, |lane| len + lane % 3);

        for lane in 0..LANES {
            for at in 0..batch.sealed[lane].len() - TAG_LEN {
                batch.sealed[lane][at] ^= 1 << (at % 8);
                assert_eq!(batch.open(&REAL, |lane| lane as u64), 0xff & !(1 << lane));
                batch.sealed[lane][at] ^= 1 << (at % 8);
            }
        }
    }
}

/// All sets of messages that are not authentic.
#[test]
fn wrong_sets() {
    if !available("wrong_sets") {
        return;
    }
    for set in 0..256 {
        let mut batch = Batch::new(LANES, |_| 100);

        for lane in 0..LANES {
            batch.sealed[lane][99] ^= (set >> lane & 1) as u8;
        }
        assert_eq!(batch.open(&REAL, |lane| lane as u64), 0xff & !set);
    }
}

#[test]
fn wrong_nonces_and_lengths() {
    if !available("wrong_nonces_and_lengths") {
        return;
    }
    let batch = Batch::new(LANES, |_| 100);
    assert_eq!(batch.open(&REAL, |lane| lane as u64), 0xff);
    assert_eq!(batch.open(&REAL, |_| 3), 1 << 3);
    assert_eq!(batch.open(&REAL, |lane| lane as u64 | 1 << 32), 0);
    assert_eq!(batch.open(&REAL, |lane| lane as u64 | 1 << 63), 0);

    let mut batch = Batch::new(LANES, |_| 100);
    batch.sealed[4].remove(99);
    batch.sealed[5].insert(100, 0);
    assert_eq!(batch.open(&REAL, |lane| lane as u64), 0xff & !(3 << 4));
}

/// What this would not notice.
#[test]
fn faults_are_noticed() {
    if available("faults_are_noticed") {
        assert!(tags(&planted("half_tag")).is_err());
    }
}
