// SPDX-License-Identifier: GPL-2.0

//! Comparison with a list that is searched from one end to the other.

use proptest::prelude::*;

use super::*;

/// A table that nobody can doubt.
#[derive(Default)]
struct Naive(Vec<(Prefix, u32)>);

impl Naive {
    fn insert(&mut self, prefix: Prefix, value: u32) {
        self.remove(&prefix);
        self.0.push((prefix, value));
    }

    fn remove(&mut self, prefix: &Prefix) -> bool {
        let before = self.0.len();

        self.0.retain(|(other, _)| other != prefix);
        self.0.len() < before
    }

    fn lookup(&self, addr: Addr) -> Option<&u32> {
        self.lookup_where(addr, |_| true)
    }

    fn lookup_where(&self, addr: Addr, wanted: impl Fn(&u32) -> bool) -> Option<&u32> {
        let matching = self.0.iter().filter(|(prefix, value)| {
            Prefix::new(addr, prefix.len) == Some(*prefix) && wanted(value)
        });

        matching
            .max_by_key(|(prefix, _)| prefix.len)
            .map(|(_, value)| value)
    }

    /// Returns the prefixes in the order of the tree.
    fn sorted(&self) -> Vec<(Prefix, u32)> {
        let mut sorted = self.0.clone();

        sorted.sort_by_key(|(prefix, _)| match prefix.addr {
            Addr::V4(addr) => (0, u128::from(u32::from_be_bytes(addr)), prefix.len),
            Addr::V6(addr) => (1, u128::from_be_bytes(addr), prefix.len),
        });
        sorted
    }
}

/// Addresses that often have long prefixes in common: few bits are set, or few are not.
fn addr() -> impl Strategy<Value = Addr> {
    let bits = prop_oneof![
        2 => proptest::collection::vec(0..128u32, 0..4)
            .prop_map(|bits| bits.into_iter().fold(0, |addr, bit| addr | 1 << bit)),
        1 => any::<u128>(),
    ];

    (bits, any::<bool>(), any::<bool>()).prop_map(|(bits, invert, v6)| {
        let bits: u128 = if invert { !bits } else { bits };

        if v6 {
            Addr::V6(bits.to_be_bytes())
        } else {
            Addr::V4(((bits >> 96) as u32).to_be_bytes())
        }
    })
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (addr(), 0..=128u8).prop_map(|(addr, len)| {
        Prefix::new(addr, len).unwrap_or_else(|| Prefix::new(addr, len % 33).unwrap())
    })
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Prefix, u32),
    /// Gives a prefix that is there to another.
    Move(usize, u32),
    Remove(Prefix),
    /// Removes a prefix that is there.
    RemoveOld(usize),
    /// Removes all prefixes of one peer.
    RemoveAll(u32),
    /// Goes back to a table that was kept.
    Return(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (prefix(), 0..8u32).prop_map(|(prefix, value)| Step::Insert(prefix, value)),
        2 => (any::<usize>(), 0..8u32).prop_map(|(n, value)| Step::Move(n, value)),
        1 => prefix().prop_map(Step::Remove),
        4 => any::<usize>().prop_map(Step::RemoveOld),
        1 => (0..8u32).prop_map(Step::RemoveAll),
        1 => any::<usize>().prop_map(Step::Return),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn agrees_with_a_list(
        steps in proptest::collection::vec(step(), 1..80),
        addrs in proptest::collection::vec(addr(), 20),
        fail_at in proptest::collection::vec(0..12usize, 80),
    ) {
        let mut table = TestTable::new();
        let mut naive = Naive::default();
        let mut kept = Vec::new();

        for (step, budget) in steps.into_iter().zip(fail_at) {
            let nth = |n: usize| naive.0.get(n % (naive.0.len() + 1)).map(|(prefix, _)| *prefix);
            let step = match step {
                Step::Move(n, value) => nth(n).map(|prefix| Step::Insert(prefix, value)),
                Step::RemoveOld(n) => nth(n).map(Step::Remove),
                other => Some(other),
            };

            // It may fail at any allocation, and is then done again.
            match step {
                Some(Step::Insert(prefix, value)) => {
                    BUDGET.set(budget);
                    let result = table.insert(prefix, value);
                    BUDGET.set(usize::MAX);

                    prop_assert_eq!(prefixes(&table), naive.sorted());
                    table = result.or_else(|_| table.insert(prefix, value)).unwrap();
                    naive.insert(prefix, value);
                    prop_assert_eq!(table.get(&prefix), Some(&value));
                }
                Some(Step::Remove(prefix)) => {
                    BUDGET.set(budget);
                    let result = table.remove(&prefix);
                    BUDGET.set(usize::MAX);

                    prop_assert_eq!(prefixes(&table), naive.sorted());
                    let result = result.or_else(|_| table.remove(&prefix)).unwrap();
                    prop_assert_eq!(result.is_some(), naive.remove(&prefix));
                    table = result.unwrap_or(table);
                    prop_assert_eq!(table.get(&prefix), None);
                }
                Some(Step::RemoveAll(value)) => {
                    for (prefix, _) in naive.sorted().iter().filter(|entry| entry.1 == value) {
                        table = table.remove(prefix).unwrap().unwrap();
                        naive.remove(prefix);
                    }
                }
                Some(Step::Return(n)) => {
                    kept.push((table.clone(), naive.sorted()));
                    let (old, sorted) = &kept[n % kept.len()];

                    prop_assert_eq!(&prefixes(old), sorted);
                    table = old.clone();
                    naive.0.clone_from(sorted);
                }
                Some(Step::Move(..) | Step::RemoveOld(..)) | None => {}
            }
            prop_assert_eq!(prefixes(&table), naive.sorted());
        }

        let ends = naive.sorted().into_iter().flat_map(|(prefix, _)| match prefix.addr {
            Addr::V4(addr) => {
                let last = u32::from_be_bytes(addr)
                    | u32::MAX.checked_shr(prefix.len.into()).unwrap_or(0);
                [prefix.addr, Addr::V4(last.to_be_bytes())]
            }
            Addr::V6(addr) => {
                let last = u128::from_be_bytes(addr)
                    | u128::MAX.checked_shr(prefix.len.into()).unwrap_or(0);
                [prefix.addr, Addr::V6(last.to_be_bytes())]
            }
        });
        for addr in addrs.into_iter().chain(ends) {
            prop_assert_eq!(table.lookup(&addr), naive.lookup(addr), "{:?}", addr);
            for modulus in 1..4 {
                let wanted = |value: &u32| value % modulus == 0;

                prop_assert_eq!(
                    table.lookup_where(&addr, wanted),
                    naive.lookup_where(addr, wanted),
                    "{:?}",
                    addr
                );
            }
        }
        for (table, sorted) in &kept {
            prop_assert_eq!(&prefixes(table), sorted);
        }

        kept.clear();
        for (prefix, _) in naive.0 {
            table = table.remove(&prefix).unwrap().unwrap();
        }
        prop_assert!(prefixes(&table).is_empty());
        prop_assert_eq!(LIVE.get(), 0);
    }
}
