// SPDX-License-Identifier: GPL-2.0
//
// A module is in use as long as those live that were begun.
//
// refused: E0423
// says: cannot initialize a tuple struct which contains private fields

#![forbid(unsafe_code)]

use wg_kernel::module::Use;

pub fn forge() -> Use {
    Use(())
}
