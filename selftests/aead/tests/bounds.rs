// SPDX-License-Identifier: GPL-2.0

//! No memory is accessed but the messages, their keys and the scratch memory.

use wg_aead::{
    available,
    planted,
    reference,
    survives,
    Code,
    Guarded,
    Message,
    Random,
    Scratch,
    LANES,
    REAL,
    TAG_LEN, //
};

/// The longest message.
const MAX_LEN: usize = 2200;

/// Memory for a batch, each part between guards.
struct Places {
    from: Vec<Guarded>,
    to: Vec<Guarded>,
    keys: Vec<Guarded>,
    messages: Guarded,
    scratch: Guarded,
}

impl Places {
    fn new() -> Self {
        let some = || {
            (0..LANES)
                .map(|_| Guarded::new(MAX_LEN + TAG_LEN))
                .collect()
        };

        Self {
            from: some(),
            to: some(),
            keys: some(),
            messages: Guarded::new(LANES * size_of::<Message>()),
            scratch: Guarded::new(Scratch::LEN),
        }
    }
}

/// Copies bytes to a place.
fn put(place: *mut u8, bytes: &[u8]) -> *mut u8 {
    // SAFETY: There is as much room.
    unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    place
}

/// Decrypts and encrypts messages that end, or begin, where the memory does; returns whether that is right.
fn exchange(code: &Code, places: &Places, texts: &[Vec<u8>], at_end: bool, in_place: bool) -> bool {
    let key = [0x77; 32];
    let n = texts.len();
    let place = |guarded: &Guarded, len| {
        if at_end {
            guarded.last(len)
        } else {
            guarded.first()
        }
    };
    let sealed: Vec<_> = (0..n)
        .map(|lane| reference(&key, lane as u64, &texts[lane]))
        .collect();
    let scratch = places.scratch.last(Scratch::LEN).cast::<Scratch>();

    for open in [false, true] {
        let mut list = Vec::new();

        for lane in 0..n {
            let len = texts[lane].len();
            let longest = len + TAG_LEN;
            let (src_len, dst_len) = match (in_place, open) {
                (true, _) => (longest, longest),
                (false, false) => (len, longest),
                (false, true) => (longest, len),
            };
            let src = place(&places.from[lane], src_len);
            put(src, if open { &sealed[lane] } else { &texts[lane] });
            list.push(Message {
                src,
                dst: if in_place {
                    src
                } else {
                    place(&places.to[lane], dst_len)
                },
                len,
                nonce: lane as u64,
                key: put(places.keys[lane].last(32), &key).cast(),
            });
        }

        let there = places
            .messages
            .last(size_of_val(&list[..]))
            .cast::<Message>();
        // SAFETY: There is as much room, and both are apart.
        unsafe { there.copy_from_nonoverlapping(list.as_ptr(), n) };
        // SAFETY: They are there now.
        let messages = unsafe { core::slice::from_raw_parts(there, n) };

        if open {
            // SAFETY: The messages are valid, and the processor was asked.
            let authentic = unsafe { code.open(messages, scratch) };
            if authentic != (1 << n) - 1 {
                return false;
            }
        } else {
            // SAFETY: As above.
            unsafe { code.seal(messages, scratch) };
        }
        for lane in 0..n {
            let wanted = if open { &texts[lane] } else { &sealed[lane] };
            // SAFETY: As many bytes are there.
            let found = unsafe { core::slice::from_raw_parts(list[lane].dst, wanted.len()) };
            if found != &wanted[..] {
                return false;
            }
        }
    }
    true
}

/// Whether lengths, the same of all messages or not, of any number of messages, keep within bounds.
fn within_bounds(code: &Code, step: usize) -> bool {
    let mut random = Random::new(30);
    let places = Places::new();

    survives(move || {
        (0..=MAX_LEN).step_by(step).all(|len| {
            let n = 1 + len % LANES;
            let equal: Vec<_> = (0..n).map(|_| random.bytes(len)).collect();
            let mixed: Vec<_> = (0..n)
                .map(|_| random.below(len + 1))
                .map(|len| vec![1; len])
                .collect();

            [equal, mixed].iter().all(|texts| {
                exchange(code, &places, texts, true, true)
                    && exchange(code, &places, texts, true, false)
                    && exchange(code, &places, texts, false, true)
            })
        })
    })
}

#[test]
fn bounds() {
    if available("bounds") {
        assert!(within_bounds(&REAL, 1));
    }
}

/// What this would not notice.
#[test]
fn faults_are_noticed() {
    if !available("faults_are_noticed") {
        return;
    }
    for name in ["read_past", "write_past", "dummies"] {
        assert!(!within_bounds(&planted(name), 7), "{name}");
    }
}
