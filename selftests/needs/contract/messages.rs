// SPDX-License-Identifier: GPL-2.0

//! Messages that are to be encrypted and decrypted together, and are not where they are said to be.

use core::{
    array::from_fn,
    mem, //
};
use kernel::prelude::*;
use wg_kernel::{
    crypto::chacha20poly1305::{
        seal,
        use_own_code,
        Opener,
        Sealed,
        Sealer,
        AT_A_TIME,
        KEY_LEN,
        ROOM_BEFORE,
        ROOM_BEHIND,
        TAG_LEN, //
    },
    net::skbuff::{
        NewSkBuff,
        Pages,
        SkBuff, //
    }, //
};

/// Length of a message.
const LEN: usize = 100;

/// The same with its tag.
const SEALED_LEN: usize = LEN + TAG_LEN;

/// Length of all messages of a packet.
const PACKET_LEN: usize = AT_A_TIME * SEALED_LEN;

/// How far places of messages are from each other.
const STEP: usize = 256;

/// Length of a buffer.
const ALL: usize = 16 * STEP;

/// Room before messages in a packet.
const HEADROOM: usize = 128;

const KEY: [u8; KEY_LEN] = [7; KEY_LEN];
const OTHER_KEY: [u8; KEY_LEN] = [8; KEY_LEN];

/// What messages consist of.
const TEXT: u8 = 0xa5;

/// What is at places that a message may be decrypted to.
const BLANK: u8 = 0x3c;

/// Whether the layer's own code is used.
#[derive(Clone, Copy)]
struct Own(bool);

impl Own {
    fn check(self, what: &str, holds: bool) {
        let how = if self.0 { "together" } else { "one by one" };
        match holds {
            true => pr_info!("ok {how}: {what}\n"),
            false => pr_info!("not ok {how}: {what}\n"),
        }
    }
}

/// Tries all with the kernel's code, and with the layer's own if the processor can run that.
pub(crate) fn all() {
    each();
    crate::check("own code is right, or not there", use_own_code().is_ok());
    each();
}

fn each() {
    let own = Own(Opener::new(&KEY).at_a_time() > 1);
    own.check("all was sealed", sealing(own).is_some());
    own.check("all was opened", opening(own).is_some());
}

/// Returns where message number `i` is.
fn place(i: usize) -> usize {
    ROOM_BEFORE.wrapping_add(i.wrapping_mul(STEP))
}

/// Returns the nonce of message number `i`.
fn nonce(i: usize) -> u64 {
    i as u64
}

fn consists_of(byte: u8, bytes: Option<&[u8]>) -> bool {
    bytes.is_some_and(|bytes| bytes.iter().all(|other| *other == byte))
}

/// Returns message number `i`, sealed.
fn sealed(i: usize, key: &[u8; KEY_LEN]) -> [u8; SEALED_LEN] {
    let mut sealed = [0; SEALED_LEN];
    seal(&mut sealed, &[TEXT; LEN], &[], nonce(i), key);
    sealed
}

/// Returns whether the first `count` messages are sealed at their places, with nothing written behind what may be.
fn are_sealed(buffer: &[u8], count: usize, key: &[u8; KEY_LEN]) -> bool {
    (0..count).all(|i| {
        let message = buffer.get(place(i)..);
        let behind = place(i).wrapping_add(SEALED_LEN + ROOM_BEHIND);
        message.and_then(|message| message.first_chunk()) == Some(&sealed(i, key))
            && consists_of(TEXT, buffer.get(behind..place(i.wrapping_add(1))))
    })
}

/// Has the first `count` messages sealed, or wait for it.
fn seal_first(sealer: &mut Sealer<'_>, buffer: &mut [u8], count: usize) -> bool {
    (0..count).all(|i| sealer.seal(buffer, place(i), LEN, nonce(i)))
}

