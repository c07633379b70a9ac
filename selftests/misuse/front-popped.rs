// SPDX-License-Identifier: GPL-2.0
//
// Nor is a packet that is looked at taken out of its list, and freed.
//
// refused: E0502
// says: cannot borrow `*list` as mutable because it is also borrowed as immutable

#![forbid(unsafe_code)]

use wg_kernel::net::skbuff::SkBuffList;

pub fn first(list: &mut SkBuffList) -> Option<u32> {
    let first = list.front()?;
    drop(list.pop_front());
    Some(first.len())
}
