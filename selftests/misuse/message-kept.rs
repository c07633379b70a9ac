// SPDX-License-Identifier: GPL-2.0
//
// A message is filled before it is sent, and not when it is the receiver's.
//
// refused: E0521
// says: borrowed data escapes outside of closure

#![forbid(unsafe_code)]

use kernel::prelude::*;
use wg_kernel::net::genetlink::Request;

pub fn answer(request: &Request<'_>) -> Result {
    let mut kept = None;
    request.reply(1, |message| {
        kept = Some(message);
        Ok(())
    })?;
    kept.map_or(Ok(()), |message| message.put_u8(1, 1))
}
