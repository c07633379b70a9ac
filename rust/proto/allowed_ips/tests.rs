// SPDX-License-Identifier: GPL-2.0

use std::{
    cell::Cell,
    sync::Arc,
    vec::Vec, //
};

use super::*;

mod random;
mod reference;

std::thread_local! {
    /// Nodes that exist.
    static LIVE: Cell<usize> = const { Cell::new(0) };
    /// Nodes that may still be made.
    static BUDGET: Cell<usize> = const { Cell::new(usize::MAX) };
    /// Trees that were dropped by dropping a pointer to their root.
    static DIRECT: Cell<usize> = const { Cell::new(0) };
}

/// Pointers of the standard library, counted, and with memory that can run out.
pub(super) struct Counted;

/// Pointer of [`Counted`]; empty only while it is dropped.
pub(super) struct Ptr<T>(Option<Arc<Alive<T>>>);

/// A value that is counted.
struct Alive<T>(T);

impl<T> Drop for Alive<T> {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
    }
}

impl<T> Clone for Ptr<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Ptr<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.as_ref().unwrap().0
    }
}

impl<T> Drop for Ptr<T> {
    fn drop(&mut self) {
        if let Some(last) = self.0.take().and_then(Arc::into_inner) {
            DIRECT.set(DIRECT.get() + 1);
            drop(last);
        }
    }
}

impl Family for Counted {
    type Ptr<T> = Ptr<T>;

    fn new<T>(value: T) -> Result<Self::Ptr<T>, OutOfMemory> {
        BUDGET.set(BUDGET.get().checked_sub(1).ok_or(OutOfMemory)?);
        LIVE.set(LIVE.get() + 1);
        Ok(Ptr(Some(Arc::new(Alive(value)))))
    }

    fn drop_last<T: Unpin, R>(mut ptr: Self::Ptr<T>, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut last = ptr.0.take().and_then(Arc::into_inner)?;

        Some(f(&mut last.0))
    }
}

type TestTable = Table<Counted, u32>;

/// Returns the prefixes of a table, in order, having asserted that it is sound.
fn prefixes(table: &TestTable) -> Vec<(Prefix, u32)> {
    let mut prefixes = Vec::new();
    let mut nodes = 0;

    table.v4.check(&mut |key, len, value| {
        nodes += 1;
        if let Some(value) = value {
            let addr = Addr::V4(key.to_be_bytes());
            prefixes.push((Prefix::new(addr, len as u8).unwrap(), *value));
        }
    });
    table.v6.check(&mut |key, len, value| {
        nodes += 1;
        if let Some(value) = value {
            let addr = Addr::V6(key.to_be_bytes());
            prefixes.push((Prefix::new(addr, len as u8).unwrap(), *value));
        }
    });

    // Nothing is left if there are none.
    assert!(nodes <= (2 * prefixes.len()).saturating_sub(1));
    prefixes
}

fn v4(a: u8, b: u8, c: u8, d: u8, len: u8) -> Prefix {
    Prefix::new(Addr::V4([a, b, c, d]), len).unwrap()
}

fn v6(words: [u32; 4], len: u8) -> Prefix {
    Prefix::new(Addr::V6(ip6(words)), len).unwrap()
}

fn ip6(words: [u32; 4]) -> [u8; 16] {
    let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();

    bytes.try_into().unwrap()
}

/// Returns the prefixes of an IPv6 address of zeros, from the shortest to the longest.
fn nested() -> impl DoubleEndedIterator<Item = Prefix> {
    (0..=128).map(|len| v6([0; 4], len))
}

fn build(prefixes: impl IntoIterator<Item = Prefix>) -> TestTable {
    prefixes
        .into_iter()
        .zip(0..)
        .fold(Table::new(), |table, (prefix, i)| {
            table.insert(prefix, i).unwrap()
        })
}

