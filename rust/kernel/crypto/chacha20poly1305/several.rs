// SPDX-License-Identifier: GPL-2.0

//! Several messages of one key at a time, where that is faster than one by one.
//!
//! That is so if there are enough of about the same length, and the processor can run assembly of ours; it is
//! not so until [`use_own_code`] is called. Otherwise, this is the same as [`seal_within`] and [`open_from`] of
//! one message after another.

mod self_test;

use super::{
    behind,
    open_from,
    seal_within,
    x8::{
        self,
        Memory,
        Message, //
    },
    KEY_LEN,
    ROOM_BEHIND,
    TAG,
    TAG_LEN, //
};
use crate::{
    compat::u32_as_usize,
    net::skbuff::SkBuff, //
};
use core::mem;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// The most messages that are encrypted or decrypted at a time.
pub const AT_A_TIME: usize = super::x8::LANES;

/// How many messages take as long one by one as the most that are taken at a time.
const BREAK_EVEN: usize = 5;

/// What a message costs besides its data, in bytes: a block, of which the key of Poly1305 is made.
const OVERHEAD: usize = 64;

/// The longest message that is taken together with others. As long as it takes, nothing else runs.
const MAX_LEN: usize = 1 << 12;

/// Whether several messages are taken at a time. What this guards needs no order: code and the processor.
static ENABLED: Atomic<bool> = Atomic::new(false);

/// Has several messages encrypted and decrypted at a time from now on, if the processor can do that. Process
/// context only.
///
/// # Errors
///
/// [`EBADMSG`] if that is wrong, in which case they are not, and [`ENOMEM`].
pub fn use_own_code() -> Result {
    if x8::is_available() {
        self_test::run()?;
        ENABLED.store(true, Relaxed);
    }
    Ok(())
}

/// Returns memory for messages, unless they are taken one by one, or if there is none.
#[inline]
fn memory() -> Option<KBox<Memory>> {
    match ENABLED.load(Relaxed) {
        true => Memory::new(GFP_NOWAIT),
        false => None,
    }
}

/// Returns whether messages of these lengths, at most [`AT_A_TIME`], take less time together.
#[inline]
fn pays_off(lengths: impl Iterator<Item = usize>) -> bool {
    let mut total: usize = 0;
    let mut longest: usize = 0;
    for len in lengths {
        let cost = len.saturating_add(OVERHEAD);
        total = total.saturating_add(cost);
        longest = longest.max(cost);
    }
    longest <= MAX_LEN + OVERHEAD && total >= longest.saturating_mul(BREAK_EVEN)
}

/// Where a message is in a buffer.
#[derive(Clone, Copy, Default)]
struct Place {
    at: usize,
    len: usize,
    nonce: u64,
}

impl Place {
    /// Returns where the tag ends.
    #[inline]
    fn end(&self) -> usize {
        self.at.wrapping_add(self.len).wrapping_add(TAG_LEN)
    }
}

/// Encrypts messages that lie in one buffer, one behind the other.
///
/// What waits when it is dropped, or finished in another buffer, is left as it is: plain.
#[must_use]
pub struct Sealer<'a> {
    key: &'a [u8; KEY_LEN],
    /// If there is none, no message waits.
    memory: Option<KBox<Memory>>,
    /// Messages that wait to be encrypted, none of which overlaps another.
    waiting: [Place; AT_A_TIME],
    count: usize,
    /// Where the last of them ends.
    end: usize,
}

impl<'a> Sealer<'a> {
    /// Returns what encrypts with a key. There may be `count` messages, nearly all of which have `len` bytes.
    #[inline]
    pub fn new(key: &'a [u8; KEY_LEN], count: usize, len: usize) -> Self {
        let one_by_one = count < BREAK_EVEN || len > MAX_LEN;
        Self::with_memory(key, if one_by_one { None } else { memory() })
    }

    #[inline]
    fn with_memory(key: &'a [u8; KEY_LEN], memory: Option<KBox<Memory>>) -> Self {
        Self {
            key,
            memory,
            waiting: [Place::default(); AT_A_TIME],
            count: 0,
            end: 0,
        }
    }

    /// Encrypts the `len` bytes of `buffer` from `at` on in place, and puts the tag behind them, as
    /// [`seal_within`] does: at once, or at the latest when [`Self::finish`] is called. Until then, they and
    /// the room for the tag have to be left as they are, and the next message must lie behind that.
    ///
    /// Returns false if `buffer` ends before the tag or the message does not lie there, and if those that
    /// waited cannot be encrypted.
    #[inline]
    #[must_use]
    pub fn seal(&mut self, buffer: &mut [u8], at: usize, len: usize, nonce: u64) -> bool {
        if self.memory.is_none() {
            return seal_within(buffer, at, len, nonce, self.key);
        }
        let place = Place { at, len, nonce };
        let Some(slot) = self.waiting.get_mut(self.count) else {
            return false;
        };
        if at < self.end || behind(buffer, at, len).is_none() {
            return false;
        }
        *slot = place;
        self.end = place.end();
        self.count = self.count.wrapping_add(1);
        self.count < AT_A_TIME || self.finish(buffer)
    }

