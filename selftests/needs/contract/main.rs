// SPDX-License-Identifier: GPL-2.0

//! A driver that breaks the rules of `wg_kernel` which are checked at run time.
//!
//! As the driver of WireGuard, it is on top of `wg_kernel` and may not be unsafe. What it does wrong
//! must fail, and it writes to the kernel's log which of it did: `contract: ok WHAT` or
//! `contract: not ok WHAT`. What the compiler refuses is in `selftests/misuse`.

#![forbid(unsafe_code)]

mod device;
mod messages;
mod netlink;
mod packets;
mod sleeping;
mod wheel;

use crate::device::Contract;
use kernel::{
    prelude::*,
    InPlaceModule, //
};
use wg_kernel::{
    compat::param,
    module::End,
    net::{
        genetlink,
        namespace::{
            Net,
            PernetOperations,
            PernetRegistration, //
        },
        netdevice,
        rtnetlink, //
    },
    notifier::{
        PmNotifier,
        PmRegistration, //
    },
    rcu_object,
    sync::rcu::{
        Borrow,
        RcuArc,
        Release,
        Slot, //
    },
    time,
    timer::{
        Expire,
        Timers, //
    },
    workqueue::{
        Flag,
        OwnedQueue, //
    }, //
};

module! {
    type: Module,
    name: "contract",
    authors: ["The rust-wireguard authors"],
    description: "Breaks the rules of wg_kernel",
    license: "GPL v2",
    params: {
        keep: u8 {
            default: 0,
            description: "How many seconds an object is kept, during which the module is not unloaded",
        },
        sleep: u8 {
            default: 0,
            description: "Whether functions that sleep are called where one must not",
        },
        wheel: u8 {
            default: 0,
            description: "Whether timers are watched for some seconds, during which the module is not unloaded",
        },
    },
}

/// Says in the log whether something is as it must be.
pub(crate) fn check(what: &str, holds: bool) {
    match holds {
        true => pr_info!("ok {what}\n"),
        false => pr_info!("not ok {what}\n"),
    }
}

/// An object with a timer.
#[pin_data]
struct Object {
    #[pin]
    timers: Timers<Object, 1>,
}

/// What is left when the module is to be unloaded.
static KEPT: Slot<Object> = Slot::empty();

rcu_object!(Object, timers: timers);
impl Release for Object {}

impl Expire<1> for Object {
    fn expired(_this: Borrow<'_, Self>, _timer: usize) {
        let kept = KEPT.swap(None);
        check("a timer expires", kept.is_some());
    }
}

impl Object {
    fn new() -> Result<RcuArc<Self>> {
        RcuArc::pin_init(try_pin_init!(Self { timers <- Timers::new() }), GFP_KERNEL)
    }
}

/// An object that has nothing.
pub(crate) struct Plain;

rcu_object!(Plain);
impl Release for Plain {}

/// What is told of suspend.
struct Sleeper;

impl PmNotifier for Sleeper {
    fn prepare() {}
    fn finish() {}
}

impl PernetOperations for Sleeper {
    fn exit_rtnl(net: &Net, _rtnl: &rtnetlink::Guard) {
        netlink::gone(net);
    }
}

pub(crate) fn queue() -> Result<OwnedQueue> {
    OwnedQueue::new(c"contract", c"", Flag::Unbound.into(), 0)
}

pub(crate) fn fails_with<T>(result: Result<T>, error: Error) -> bool {
    result.err() == Some(error)
}

/// What cannot be made before there is an end, or in the wrong place.
fn without_end(module: &'static ThisModule) {
    check("no object", fails_with(Object::new(), ENODEV));
    check("no queue", fails_with(queue(), ENODEV));
    let notifier = PmRegistration::<Sleeper>::new();
    check("no notifier", fails_with(notifier, ENODEV));
    let operations = PernetRegistration::<Sleeper>::new();
    check(
        "no operations of namespaces",
        fails_with(operations, ENODEV),
    );
    let kind = netdevice::Registration::<Contract>::new();
    check("no kind of devices", fails_with(kind, ENODEV));
    let family = genetlink::Registration::<netlink::Contract>::new(module);
    check("no family", fails_with(family, ENODEV));
    check(
        "no end on the heap",
        fails_with(KBox::pin_init(End::new(), GFP_KERNEL), EINVAL),
    );
}

/// Timers that nobody shuts down.
fn without_owner() -> Result {
    let timers = KBox::pin_init(Timers::<Object, 1>::new(), GFP_KERNEL)?;
    timers.arm(0, 1);
    check(
        "timers without an object are not armed",
        !timers.is_pending(0),
    );
    // If they were, this would expire in memory that is somebody else's.
    drop(timers);

    let object = Object::new()?;
    object.timers.arm(0, 100 * time::HZ);
    check("timers of an object are", object.timers.is_pending(0));
    object.timers.arm(1, 1);
    check(
        "those that it does not have are not",
        !object.timers.is_pending(1),
    );
    Ok(())
}

/// An object that is dropped by nothing but its own timer.
fn keep(seconds: u8) -> Result {
    let object = Object::new()?;
    object
        .timers
        .arm(0, time::HZ.saturating_mul(seconds.into()));
    drop(KEPT.swap(Some(object)));
    Ok(())
}

/// All that is registered, in the order in which it has to go.
#[pin_data]
struct Module {
    _family: genetlink::Registration<netlink::Contract>,
    _kind: netdevice::Registration<Contract>,
    _operations: PernetRegistration<Sleeper>,
    #[pin]
    _end: End,
}

impl InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _: { without_end(module) },
            _end <- End::new(),
            _operations: PernetRegistration::new()?,
            _kind: netdevice::Registration::new()?,
            _family: genetlink::Registration::new(module)?,
            _: {
                netlink::again(module);
                without_owner()?;
                packets::lengths();
                messages::all();
                if param(module_parameters::sleep.value()) != 0 {
                    sleeping::all()?;
                }
                if param(module_parameters::wheel.value()) != 0 {
                    wheel::begin()?;
                }
                match param(module_parameters::keep.value()) {
                    0 => (),
                    seconds => keep(seconds)?,
                }
            },
        }? Error)
    }
}