fn sealing(own: Own) -> Option<()> {
    // Of one that waits, nothing was written.
    let waits = |bytes: Option<&[u8]>| !own.0 || consists_of(TEXT, bytes);
    let mut pages = Pages::alloc(ALL, ALL)?;
    let buffer = pages.spare().get_mut(..ALL)?;
    let mut other_pages = Pages::alloc(ALL, ALL)?;
    let other = other_pages.spare().get_mut(..ALL)?;
    buffer.fill(TEXT);
    other.fill(TEXT);

    let mut sealer = Sealer::new(&KEY, usize::MAX, LEN);
    let nowhere = [
        (usize::MAX, 0),
        (0, usize::MAX),
        (usize::MAX - 8, 16),
        (usize::MAX - 8, usize::MAX),
        (ALL, 0),
        (ALL - TAG_LEN + 1, 0),
        (ALL - SEALED_LEN + 1, LEN),
    ];
    let refused = nowhere
        .iter()
        .all(|(at, len)| !sealer.seal(buffer, *at, *len, 0));
    let nothing = sealer.finish(&mut []) && sealer.finish(buffer);
    own.check(
        "nothing is sealed that is not there",
        refused && nothing && consists_of(TEXT, Some(buffer)),
    );

    let waiting = seal_first(&mut sealer, buffer, 5);
    // These are those that it must not be if others wait.
    let overlapping = [place(4) + SEALED_LEN - 1, place(4) - LEN, place(3), 0];
    let refused = overlapping
        .iter()
        .all(|at| !own.0 || !sealer.seal(buffer, *at, LEN, 9));
    own.check(
        "nor what lies before the end of another",
        waiting && refused,
    );
    let (short, rest) = buffer.split_at_mut_checked(place(4) + SEALED_LEN - 1)?;
    let refused = sealer.finish(short) != own.0;
    let untouched = waits(Some(short)) && waits(Some(rest));
    own.check("nor in a buffer that is too short", refused && untouched);
    let forgotten = sealer.finish(buffer) && waits(Some(buffer));
    own.check("which is over then", forgotten);

    buffer.fill(TEXT);
    let waiting = seal_first(&mut sealer, buffer, 5) && waits(Some(buffer));
    let there = sealer.finish(other) && (!own.0 || are_sealed(other, 5, &KEY));
    own.check(
        "in another buffer, all is in that",
        waiting && there && waits(Some(buffer)),
    );

    buffer.fill(TEXT);
    other.fill(TEXT);
    let mut sealer = Sealer::new(&KEY, 5, LEN);
    let mut exchanged = Sealer::new(&OTHER_KEY, 5, LEN);
    let waiting = seal_first(&mut sealer, buffer, 5) && seal_first(&mut exchanged, other, 5);
    mem::swap(&mut sealer, &mut exchanged);
    let finished = sealer.finish(buffer) && exchanged.finish(other);
    let (key, other_key) = match own.0 {
        true => (&OTHER_KEY, &KEY),
        false => (&KEY, &OTHER_KEY),
    };
    own.check(
        "each has its own key, and its own messages",
        waiting && finished && are_sealed(buffer, 5, key) && are_sealed(other, 5, other_key),
    );

    buffer.fill(TEXT);
    let mut sealer = Sealer::new(&KEY, 12, LEN);
    let finished = seal_first(&mut sealer, buffer, 12) && sealer.finish(buffer);
    own.check(
        "more than are sealed at a time",
        finished && are_sealed(buffer, 12, &KEY),
    );

    buffer.fill(TEXT);
    let mut sealer = Sealer::new(&KEY, 8, LEN);
    let waiting = seal_first(&mut sealer, buffer, 4);
    let long = ALL - place(4) - TAG_LEN;
    let finished = sealer.seal(buffer, place(4), long, 9) && sealer.finish(buffer);
    own.check(
        "one that is much longer than the others",
        waiting && finished && are_sealed(buffer, 4, &KEY),
    );

    buffer.fill(TEXT);
    let mut sealer = Sealer::new(&KEY, 8, 0);
    let end = TAG_LEN * 8;
    let empty = (0..8).all(|i| sealer.seal(buffer, i * TAG_LEN, 0, 3)) && sealer.finish(buffer);
    let mut tags = buffer.get(..end)?.chunks(TAG_LEN);
    let first = tags.next();
    let same = !consists_of(TEXT, first) && tags.all(|tag| Some(tag) == first);
    let behind = consists_of(TEXT, buffer.get(end.wrapping_add(ROOM_BEHIND)..));
    own.check("empty ones, back to back", empty && same && behind);

    buffer.fill(TEXT);
    let mut sealer = Sealer::new(&KEY, 8, LEN);
    let waiting = seal_first(&mut sealer, buffer, 5);
    drop(sealer);
    own.check("none when it is too late", waiting && waits(Some(buffer)));
    Some(())
}

/// Returns a packet with the first eight messages, one behind the other, all but the first `linear` bytes of
/// which are in a page.
fn packet(linear: usize) -> Option<NewSkBuff> {
    let mut pages = Pages::alloc(PACKET_LEN, PACKET_LEN)?;
    let all = pages.spare();
    for i in 0..AT_A_TIME {
        let (_, rest) = all.split_at_mut_checked(i.wrapping_mul(SEALED_LEN))?;
        *rest.first_chunk_mut()? = sealed(i, &KEY);
    }
    let mut skb = SkBuff::alloc(HEADROOM, linear)?;
    skb.put_data(all.get(..linear)?).then_some(())?;
    pages
        .give(&mut skb, linear, PACKET_LEN.checked_sub(linear)?)
        .then_some(skb)
}

/// Returns the first eight messages, to be decrypted to their places.
fn messages(skb: &SkBuff) -> [Sealed<'_>; AT_A_TIME] {
    from_fn(|i| Sealed {
        skb,
        // CAST: These are few.
        offset: i.wrapping_mul(SEALED_LEN) as u32,
        len: LEN as u32,
        nonce: nonce(i),
        at: place(i),
    })
}

