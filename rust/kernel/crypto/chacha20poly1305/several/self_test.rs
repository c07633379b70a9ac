// SPDX-License-Identifier: GPL-2.0

//! Compares what takes several messages at a time with the kernel's library.

use super::{
    Memory,
    Message,
    Opener,
    Place,
    Sealed,
    Sealer,
    AT_A_TIME,
    BREAK_EVEN, //
};
use crate::{
    compat::errors::EBADMSG,
    crypto::chacha20poly1305::{
        seal,
        KEY_LEN,
        TAG_LEN, //
    },
    net::skbuff::{
        Pages,
        SkBuff, //
    },
};
use kernel::prelude::*;

/// Lengths on both sides of those at which the assembly takes another path: blocks of Poly1305, of ChaCha20, and
/// two of these.
const LENGTHS: [usize; 20] = [
    0, 1, 15, 16, 17, 32, 63, 64, 65, 96, 127, 128, 129, 192, 193, 256, 320, 321, 1400, 1420,
];

/// Number of bytes before each message, and behind the last one.
const BETWEEN: usize = 16;

/// Number of bytes that messages take at most.
const BUFFER_LEN: usize = AT_A_TIME * (1420 + TAG_LEN + BETWEEN) + BETWEEN;

/// The nonce of the first message: both halves of it matter.
const NONCE: u64 = 0x0123_4567_89ab_cdef;

/// A key for each message.
type Keys = [[u8; KEY_LEN]; AT_A_TIME];

/// What messages are made of and compared in.
struct Buffers {
    /// The first is that of messages which have the same.
    keys: Keys,
    /// What we encrypt, and decrypt.
    ours: Pages,
    /// What the library encrypts.
    theirs: Pages,
}

/// Returns a byte of the text of messages.
fn byte(position: usize) -> u8 {
    // CAST: Any byte will do.
    (position.wrapping_mul(167) >> 3) as u8
}

/// Fills a buffer with text.
fn fill(buffer: &mut [u8]) {
    let mut position: usize = 0;
    for part in buffer {
        *part = byte(position);
        position = position.wrapping_add(1);
    }
}

/// Returns whether a message is what it was made of.
fn is_text(buffer: &[u8], place: &Place) -> Option<bool> {
    let text = buffer.get(place.at..)?.get(..place.len)?;
    let mut position = place.at;
    let mut right = true;
    for part in text {
        right &= *part == byte(position);
        position = position.wrapping_add(1);
    }
    Some(right)
}

/// Does so.
///
/// # Errors
///
/// [`EBADMSG`] if they differ, and [`ENOMEM`].
pub(super) fn run() -> Result {
    let mut keys = [[0; KEY_LEN]; AT_A_TIME];
    let mut position: usize = 0;
    for part in keys.iter_mut().flatten() {
        *part = byte(position);
        position = position.wrapping_add(1);
    }
    let mut buffers = Buffers {
        keys,
        ours: Pages::alloc(BUFFER_LEN, BUFFER_LEN).ok_or(ENOMEM)?,
        theirs: Pages::alloc(BUFFER_LEN, BUFFER_LEN).ok_or(ENOMEM)?,
    };
    let mut round: usize = 0;
    for count in BREAK_EVEN..=AT_A_TIME {
        for longest in LENGTHS {
            // All of one length, and all but the first shorter than that.
            for less in [0, 3] {
                let messages = Messages {
                    count,
                    longest,
                    less,
                };
                round = round.wrapping_add(1);
                let equal = buffers.seal(messages).ok_or(ENOMEM)?
                    && buffers.open(messages, count).ok_or(ENOMEM)?
                    && buffers.open(messages, round % count).ok_or(ENOMEM)?
                    && buffers.exchange(messages).ok_or(ENOMEM)?;
                if !equal {
                    return Err(EBADMSG);
                }
            }
        }
    }
    Ok(())
}

/// Some messages.
#[derive(Clone, Copy)]
struct Messages {
    count: usize,
    /// The length of the first.
    longest: usize,
    /// By how much others are shorter, unless they are empty.
    less: usize,
}

impl Messages {
    /// Returns where each of them is.
    fn places(self) -> impl Iterator<Item = Place> + Clone {
        (0..self.count).scan((0, NONCE), move |(end, nonce), lane| {
            let less = if lane == 0 { 0 } else { self.less };
            let place = Place {
                at: BETWEEN.wrapping_add(*end),
                len: self.longest.saturating_sub(less),
                nonce: *nonce,
            };
            *end = place.end();
            *nonce = nonce.wrapping_add(1);
            Some(place)
        })
    }

    /// Returns them as they are in a buffer, with a key each.
    fn with_keys(self, data: *mut u8, keys: &Keys) -> impl Iterator<Item = Option<Message>> + '_ {
        self.places().zip(keys).map(move |(place, key)| {
            Some(Message {
                src: data.wrapping_add(place.at),
                dst: data.wrapping_add(place.at),
                len: place.len,
                nonce: place.nonce,
                key,
            })
        })
    }
}