    /// Encrypts the messages that wait, which all must be in `buffer`, and forgets them.
    ///
    /// Returns false if one of them is not there, or cannot be encrypted.
    #[must_use]
    pub fn finish(&mut self, buffer: &mut [u8]) -> bool {
        let end = mem::take(&mut self.end);
        let waiting = self.waiting.get(..mem::take(&mut self.count));
        let waiting = waiting.unwrap_or_default();
        if end > buffer.len() {
            return false;
        }
        if pays_off(waiting.iter().map(|place| place.len)) {
            let data = buffer.as_mut_ptr();
            let key = self.key;
            let messages = waiting.iter().map(|place| {
                Some(Message {
                    src: data.wrapping_add(place.at),
                    dst: data.wrapping_add(place.at),
                    len: place.len,
                    nonce: place.nonce,
                    key,
                })
            });
            if let Some(memory) = &mut self.memory {
                // SAFETY: These are no more than there can be. As was checked, and `seal` did, each lies in
                // the buffer with its tag, and none overlaps another.
                if unsafe { memory.seal(messages) } {
                    return true;
                }
            }
        }
        let one = |place| seal_among_others(buffer, place, self.key);
        waiting.iter().all(one)
    }
}

/// Encrypts a message in place, and leaves as it is what is behind its tag.
fn seal_among_others(buffer: &mut [u8], place: &Place, key: &[u8; KEY_LEN]) -> bool {
    let others = buffer.get(place.end()..);
    let kept: Option<[u8; ROOM_BEHIND]> = others.and_then(|rest| rest.first_chunk()).copied();
    let sealed = seal_within(buffer, place.at, place.len, place.nonce, key);
    let others = buffer.get_mut(place.end()..);
    if let (Some(kept), Some(others)) = (kept, others.and_then(|rest| rest.first_chunk_mut())) {
        *others = kept;
    }
    sealed
}

/// A message in a packet, and where in a buffer it is decrypted to.
#[derive(Clone, Copy)]
pub struct Sealed<'a> {
    /// The packet.
    pub skb: &'a SkBuff,
    /// Where in the packet the message is.
    pub offset: u32,
    /// Its length without the tag, which is behind it.
    pub len: u32,
    /// Its nonce.
    pub nonce: u64,
    /// Where in the buffer it goes, where the tag must fit in, too.
    pub at: usize,
}

/// Decrypts messages into a buffer, one behind the other.
pub struct Opener<'a> {
    key: &'a [u8; KEY_LEN],
    memory: Option<KBox<Memory>>,
}

impl<'a> Opener<'a> {
    /// Returns what decrypts with a key.
    #[inline]
    pub fn new(key: &'a [u8; KEY_LEN]) -> Self {
        Self { key, memory: None }
    }

    /// Returns how many messages are best decrypted at a time.
    #[inline]
    pub fn at_a_time(&self) -> usize {
        match ENABLED.load(Relaxed) {
            true => AT_A_TIME,
            false => 1,
        }
    }

    /// Decrypts messages to their places in `buffer`, as [`open_from`] does.
    ///
    /// Returns for each, in order, whether it is authentic. Those behind the first [`AT_A_TIME`] are not even
    /// looked at.
    #[must_use]
    pub fn open_from(&mut self, buffer: &mut [u8], messages: &[Sealed<'_>]) -> [bool; AT_A_TIME] {
        let mut authentic = [false; AT_A_TIME];
        if let Some(mask) = self.open_together(buffer, messages) {
            for (lane, authentic) in authentic.iter_mut().enumerate() {
                *authentic = mask & (1 << lane) != 0;
            }
            return authentic;
        }
        for (authentic, message) in authentic.iter_mut().zip(messages) {
            *authentic = self.open_one(buffer, message);
        }
        authentic
    }

    /// Decrypts a message to its place in `buffer`, as [`open_from`] does, and returns whether it is authentic.
    #[inline]
    #[must_use]
    pub fn open_one(&self, buffer: &mut [u8], message: &Sealed<'_>) -> bool {
        open_from(
            buffer,
            message.at,
            message.skb,
            message.offset,
            message.len,
            message.nonce,
            self.key,
        )
    }

    /// Returns a mask of the messages that are authentic, the first one in bit 0, if they were decrypted
    /// together.
    fn open_together(&mut self, buffer: &mut [u8], messages: &[Sealed<'_>]) -> Option<u32> {
        let lengths = messages.iter().map(|message| u32_as_usize(message.len));
        if messages.len() > AT_A_TIME || !pays_off(lengths) {
            return None;
        }
        if self.memory.is_none() {
            self.memory = memory();
        }
        let memory = self.memory.as_mut()?;
        let key = self.key;
        let mut end = 0;
        let data = buffer.as_mut_ptr();
        let room = buffer.len();
        let messages = messages.iter().map(|message| {
            let Sealed {
                skb,
                offset,
                len,
                nonce,
                at,
            } = *message;
            let sealed_len = len.checked_add(TAG)?;
            let len = u32_as_usize(len);
            if at < end || at.checked_add(len)?.checked_add(TAG_LEN)? > room {
                return None;
            }
            end = at.wrapping_add(len);
            Some(Message {
                src: skb.contiguous(offset, 0, sealed_len)?.as_ptr(),
                dst: data.wrapping_add(at),
                len,
                nonce,
                key,
            })
        });
        // SAFETY: There are no more than there can be. Where each is, and its tag, are as many bytes, which do
        // not change. Only we refer to where it goes, in a buffer that has room for it, and there none overlaps
        // another.
        unsafe { memory.open(messages) }
    }
}
