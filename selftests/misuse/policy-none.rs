// SPDX-License-Identifier: GPL-2.0
//
// The attributes of an operation without a policy would be taken as they are.
//
// refused: E0080
// says: there is no policy

#![forbid(unsafe_code)]

use kernel::prelude::*;
use wg_kernel::net::{
    genetlink::{
        Do,
        Operation,
        Request, //
    },
    netlink::Policy, //
};

struct Nothing;

impl Do for Nothing {
    const COMMAND: u8 = 0;
    const POLICY: &'static [Policy] = &[];

    fn doit(_: &mut Request<'_>) -> Result {
        Ok(())
    }
}

pub const OPERATION: Operation = Operation::doit::<Nothing>();
