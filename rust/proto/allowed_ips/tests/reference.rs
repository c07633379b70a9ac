// SPDX-License-Identifier: GPL-2.0

//! The cases that the C driver tests itself with (selftest/allowedips.c), as tables.

use super::*;

/// Who the peers are: a letter each, as a number.
const fn peer(name: char) -> u32 {
    name as u32
}

/// Asserts which peer each address belongs to; a space stands for none.
fn check(table: &TestTable, expected: &[(Addr, char)]) {
    for (addr, name) in expected {
        let found = table.lookup(addr).copied().and_then(char::from_u32);

        assert_eq!(found.unwrap_or(' '), *name, "{addr:?}");
    }
}

fn insert(table: &mut TestTable, entries: &[(Prefix, char)]) {
    for (prefix, name) in entries {
        *table = table.insert(*prefix, peer(*name)).unwrap();
    }
}

/// Removes all prefixes of a peer.
fn remove_all(table: &mut TestTable, name: char) {
    for (prefix, value) in prefixes(table) {
        if value == peer(name) {
            *table = table.remove(&prefix).unwrap().unwrap();
        }
    }
}

fn a4(a: u8, b: u8, c: u8, d: u8) -> Addr {
    Addr::V4([a, b, c, d])
}

fn a6(a: u32, b: u32, c: u32, d: u32) -> Addr {
    Addr::V6(ip6([a, b, c, d]))
}

fn p6(a: u32, b: u32, c: u32, d: u32, len: u8) -> Prefix {
    v6([a, b, c, d], len)
}

fn table() -> TestTable {
    let mut table = Table::new();

    insert(
        &mut table,
        &[
            (v4(192, 168, 4, 0, 24), 'a'),
            (v4(192, 168, 4, 4, 32), 'b'),
            (v4(192, 168, 0, 0, 16), 'c'),
            (v4(192, 95, 5, 64, 27), 'd'),
            // The same one, host bits aside.
            (v4(192, 95, 5, 65, 27), 'c'),
            (p6(0x26075300, 0x60006b00, 0, 0xc05f0543, 128), 'd'),
            (p6(0x26075300, 0x60006b00, 0, 0, 64), 'c'),
            (v4(0, 0, 0, 0, 0), 'e'),
            (p6(0, 0, 0, 0, 0), 'e'),
            (p6(0, 0, 0, 0, 0), 'f'),
            (p6(0x24046800, 0, 0, 0, 32), 'g'),
            (p6(0x24046800, 0x40040800, 0xdeadbeef, 0xdeadbeef, 64), 'h'),
            (p6(0x24046800, 0x40040800, 0xdeadbeef, 0xdeadbeef, 128), 'a'),
            (p6(0x24446800, 0x40e40800, 0xdeaebeef, 0xdefbeef, 128), 'c'),
            (p6(0x24446800, 0xf0e40800, 0xeeaebeef, 0, 98), 'b'),
            (v4(64, 15, 112, 0, 20), 'g'),
            (v4(64, 15, 123, 211, 25), 'h'),
            (v4(10, 0, 0, 0, 25), 'a'),
            (v4(10, 0, 0, 128, 25), 'b'),
            (v4(10, 1, 0, 0, 30), 'a'),
            (v4(10, 1, 0, 4, 30), 'b'),
            (v4(10, 1, 0, 8, 29), 'c'),
            (v4(10, 1, 0, 16, 29), 'd'),
        ],
    );
    table
}

#[test]
fn longest_prefix_wins() {
    check(
        &table(),
        &[
            (a4(192, 168, 4, 20), 'a'),
            (a4(192, 168, 4, 0), 'a'),
            (a4(192, 168, 4, 4), 'b'),
            (a4(192, 168, 200, 182), 'c'),
            (a4(192, 95, 5, 68), 'c'),
            (a4(192, 95, 5, 96), 'e'),
            (a6(0x26075300, 0x60006b00, 0, 0xc05f0543), 'd'),
            (a6(0x26075300, 0x60006b00, 0, 0xc02e01ee), 'c'),
            (a6(0x26075300, 0x60006b01, 0, 0), 'f'),
            (a6(0x24046800, 0x40040806, 0, 0x1006), 'g'),
            (a6(0x24046800, 0x40040806, 0x1234, 0x5678), 'g'),
            (a6(0x240467ff, 0x40040806, 0x1234, 0x5678), 'f'),
            (a6(0x24046801, 0x40040806, 0x1234, 0x5678), 'f'),
            (a6(0x24046800, 0x40040800, 0x1234, 0x5678), 'h'),
            (a6(0x24046800, 0x40040800, 0, 0), 'h'),
            (a6(0x24046800, 0x40040800, 0x10101010, 0x10101010), 'h'),
            (a6(0x24046800, 0x40040800, 0xdeadbeef, 0xdeadbeef), 'a'),
            (a4(64, 15, 116, 26), 'g'),
            (a4(64, 15, 127, 3), 'g'),
            (a4(64, 15, 123, 1), 'g'),
            (a4(64, 15, 123, 128), 'h'),
            (a4(64, 15, 123, 129), 'h'),
            (a4(10, 0, 0, 52), 'a'),
            (a4(10, 0, 0, 220), 'b'),
            (a4(10, 1, 0, 2), 'a'),
            (a4(10, 1, 0, 6), 'b'),
            (a4(10, 1, 0, 10), 'c'),
            (a4(10, 1, 0, 20), 'd'),
        ],
    );
}