#[test]
fn prefixes_are_masked() {
    assert_eq!(v4(10, 1, 2, 3, 0), v4(0, 0, 0, 0, 0));
    assert_eq!(v4(10, 1, 2, 255, 25), v4(10, 1, 2, 128, 25));
    assert_ne!(v4(10, 1, 2, 255, 32), v4(10, 1, 2, 254, 32));
    assert_eq!(v4(10, 1, 2, 255, 31).addr, Addr::V4([10, 1, 2, 254]));
    for len in 0..=128 {
        let ones = |n: u32| u32::MAX.checked_shl(32 - n).unwrap_or(0);
        let words =
            core::array::from_fn(|i| ones(u32::from(len).saturating_sub(32 * i as u32).min(32)));

        assert_eq!(v6([u32::MAX; 4], len).addr, Addr::V6(ip6(words)), "{len}");
    }
}

#[test]
fn prefixes_are_not_longer_than_addresses() {
    assert!(Prefix::new(Addr::V4([0; 4]), 33).is_none());
    assert!(Prefix::new(Addr::V4([0; 4]), 255).is_none());
    assert!(Prefix::new(Addr::V6([0; 16]), 129).is_none());
}

#[test]
fn is_robust_against_prefixes_made_by_hand() {
    let addr = Addr::V4([10, 1, 2, 3]);
    let table = build([Prefix { addr, len: 8 }]);

    assert_eq!(prefixes(&table), [(v4(10, 0, 0, 0, 8), 0)]);
    assert_eq!(table.get(&Prefix { addr, len: 33 }), None);
    assert!(matches!(table.remove(&Prefix { addr, len: 33 }), Ok(None)));

    let table = build([Prefix { addr, len: 255 }]);

    assert_eq!(prefixes(&table), [(v4(10, 1, 2, 3, 32), 0)]);
}

#[test]
fn starts_empty() {
    let table = TestTable::default();

    assert!(prefixes(&table).is_empty());
    assert_eq!(table.lookup(&Addr::V4([0; 4])), None);
    assert_eq!(table.lookup(&Addr::V6([0; 16])), None);
    assert_eq!(table.get(&v4(0, 0, 0, 0, 0)), None);
    assert!(matches!(table.remove(&v4(0, 0, 0, 0, 0)), Ok(None)));
    assert!(matches!(table.remove(&v6([0; 4], 0)), Ok(None)));
}

#[test]
fn keeps_old_tables_as_they_were() {
    let one = build([v4(10, 0, 0, 0, 8), v4(10, 1, 0, 0, 16), v6([1; 4], 64)]);
    let before = prefixes(&one);
    let two = one.insert(v4(10, 1, 1, 0, 24), 9).unwrap();
    let three = two.insert(v4(10, 1, 0, 0, 16), 8).unwrap();
    let four = three.remove(&v4(10, 0, 0, 0, 8)).unwrap().unwrap();
    let ip = Addr::V4([10, 1, 1, 1]);

    assert_eq!(prefixes(&one), before);
    assert_eq!(one.lookup(&ip), Some(&1));
    assert_eq!(two.lookup(&ip), Some(&9));
    assert_eq!(three.get(&v4(10, 1, 0, 0, 16)), Some(&8));
    assert_eq!(three.lookup(&Addr::V4([10, 0, 0, 0])), Some(&0));
    assert_eq!(four.lookup(&Addr::V4([10, 0, 0, 0])), None);
    assert_eq!(prefixes(&four).len(), 3);
    drop((one, three, two));
    assert_eq!(four.lookup(&ip), Some(&9));
    drop(four);
    assert_eq!(LIVE.get(), 0);
}

#[test]
fn leaves_no_node_without_need() {
    let mut table = build([v4(10, 0, 0, 0, 9), v4(10, 128, 0, 0, 9)]);

    // The two and where they part.
    assert_eq!(LIVE.get(), 3);
    table = table.remove(&v4(10, 0, 0, 0, 9)).unwrap().unwrap();
    assert_eq!(LIVE.get(), 1);
    table = table.insert(v4(10, 0, 0, 0, 8), 5).unwrap();
    table = table.insert(v4(10, 0, 0, 0, 9), 6).unwrap();
    assert_eq!(LIVE.get(), 3);
    // It still is where the two part.
    table = table.remove(&v4(10, 0, 0, 0, 8)).unwrap().unwrap();
    assert_eq!(LIVE.get(), 3);
    assert_eq!(table.get(&v4(10, 0, 0, 0, 8)), None);
    table = table.remove(&v4(10, 128, 0, 0, 9)).unwrap().unwrap();
    assert_eq!(LIVE.get(), 1);
    table = table.remove(&v4(10, 0, 0, 0, 9)).unwrap().unwrap();
    assert_eq!(LIVE.get(), 0);
    assert!(prefixes(&table).is_empty());
}

