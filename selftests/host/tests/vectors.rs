// SPDX-License-Identifier: GPL-2.0

//! The suite that other tests rely on gives the known answers.

use wg_selftests::{
    suite::RustCrypto,
    vectors, //
};

#[test]
fn suite_gives_known_answers() {
    assert_eq!(vectors::check::<RustCrypto>(), Ok(()));
}