/// Returns whether there is the text of a message at a place.
fn is_text(buffer: &[u8], at: usize) -> bool {
    let text: Option<&[u8; LEN]> = buffer.get(at..).and_then(|text| text.first_chunk());
    text == Some(&[TEXT; LEN])
}

/// Opens `messages`, of which all but number `wrong` are what they must be. Returns whether this is what is found
/// out, and nothing is written behind their places.
fn finds(
    opener: &mut Opener<'_>,
    buffer: &mut [u8],
    messages: &[Sealed<'_>],
    wrong: Option<usize>,
) -> bool {
    buffer.fill(BLANK);
    let authentic = opener.open_from(buffer, messages);
    let behind = consists_of(BLANK, buffer.get(place(AT_A_TIME - 1) + SEALED_LEN..));
    let mut numbered = authentic.iter().zip(messages).enumerate();
    behind
        && numbered.all(|(i, (authentic, message))| {
            *authentic == (wrong != Some(i)) && (!*authentic || is_text(buffer, message.at))
        })
}

fn opening(own: Own) -> Option<()> {
    let mut pages = Pages::alloc(ALL, ALL)?;
    let buffer = pages.spare().get_mut(..ALL)?;
    let mut skb = packet(PACKET_LEN)?;
    let len = skb.len();
    let mut opener = Opener::new(&KEY);

    buffer.fill(BLANK);
    let none = opener.open_from(buffer, &[]) == [false; AT_A_TIME];
    own.check(
        "no message is authentic that is not there",
        none && consists_of(BLANK, Some(buffer)),
    );
    own.check("all are", finds(&mut opener, buffer, &messages(&skb), None));
    let [first, ..] = messages(&skb);
    let more: [Sealed<'_>; AT_A_TIME + 1] = from_fn(|i| match messages(&skb).get(i) {
        Some(message) => *message,
        None => Sealed {
            at: place(i),
            ..first
        },
    });
    own.check(
        "one more than are opened at a time is left",
        finds(&mut opener, buffer, &more, None),
    );

    let wrong: [fn(&mut Sealed<'_>); 11] = [
        |message| message.offset = u32::MAX,
        |message| message.offset = PACKET_LEN as u32,
        |message| message.offset = (PACKET_LEN - SEALED_LEN + 1) as u32,
        |message| message.len = u32::MAX,
        |message| message.len = u32::MAX - 8,
        |message| message.len = PACKET_LEN as u32,
        |message| message.len = LEN as u32 + 1,
        |message| message.at = usize::MAX,
        |message| message.at = usize::MAX - LEN,
        |message| message.at = ALL - SEALED_LEN + 1,
        |message| message.nonce = 9,
    ];
    let mut found = true;
    for i in 0..AT_A_TIME {
        for change in wrong {
            let mut all = messages(&skb);
            change(all.get_mut(i)?);
            found &= finds(&mut opener, buffer, &all, Some(i));
        }
    }
    own.check(
        "nor one that is elsewhere, which leaves others alone",
        found,
    );

    let same: [Sealed<'_>; AT_A_TIME] = from_fn(|i| Sealed {
        at: place(i),
        ..first
    });
    own.check(
        "one message, to all places",
        finds(&mut opener, buffer, &same, None),
    );
    let mut backwards = messages(&skb);
    backwards.reverse();
    own.check(
        "from the last place to the first",
        finds(&mut opener, buffer, &backwards, None),
    );
    let close: [Sealed<'_>; AT_A_TIME] = from_fn(|i| Sealed {
        at: place(0).wrapping_add(i.wrapping_mul(LEN)),
        ..first
    });
    own.check(
        "to where the tag before would be",
        finds(&mut opener, buffer, &close, None),
    );
    buffer.fill(BLANK);
    let authentic = opener.open_from(buffer, &[first; AT_A_TIME]) == [true; AT_A_TIME];
    let before = consists_of(BLANK, buffer.get(..place(0)));
    let behind = consists_of(BLANK, buffer.get(place(0) + SEALED_LEN..));
    own.check(
        "all to one place",
        authentic && before && behind && is_text(buffer, place(0)),
    );
    buffer.fill(BLANK);
    let (short, rest) = buffer.split_at_mut_checked(place(7) + SEALED_LEN - 1)?;
    let [others @ .., last] = opener.open_from(short, &messages(&skb));
    own.check(
        "but for one the tag of which is behind the end",
        others == [true; 7] && !last && consists_of(BLANK, Some(rest)),
    );

    let mut found = true;
    for i in 0..AT_A_TIME {
        let tag = i.wrapping_mul(SEALED_LEN).wrapping_add(LEN);
        *skb.linear_mut(len)?.get_mut(tag)? ^= 1;
        found &= finds(&mut opener, buffer, &messages(&skb), Some(i));
        *skb.linear_mut(len)?.get_mut(tag)? ^= 1;
    }
    own.check("nor one with another tag", found);
    let parts = packet(3 * SEALED_LEN + 50)?;
    own.check(
        "one that is in several parts",
        finds(&mut opener, buffer, &messages(&parts), None),
    );
    Some(())
}
