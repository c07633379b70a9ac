// SPDX-License-Identifier: GPL-2.0
//
// Nor is one exchanged for another, which would then be filled after it was sent.
//
// refused: E0521
// says: borrowed data escapes outside of closure

#![forbid(unsafe_code)]

use core::mem::swap;
use kernel::prelude::*;
use wg_kernel::net::genetlink::Request;

pub fn answer(request: &Request<'_>) -> Result {
    request.reply(1, |outer| {
        request.reply(2, |inner| {
            swap(inner, outer);
            Ok(())
        })
    })
}
