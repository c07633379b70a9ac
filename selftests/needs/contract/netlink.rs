// SPDX-License-Identifier: GPL-2.0

//! A family of generic netlink that has what the driver's does not: a command with two operations, answers
//! other than dumps, and a multicast group.

use crate::{
    check,
    fails_with, //
};
use kernel::prelude::*;
use wg_kernel::{
    net::{
        genetlink::{
            Descriptor,
            Do,
            Dump,
            DumpMessage,
            Family,
            Group,
            Operation,
            Progress,
            Registration,
            Request, //
        },
        namespace::{
            Net,
            NetRef, //
        },
        netdevice::Device,
        netlink::Policy, //
    },
    sync::rcu, //
};

/// The command that is answered by the number in it, or by a dump of all numbers below that.
const NUMBER: u8 = 1;

/// The command that is answered by more than fits.
const TOO_MUCH: u8 = 2;

/// A number.
const A_NUMBER: u16 = 2;

/// The group of those who hear of each number.
const NUMBERS: usize = 1;

static POLICY: [Policy; A_NUMBER as usize + 1] = Policy::table([(A_NUMBER, Policy::U32)]);

static DESCRIPTOR: Descriptor<Contract> = Descriptor::new();

/// The family.
pub(crate) struct Contract;

impl Family for Contract {
    const NAME: &'static CStr = c"contract";
    const VERSION: u8 = 1;
    const OPERATIONS: &'static [Operation] = &[
        Operation::doit::<Number>(),
        Operation::dump::<Numbers>(),
        Operation::doit::<TooMuch>(),
    ];
    const GROUPS: &'static [Group] = &[Group::new(c"nothing"), Group::new(c"numbers")];

    fn descriptor() -> &'static Descriptor<Self> {
        &DESCRIPTOR
    }
}

/// Returns the number that a request is about.
fn number(request: &Request<'_>) -> Result<u32> {
    let bytes = request.attr(A_NUMBER).ok_or(EINVAL)?;
    let bytes = bytes.first_chunk().ok_or(EINVAL)?;
    Ok(u32::from_ne_bytes(*bytes))
}

struct Number;

impl Do for Number {
    const COMMAND: u8 = NUMBER;
    const POLICY: &'static [Policy] = &POLICY;

    fn doit(request: &mut Request<'_>) -> Result {
        let number = number(request)?;
        let net = NetRef::new(request.net()).ok_or(ENODEV)?;
        DESCRIPTOR.notify::<NUMBERS>(&net, NUMBER, |message| message.put_u32(A_NUMBER, number))?;
        request.reply(NUMBER, |message| message.put_u32(A_NUMBER, number))
    }
}

/// How far a dump has come.
struct Numbers {
    next: u32,
    end: u32,
}

impl Dump for Numbers {
    const COMMAND: u8 = NUMBER;
    const POLICY: &'static [Policy] = &POLICY;

    fn start(request: &Request<'_>) -> Result<Self> {
        Ok(Self {
            next: 0,
            end: number(request)?,
        })
    }

    fn fill(&mut self, message: &mut DumpMessage<'_>) -> Result<Progress> {
        if self.next == self.end {
            return Ok(Progress::Done);
        }
        message.begin(NUMBER, 0)?.put_u32(A_NUMBER, self.next)?;
        if message.begin(NUMBER, 0).is_ok() {
            return Err(EEXIST);
        }
        self.next = self.next.wrapping_add(1);
        Ok(Progress::More)
    }
}

struct TooMuch;

impl Do for TooMuch {
    const COMMAND: u8 = TOO_MUCH;
    const POLICY: &'static [Policy] = &POLICY;

    fn doit(request: &mut Request<'_>) -> Result {
        request.reply(TOO_MUCH, |message| loop {
            message.put(A_NUMBER, &[0; 1024])?;
        })
    }
}

/// Tells the group, in the namespace of the device, that this has sent something.
pub(crate) fn sent(dev: &Device, rcu: &rcu::Guard) -> Result {
    let net = NetRef::new(dev.net(rcu)).ok_or(ENODEV)?;
    DESCRIPTOR.notify::<NUMBERS>(&net, NUMBER, |message| {
        message.put_u32(A_NUMBER, dev.ifindex())
    })
}

/// A family can be registered once.
pub(crate) fn again(module: &'static ThisModule) {
    let again = Registration::<Contract>::new(module);
    check("no family twice", fails_with(again, EBUSY));
}

/// When the family is gone, so are those who are in its groups.
pub(crate) fn gone(net: &Net) {
    let Some(net) = NetRef::new(net) else {
        return;
    };
    let result = DESCRIPTOR.notify::<NUMBERS>(&net, NUMBER, |_| Ok(()));
    check(
        "no notification without a family",
        fails_with(result, ENODEV),
    );
}
