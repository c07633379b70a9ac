// SPDX-License-Identifier: GPL-2.0

//! How long a message takes, next to the kernel's own assembly if that was compiled in: `selftests/aead/bench`.

#[cfg(kernel)]
mod library;

use std::time::Instant;
use wg_aead::{
    available,
    reference,
    Message,
    Scratch,
    LANES,
    REAL,
    TAG_LEN, //
};

/// Messages in a batch: what 64 KB of TCP become.
const BATCH: usize = 48;

/// Room before and behind messages.
const ROOM: usize = 64;

/// Rounds, in which all take turns.
const ROUNDS: usize = 41;

const KEY: [u8; 32] = [0x42; 32];

type Seal = Box<dyn Fn(&mut [Message])>;

/// Encrypts sets of so many messages.
fn sets(size: usize) -> Seal {
    Box::new(move |messages| {
        let mut scratch = Scratch::new();
        for set in messages.chunks(size) {
            // SAFETY: The messages are valid, and the processor was asked.
            unsafe { REAL.seal(set, &mut *scratch) };
        }
    })
}

#[cfg(kernel)]
fn library(library: library::Library, one_pass: bool) -> Seal {
    Box::new(move |messages| {
        for message in messages {
            let (data, len, nonce) = (message.dst, message.len, message.nonce);
            // SAFETY: There is as much room, and the processor was asked.
            unsafe {
                match one_pass {
                    true => library.seal_in_one_pass(data, len, nonce, &KEY),
                    false => library.seal(data, len, nonce, &KEY),
                }
            }
        }
    })
}

fn ways() -> Vec<(&'static str, Seal)> {
    #[allow(unused_mut)]
    let mut ways = vec![
        ("8 at a time", sets(LANES)),
        ("sets of 4", sets(4)),
        ("sets of 2", sets(2)),
        ("sets of 1", sets(1)),
    ];
    #[cfg(kernel)]
    ways.extend([
        ("library, AVX-512", library(library::AVX512, false)),
        ("library, AVX2", library(library::AVX2, false)),
        ("one pass, AVX-512", library(library::AVX512, true)),
        ("one pass, AVX2", library(library::AVX2, true)),
    ]);
    ways
}

fn main() {
    if !available("bench") {
        return;
    }
    let ways = ways();

    print!("{:>6}", "bytes");
    for (name, _) in &ways {
        print!(" {name:>18}");
    }
    println!(
        "\n{:>6}  nanoseconds a message: median (minimum); batches of {BATCH}",
        ""
    );
    for len in [64, 128, 256, 512, 1024, 1360, 1420] {
        let stride = (len + TAG_LEN + 2 * ROOM).next_multiple_of(16);
        let mut place = vec![0u8; BATCH * stride];
        let mut messages: Vec<_> = (0..BATCH)
            .map(|i| {
                let data = place[i * stride + ROOM..].as_mut_ptr();
                Message {
                    src: data,
                    dst: data,
                    len,
                    nonce: i as u64,
                    key: &KEY,
                }
            })
            .collect();

        let wanted: Vec<_> = (0..BATCH)
            .map(|i| reference(&KEY, i as u64, &vec![0; len]))
            .collect();
        for (name, seal) in &ways {
            for message in &messages {
                // SAFETY: The place is ours.
                unsafe { message.dst.write_bytes(0, len) };
            }
            seal(&mut messages);
            for (message, wanted) in messages.iter().zip(&wanted) {
                // SAFETY: As above.
                let found = unsafe { std::slice::from_raw_parts(message.dst, len + TAG_LEN) };
                assert!(found == &wanted[..], "{name}: wrong");
            }
        }

        let turns = 1 + 10_000 / (len + 200);
        let mut times = vec![Vec::new(); ways.len()];
        for _ in 0..ROUNDS {
            for ((_, seal), times) in ways.iter().zip(&mut times) {
                seal(&mut messages);
                let start = Instant::now();
                for _ in 0..turns {
                    seal(&mut messages);
                }
                times.push(start.elapsed().as_secs_f64() * 1e9 / (turns * BATCH) as f64);
            }
        }
        print!("{len:>6}");
        for times in &mut times {
            times.sort_by(f64::total_cmp);
            let cell = format!("{:.0} ({:.0})", times[ROUNDS / 2], times[0]);
            print!(" {cell:>18}");
        }
        println!();
        if let [ours, _, _, _, library, ..] = &times[..] {
            print!("{:>6}  of library, AVX-512, by medians:", "");
            println!(" {:.2}", ours[ROUNDS / 2] / library[ROUNDS / 2]);
        }
    }
}
