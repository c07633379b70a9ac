// SPDX-License-Identifier: GPL-2.0

//! A hash table that grows while it is read and changed.

use super::{
    check_both,
    rcu::Thing, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use wg_kernel::sync::rcu::{
    self,
    hash::HashTable, //
};

type Table = HashTable<u32, Thing>;

/// Keys up to this are in the table once it has grown. The hash is the first byte: 0 and this share a chain
/// until then.
const LAST: u32 = 16;

/// The key that makes the table grow, when all others are there.
const NEW: u32 = 15;

/// With as many keys, it has grown twice.
const TWICE: u32 = 66;

/// Creates a table of these keys. The number of each entry is its key.
fn table(keys: impl IntoIterator<Item = u32>) -> Arc<Table> {
    let table = Arc::pin_init(Table::new(), GFP_KERNEL).expect("memory");
    for key in keys {
        assert_eq!(table.insert(key, Thing::value(key)), Ok(()));
    }
    table
}

/// Creates a table that is full.
fn full() -> Arc<Table> {
    table((0..=LAST).filter(|key| *key != NEW))
}

/// Returns what makes the table grow.
fn grower(table: &Arc<Table>) -> impl FnOnce() + 'static {
    let table = table.clone();
    move || assert_eq!(table.insert(NEW, Thing::value(NEW)), Ok(()))
}

fn number(table: &Table, key: u32) -> Option<u32> {
    let guard = rcu::read_lock();
    let thing = table.get(&key, &guard)?;
    let number = thing.number();
    // Later, but in the same section.
    assert_eq!(thing.number(), number);
    Some(number)
}

/// A reader finds what is there before, while and after the table grows, and what was inserted once it has
/// seen it.
#[test]
fn entries_are_found_while_the_table_grows() {
    check_both(0, |pair| {
        let table = full();
        let other = {
            let table = table.clone();
            move || {
                let new = number(&table, NEW);
                assert!(matches!(new, None | Some(NEW)));
                assert_eq!(number(&table, 0), Some(0));
                assert!(new.is_none() || number(&table, NEW) == new);
            }
        };
        pair.run(grower(&table), other);
        assert!((0..=LAST).all(|key| number(&table, key) == Some(key)));
    });
}

/// Entries are removed while the table grows, and others stay.
#[test]
fn entries_are_removed_while_the_table_grows() {
    check_both(0, |pair| {
        let table = full();
        let other = {
            let table = table.clone();
            move || {
                assert!(table.remove(&0, |_| true));
                assert_eq!(number(&table, 0), None);
            }
        };
        pair.run(grower(&table), other);
        assert_eq!(number(&table, 0), None);
        assert!((1..=LAST).all(|key| number(&table, key) == Some(key)));
        assert!(!table.remove(&0, |_| true));
    });
}

/// Entries are replaced while the table grows.
#[test]
fn entries_are_replaced_while_the_table_grows() {
    check_both(0, |pair| {
        let table = full();
        let other = {
            let table = table.clone();
            move || {
                let new = Table::reserve(0, Thing::value(100)).expect("memory");
                assert!(table.replace(new, |thing| thing.number() == 0));
                assert_eq!(number(&table, 0), Some(100));
            }
        };
        pair.run(grower(&table), other);
        assert_eq!(number(&table, 0), Some(100));
        assert!((1..=LAST).all(|key| number(&table, key) == Some(key)));
    });
}

/// A key is always found while its entry is replaced, and what is behind it in the chain while it is removed.
#[test]
fn entries_are_found_while_others_change() {
    check_both(1, |pair| {
        // One chain: 32, 16, 0.
        let table = table([0, 16, 32]);
        let reader = {
            let table = table.clone();
            move || {
                assert!(matches!(number(&table, 16), Some(16 | 100)));
                assert_eq!(number(&table, 0), Some(0));
            }
        };
        let writer = {
            let table = table.clone();
            move || {
                let new = Table::reserve(16, Thing::value(100)).expect("memory");
                assert!(table.replace(new, |_| true));
                assert!(table.remove(&32, |_| true));
            }
        };
        pair.run(reader, writer);
        assert_eq!(number(&table, 16), Some(100));
    });
}

/// An entry that is found is complete.
#[test]
fn entries_are_found_once_they_are_inserted() {
    check_both(2, |pair| {
        let table = table([0]);
        let [reader, writer] = [(); 2].map(|()| table.clone());
        pair.run(
            move || assert!(matches!(number(&reader, LAST), None | Some(LAST))),
            move || assert_eq!(writer.insert(LAST, Thing::value(LAST)), Ok(())),
        );
        assert_eq!(number(&table, LAST), Some(LAST));
    });
}

/// A reader that is slow finds what is there although the table grows twice meanwhile: the second time, the
/// links are written that it follows.
#[test]
fn entries_are_found_while_the_table_grows_twice() {
    check_both(0, |pair| {
        let table = full();
        let [reader, writer] = [(); 2].map(|()| table.clone());
        pair.run(
            move || assert_eq!(number(&reader, 0), Some(0)),
            move || {
                for key in (LAST..TWICE).map(|key| if key == LAST { NEW } else { key }) {
                    assert_eq!(writer.insert(key, Thing::value(key)), Ok(()));
                }
            },
        );
        assert!((0..TWICE).all(|key| number(&table, key) == Some(key)));
    });
}