impl Buffers {
    /// Returns whether messages are the same if we encrypt them, and what is around them as well.
    fn seal(&mut self, messages: Messages) -> Option<bool> {
        let ours = self.ours.spare().get_mut(..BUFFER_LEN)?;
        let theirs = self.theirs.spare().get_mut(..BUFFER_LEN)?;
        fill(ours);
        fill(theirs);
        let [key, ..] = &self.keys;
        let mut sealer = Sealer::with_memory(key, Some(Memory::new(GFP_KERNEL)?));
        let mut sealed = true;
        for Place { at, len, nonce } in messages.places() {
            let room = theirs.get_mut(at..)?;
            let room = room.get_mut(..len.wrapping_add(TAG_LEN))?;
            let text = ours.get(at..)?.get(..len)?;
            seal(room, text, &[], nonce, key);
            sealed &= sealer.seal(ours, at, len, nonce);
        }
        sealed &= sealer.finish(ours);
        Some(sealed && self.agree()?)
    }

    /// Returns whether encrypted messages are decrypted to what they were made of, and all but number `wrong`
    /// are authentic, which gets a wrong tag.
    fn open(&mut self, messages: Messages, wrong: usize) -> Option<bool> {
        let ours = self.ours.spare().get_mut(..BUFFER_LEN)?;
        let theirs = self.theirs.spare().get(..BUFFER_LEN)?;
        let mut skb = SkBuff::alloc(0, BUFFER_LEN)?;
        skb.put_data(theirs).then_some(())?;
        if let Some(place) = messages.places().nth(wrong) {
            let bits = skb.linear_mut(skb.len())?;
            // Another byte of the tag, and another bit, for each.
            let at = place
                .end()
                .wrapping_sub(place.len % TAG_LEN)
                .checked_sub(1)?;
            *bits.get_mut(at)? ^= 1 << (place.len % 8);
        }
        let [key, ..] = &self.keys;
        let mut opener = Opener {
            key,
            memory: Some(Memory::new(GFP_KERNEL)?),
        };
        ours.fill(0);
        let mut all = [Sealed {
            skb: &skb,
            offset: 0,
            len: 0,
            nonce: 0,
            at: 0,
        }; AT_A_TIME];
        for (sealed, place) in all.iter_mut().zip(messages.places()) {
            // CAST: Both are less than the length of the buffer.
            sealed.offset = place.at as u32;
            sealed.len = place.len as u32;
            sealed.nonce = place.nonce;
            sealed.at = place.at;
        }
        let authentic = opener.open_from(ours, all.get(..messages.count)?);
        let mut right = true;
        let mut lane: usize = 0;
        for (place, authentic) in messages.places().zip(authentic) {
            right &= lane == wrong || is_text(ours, &place)?;
            right &= authentic == (lane != wrong);
            lane = lane.wrapping_add(1);
        }
        Some(right)
    }

    /// Returns whether we have encrypted what the library has.
    fn agree(&mut self) -> Option<bool> {
        let ours = self.ours.spare().get(..BUFFER_LEN)?;
        let theirs = self.theirs.spare().get(..BUFFER_LEN)?;
        Some(ours == theirs)
    }

    /// Returns whether messages that have a key each are the same if we encrypt them, and become what they were
    /// made of if we decrypt them.
    fn exchange(&mut self, messages: Messages) -> Option<bool> {
        let ours = self.ours.spare().get_mut(..BUFFER_LEN)?;
        let theirs = self.theirs.spare().get_mut(..BUFFER_LEN)?;
        fill(ours);
        fill(theirs);
        for (Place { at, len, nonce }, key) in messages.places().zip(&self.keys) {
            let room = theirs.get_mut(at..)?;
            let room = room.get_mut(..len.wrapping_add(TAG_LEN))?;
            let text = ours.get(at..)?.get(..len)?;
            seal(room, text, &[], nonce, key);
        }
        let mut memory = Memory::new(GFP_KERNEL)?;
        let lanes = messages.with_keys(ours.as_mut_ptr(), &self.keys);
        // SAFETY: There are no more than there are keys. Each lies in the buffer with its tag, as in the other
        // one of the same length, and none overlaps another.
        let sealed = unsafe { memory.seal(lanes) };
        if !sealed || !self.agree()? {
            return Some(false);
        }
        let ours = self.ours.spare().get_mut(..BUFFER_LEN)?;
        let lanes = messages.with_keys(ours.as_mut_ptr(), &self.keys);
        // SAFETY: As above.
        let authentic = unsafe { memory.open(lanes) }?;
        // CAST: There are few.
        let mut right = authentic.count_ones() == messages.count as u32;
        for place in messages.places() {
            right &= is_text(ours, &place)?;
        }
        Some(right)
    }
}
