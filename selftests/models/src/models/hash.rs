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

/// Keys below this are in the table; the first byte is the hash, so each is the only one of its chain
/// while there are 16 of these, save that 16 and 0 share one.
const FULL: u32 = 16;

/// Creates a table with so many entries. The number of each is its key.
fn table(count: u32) -> Arc<Table> {
    let table = Arc::pin_init(Table::new(), GFP_KERNEL).expect("memory");
    for key in 0..count {
        assert_eq!(table.insert(key, Thing::value(key)), Ok(()));
    }
    table
}

/// Returns what makes the table grow.
fn grower(table: &Arc<Table>) -> impl FnOnce() + 'static {
    let table = table.clone();
    move || assert_eq!(table.insert(FULL, Thing::value(FULL)), Ok(()))
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
        let table = table(FULL);
        let other = {
            let table = table.clone();
            move || {
                let new = number(&table, FULL);
                assert!(matches!(new, None | Some(FULL)));
                assert_eq!(number(&table, 0), Some(0));
                assert!(new.is_none() || number(&table, FULL) == new);
            }
        };
        pair.run(grower(&table), other);
        assert!((0..=FULL).all(|key| number(&table, key) == Some(key)));
    });
}

/// Entries are removed while the table grows, and others stay.
#[test]
fn entries_are_removed_while_the_table_grows() {
    check_both(0, |pair| {
        let table = table(FULL);
        let other = {
            let table = table.clone();
            move || {
                assert!(table.remove(&0, |_| true));
                assert_eq!(number(&table, 0), None);
            }
        };
        pair.run(grower(&table), other);
        assert_eq!(number(&table, 0), None);
        assert!((1..=FULL).all(|key| number(&table, key) == Some(key)));
        assert!(!table.remove(&0, |_| true));
    });
}

/// Entries are replaced while the table grows.
#[test]
fn entries_are_replaced_while_the_table_grows() {
    check_both(0, |pair| {
        let table = table(FULL);
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
        assert!((1..=FULL).all(|key| number(&table, key) == Some(key)));
    });
}

/// A key is always found while its entry is replaced, and what is behind it in the chain while it is removed.
#[test]
fn entries_are_found_while_others_change() {
    check_both(1, |pair| {
        let table = table(1);
        // The same chain: 1, 16, 0.
        assert_eq!(table.insert(16, Thing::value(16)), Ok(()));
        assert_eq!(table.insert(32, Thing::value(32)), Ok(()));
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
