// SPDX-License-Identifier: GPL-2.0

//! The operations that a driver implements for a kind of devices.

use super::{
    Device,
    Link,
    LinkOps,
    Name,
    Setup, //
};
use crate::{
    net::{
        namespace::Net,
        napi::Napi,
        rtnetlink,
        skbuff::OutgoingSkBuff, //
    },
    sync::bh::Softirq, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The operations that a driver implements for a kind of devices.
///
/// Callbacks that get a [`rtnetlink::Guard`] are called with RTNL held and may sleep.
#[vtable]
pub trait Operations: Sized + Send + Sync + 'static {
    /// The name of the kind, as in `ip link add type …`.
    const KIND: &'static CStr;

    /// Private data, shared by everything that belongs to a device.
    ///
    /// It should contain the [`Link`].
    type Data: Send + Sync + 'static;

    /// Returns a `static`, by which devices of this kind are recognised.
    fn link_ops() -> &'static LinkOps<Self>;

    /// Sets up a device that was just allocated.
    ///
    /// User space may override some settings after this, such as the MTU.
    fn setup(setup: &mut Setup<'_>);

    /// Makes the private data of a device.
    ///
    /// `net` is the namespace of the task that creates the device, or the link-netns that it requested.
    /// The device itself may be in another.
    ///
    /// If the device cannot be registered after all, the data is dropped.
    fn new_link(link: Link, net: &Net, name: Name) -> Result<Arc<Self::Data>>;

    /// Called when the device has been registered.
    fn registered(_data: &Arc<Self::Data>, _rtnl: &rtnetlink::Guard) {}

    /// Called to bring the device up.
    fn open(data: &Arc<Self::Data>, dev: &Device, rtnl: &rtnetlink::Guard) -> Result;

    /// Called to bring the device down.
    fn stop(data: &Arc<Self::Data>, dev: &Device, rtnl: &rtnetlink::Guard);

    /// Sends a packet.
    ///
    /// May be called on several CPUs at once. An error is for information only: the packet is
    /// consumed in any case.
    fn start_xmit(
        data: &Arc<Self::Data>,
        dev: &Device,
        skb: OutgoingSkBuff<'_>,
        softirq: Softirq<'_>,
    ) -> Result;

    /// Receives packets for an instance, and returns how much of the budget was used.
    ///
    /// If that is less than the whole budget, the instance is not polled until it is scheduled again.
    ///
    /// Only one CPU at a time polls an instance, but not always the CPU of that number.
    fn poll(data: &Arc<Self::Data>, instance: usize, napi: &Napi<'_>, budget: usize) -> usize;

    /// Called while the device is being unregistered, if [`Operations::registered`] was.
    ///
    /// The device has been stopped. The [`Link`] leads nowhere, and NAPI instances are not polled
    /// anymore.
    fn unregistered(_data: &Arc<Self::Data>, _rtnl: &rtnetlink::Guard) {}

    /// Called in process context when the machine is about to sleep, or to be copied to an image: processes
    /// are frozen, and so are the workqueues that are [`Freezable`](crate::workqueue::Flag::Freezable).
    ///
    /// Called once for each device, and maybe for several of them at once; never where suspending is a part of
    /// normal operation, as [`PmNotifier::prepare`](crate::notifier::PmNotifier::prepare). No memory is
    /// to be had.
    fn freeze() {}

    /// Called for each device when that is over, or has failed, before anything is thawed.
    fn thaw() {}

    /// Called when the device is gone: in process context, without RTNL, and once for each device
    /// that was ever visible.
    ///
    /// The driver is not called for this device after this.
    fn destruct(data: Arc<Self::Data>);
}