#[test]
fn removal_of_a_peer_uncovers_others() {
    let firsts = [1, 64, 128, 192, 255];
    let mut table = table();

    insert(
        &mut table,
        &firsts.map(|first| (v4(first, 0, 0, 0, 32), 'a')),
    );
    check(&table, &firsts.map(|first| (a4(first, 0, 0, 0), 'a')));
    remove_all(&mut table, 'a');
    check(&table, &firsts.map(|first| (a4(first, 0, 0, 0), 'e')));
    check(
        &table,
        &[
            (a4(192, 168, 4, 20), 'c'),
            (a4(192, 168, 4, 4), 'b'),
            (a4(10, 0, 0, 52), 'e'),
        ],
    );
}

#[test]
fn removal_is_exact() {
    let one = [0x24446801, 0x40e40800, 0xdeaebeef, 0xdefbeef];
    let two = [0x24446800, 0xf0e40800, 0xeeaebeef, 0];
    let mut table = TestTable::new();

    insert(
        &mut table,
        &[
            (v4(1, 0, 0, 0, 32), 'a'),
            (v4(192, 0, 0, 0, 24), 'a'),
            (v6(one, 128), 'a'),
            (v6(two, 98), 'a'),
        ],
    );
    for absent in [v4(192, 0, 0, 0, 32), v4(192, 0, 0, 0, 23), v6(one, 96)] {
        assert!(matches!(table.remove(&absent), Ok(None)));
        assert_eq!(table.get(&absent), None);
    }
    check(
        &table,
        &[
            (a4(192, 0, 0, 1), 'a'),
            (Addr::V6(ip6(one)), 'a'),
            (a6(0x24446800, 0xf0e40800, 0xeeaebeef, 0x10101010), 'a'),
        ],
    );
    for present in [
        v4(192, 0, 0, 0, 24),
        v4(1, 0, 0, 0, 32),
        v6(one, 128),
        v6(two, 98),
    ] {
        assert_eq!(table.get(&present), Some(&peer('a')));
        table = table.remove(&present).unwrap().unwrap();
        check(&table, &[(present.addr, ' ')]);
        assert!(matches!(table.remove(&present), Ok(None)));
    }
    assert!(prefixes(&table).is_empty());
}

#[test]
fn removal_of_nested_prefixes_leaves_nothing() {
    let mut table = TestTable::new();

    insert(
        &mut table,
        &[(v4(192, 168, 0, 0, 16), 'a'), (v4(192, 168, 0, 0, 24), 'a')],
    );
    remove_all(&mut table, 'a');
    check(&table, &[(a4(192, 168, 0, 1), ' ')]);
    assert!(prefixes(&table).is_empty());
}

#[test]
fn deep_trees_are_dropped() {
    let mut table = TestTable::new();

    for i in 0..64 {
        let part = u128::from(u64::MAX << i);
        let high = u128::from(u64::MAX) << 64;

        for addr in [high | part, part << 64] {
            let prefix = Prefix::new(Addr::V6(addr.to_be_bytes()), 128).unwrap();
            insert(&mut table, &[(prefix, 'a')]);
        }
    }
    insert(&mut table, &[(p6(0, 0, 0, 0, 128), 'a')]);
    assert_eq!(prefixes(&table).len(), 129);
    drop(table);
    assert_eq!(LIVE.get(), 0);
}

#[test]
fn prefixes_come_back_masked() {
    let mut table = TestTable::new();

    insert(
        &mut table,
        &[
            (v4(192, 95, 5, 93, 27), 'a'),
            (p6(0x26075300, 0x60006b00, 0, 0xc05f0543, 128), 'a'),
            (v4(10, 1, 0, 20, 29), 'a'),
            (p6(0x26075300, 0x6d8a6bf8, 0xdab1f1df, 0xc05f1523, 83), 'a'),
            (p6(0x26075300, 0x6d8a6bf8, 0xdab1f1df, 0xc05f1523, 21), 'a'),
        ],
    );

    let found: Vec<_> = prefixes(&table)
        .into_iter()
        .map(|(prefix, _)| prefix)
        .collect();
    let expected = [
        (a4(10, 1, 0, 16), 29),
        (a4(192, 95, 5, 64), 27),
        (a6(0x26075000, 0, 0, 0), 21),
        (a6(0x26075300, 0x60006b00, 0, 0xc05f0543), 128),
        (a6(0x26075300, 0x6d8a6bf8, 0xdab1e000, 0), 83),
    ];
    assert_eq!(found, expected.map(|(addr, len)| Prefix { addr, len }));
}
