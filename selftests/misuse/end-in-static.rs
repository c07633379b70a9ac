// SPDX-License-Identifier: GPL-2.0
//
// The end of a module is a part of its own value: nothing would drop what is kept elsewhere.
//
// refused: E0308
// says: expected `End`, found

#![forbid(unsafe_code)]

use kernel::sync::SetOnce;
use wg_kernel::module::End;

static KEPT: SetOnce<End> = SetOnce::new();

pub fn keep() -> bool {
    KEPT.populate(End::new())
}
