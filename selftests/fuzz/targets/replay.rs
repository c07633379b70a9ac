// SPDX-License-Identifier: GPL-2.0

//! The replay window, against a set of all counters.

#![no_main]

use std::collections::BTreeSet;

use wg_fuzz::{
    fuzz_target,
    Bytes, //
};
use wg_proto::replay::Window;

/// By how much a counter may be behind the highest one: the bits of the bitmap of RFC 6479 but one
/// word.
const BEHIND: u64 = 8192 - 64;

/// The first counter that no session has.
const END: u64 = u64::MAX - BEHIND - 1;

/// All counters that were accepted.
#[derive(Default)]
struct Model(BTreeSet<u64>);

impl Model {
    fn accept(&mut self, counter: u64) -> bool {
        let oldest = self
            .0
            .last()
            .map_or(0, |newest| newest.saturating_sub(BEHIND));

        counter < END && counter >= oldest && self.0.insert(counter)
    }

    /// Returns how many counters there are up to the highest one.
    fn highest(&self) -> u64 {
        self.0.last().map_or(0, |newest| newest + 1)
    }
}

/// Returns the next counter to be tried, most often one near to an edge.
fn counter(bytes: &mut Bytes<'_>, newest: u64, tried: &[u64]) -> u64 {
    match bytes.u8() % 10 {
        0 => newest.wrapping_add(1),
        1 => newest.saturating_add(bytes.u8().into()),
        2 => newest.saturating_add(bytes.u16().into()),
        3 => newest.saturating_add(bytes.number()),
        4 => newest.saturating_sub(bytes.u8().into()),
        5 => newest.saturating_sub(BEHIND - 128 + u64::from(bytes.u8())),
        6 => newest.saturating_sub(bytes.u16().into()),
        7 => bytes.number(),
        8 => END.wrapping_sub(bytes.u8().into()).wrapping_add(2),
        _ => {
            let which = bytes.below(tried.len().max(1));
            tried.get(which).copied().unwrap_or(0)
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes::new(data);
    let mut window = Window::new();
    let mut model = Model::default();
    let mut tried = Vec::new();

    while !bytes.is_empty() && tried.len() < 256 {
        let newest = model.highest().saturating_sub(1);
        let counter = counter(&mut bytes, newest, &tried);

        assert_eq!(
            window.accept(counter),
            model.accept(counter),
            "{counter} at {newest}"
        );
        assert_eq!(window.highest(), model.highest());
        tried.push(counter);
    }
    // Nothing is accepted a second time, whatever came in between.
    for counter in tried {
        assert_eq!(window.accept(counter), model.accept(counter), "{counter}");
        assert!(!window.accept(counter), "{counter}");
    }
});