#[test]
fn failure_at_any_step_changes_nothing() {
    let table = build(nested().chain([v4(10, 0, 0, 0, 8), v4(11, 0, 0, 0, 8)]));
    let live = LIVE.get();
    let before = prefixes(&table);
    // What to insert or remove, and how many nodes that takes.
    let steps = [
        (v6([0; 4], 128), true, 129),
        (v6([0; 4], 128), false, 128),
        (v6([0; 4], 0), true, 1),
        (v6([0; 4], 0), false, 0),
        (v6([1 << 31, 0, 0, 0], 1), true, 2),
        (v6([0, 0, 0, 1], 128), true, 129),
        (v4(12, 0, 0, 0, 8), true, 2),
        (v4(10, 1, 0, 0, 16), true, 3),
        (v4(10, 0, 0, 0, 7), true, 1),
        (v4(10, 0, 0, 0, 8), false, 0),
        (v4(10, 0, 0, 0, 7), false, 0),
        (v4(10, 0, 0, 0, 9), false, 0),
    ];

    for (prefix, insert, nodes) in steps {
        for budget in 0..=nodes {
            BUDGET.set(budget);
            let result = if insert {
                table.insert(prefix, 1000).map(Some)
            } else {
                table.remove(&prefix)
            };
            BUDGET.set(usize::MAX);

            assert_eq!(result.is_ok(), budget == nodes, "{prefix:?} {budget}");
            drop(result);
            assert_eq!(LIVE.get(), live);
            assert_eq!(prefixes(&table), before);
        }
    }
}

#[test]
fn is_dismantled_with_pauses() {
    let many = (0..4000u32).map(|i| Prefix::new(Addr::V4(i.to_be_bytes()), 32).unwrap());
    let table = build(many.chain(nested()));
    let shared = table.insert(v4(0, 0, 0, 7, 32), 9999).unwrap();
    let before = prefixes(&shared);
    let mut pauses = 0;
    let live = LIVE.get();

    table.dismantle(|| pauses += 1);
    // Only what led to the one prefix.
    assert!((1..32).contains(&(live - LIVE.get())));
    assert_eq!(pauses, 0);
    assert_eq!(prefixes(&shared), before);

    let live = LIVE.get();
    let mut gone = 0;

    shared.dismantle(|| {
        let now = live - LIVE.get();

        assert!((1..=1024).contains(&(now - gone)), "{gone} {now}");
        gone = now;
        pauses += 1;
    });
    assert_eq!(LIVE.get(), 0);
    assert!(pauses >= 7, "{pauses}");
    TestTable::new().dismantle(|| unreachable!());
}

#[test]
fn drops_on_a_small_stack() {
    // A branch at each depth, so that as much as possible waits for being dropped, if the rest is
    // on the side that is looked at first.
    let side = |invert: u128| {
        (0..=128u8).flat_map(move |len| {
            let bit = 1u128.checked_shl(128 - u32::from(len)).unwrap_or(0);

            [0, bit].map(|addr| Prefix::new(Addr::V6((addr ^ invert).to_be_bytes()), len).unwrap())
        })
    };
    let tables = || {
        [
            build(nested()),
            build(nested().rev()),
            build(side(0)),
            build(side(u128::MAX)),
        ]
    };
    let both = tables().map(|table| (table, false));

    for (table, dismantle) in both.into_iter().chain(tables().map(|table| (table, true))) {
        // As small as it can be, which is not enough for a call at each depth.
        let thread = std::thread::Builder::new().stack_size(16 * 1024);
        let mut nodes = 0;

        table.v6.check(&mut |_, _, _| nodes += 1);
        std::thread::scope(|scope| {
            let dropped = thread.spawn_scoped(scope, move || {
                LIVE.set(nodes);
                if dismantle {
                    table.dismantle(|| ());
                } else {
                    drop(table);
                }
                (LIVE.get(), DIRECT.get())
            });
            let direct = if dismantle { 0 } else { 1 };
            assert_eq!(dropped.unwrap().join().unwrap(), (0, direct));
        });
    }
}
