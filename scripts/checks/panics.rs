// SPDX-License-Identifier: GPL-2.0
//
// What can panic, in some of the ways that there are: objects.sh compiles it as the driver, and
// has to find each function of core that is named here.
//
// refers: core::panicking::panic_bounds_check
// refers: core::panicking::panic_const::panic_const_add_overflow
// refers: core::panicking::panic_const::panic_const_div_by_zero
// refers: core::panicking::panic_fmt
// refers: core::option::unwrap_failed
// refers: core::option::expect_failed
// refers: core::result::unwrap_failed
// refers: core::slice::index::slice_start_index_len_fail
// refers: core::str::slice_error_fail
// refers: copy_from_slice
// refers: core::cell::panic_already_borrowed

#![forbid(unsafe_code)]

use core::cell::RefCell;

pub fn index(bytes: &[u8], at: usize) -> u8 {
    bytes[at]
}

pub fn add(one: u32, other: u32) -> u32 {
    one + other
}

pub fn divide(one: u32, other: u32) -> u32 {
    one / other
}

pub fn say(what: u32) {
    panic!("{what}");
}

pub fn unwrap(one: Option<u32>) -> u32 {
    one.unwrap()
}

pub fn expect(one: Option<u32>) -> u32 {
    one.expect("one")
}

pub fn unwrap_result(one: Result<u32, u32>) -> u32 {
    one.unwrap()
}

pub fn tail(bytes: &[u8], from: usize) -> &[u8] {
    &bytes[from..]
}

pub fn text(text: &str, from: usize) -> &str {
    &text[from..]
}

pub fn copy(to: &mut [u8], from: &[u8]) {
    to.copy_from_slice(from);
}

pub fn borrow(cell: &RefCell<u32>) {
    *cell.borrow_mut() = 1;
}
