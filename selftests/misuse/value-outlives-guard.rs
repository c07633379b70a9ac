// SPDX-License-Identifier: GPL-2.0
//
// What is in a table must not be looked at after the section has ended, either.
//
// refused: E0505
// says: cannot move out of `guard` because it is borrowed

#![forbid(unsafe_code)]

use kernel::sync::Arc;
use wg_kernel::sync::rcu::{
    self,
    hash::HashTable, //
};

pub fn find(table: &HashTable<u32, Arc<u32>>, key: u32) -> u32 {
    let guard = rcu::read_lock();
    let value = table.get(&key, &guard);
    drop(guard);
    value.map_or(0, |value| **value)
}
