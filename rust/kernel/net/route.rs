// SPDX-License-Identifier: GPL-2.0

//! Routes to the other end of a tunnel, and packets sent along them.
//!
//! C headers: [`include/net/route.h`](srctree/include/net/route.h),
//! [`include/net/ipv6.h`](srctree/include/net/ipv6.h)

mod dst_cache;
pub(super) mod raw;

pub use dst_cache::DstCache;

use crate::{
    compat::errors::ENETUNREACH,
    net::{
        family::Family,
        netdevice::Device,
        udp_tunnel::Sender,
        SkBuff, //
    },
    sync::{
        bh,
        rcu, //
    }, //
};
use core::{
    mem::ManuallyDrop,
    ptr::{
        null_mut,
        NonNull, //
    }, //
};
use kernel::prelude::*;
use raw::Raw;
use wg_bindings as bindings;

/// The flow that a route is looked up for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow<F: Raw> {
    /// Our address, all zeros for any. A route lookup fills it in.
    pub saddr: F::Addr,
    /// The other end's address.
    pub daddr: F::Addr,
    /// The other end's port.
    pub dport: u16,
    /// The mark of the packets.
    pub mark: u32,
    /// The interface to send by, zero for any.
    pub oif: u32,
}

/// A route for packets that are sent by a [`Sender`], while its guard lives.
///
/// So it is released before the socket is closed, and that happens before the namespace ends: a route
/// must not be released later. To keep a route, put it in a [`DstCache`].
///
/// # Invariants
///
/// `dst` is valid, of family `F`, in the namespace of the sender, and a reference to it is held. For `'g`
/// this is a read-side critical section of RCU.
pub struct Route<'g, F: Family> {
    dst: NonNull<bindings::dst_entry>,
    sender: Sender<'g, F>,
}

impl<F: Family> Sender<'_, F> {
    /// Returns whether `addr` is one of our addresses, or all zeros.
    pub fn has_addr(&self, addr: F::Addr) -> bool {
        // SAFETY: The namespace is valid, and this is under RCU.
        unsafe { F::is_local(self.net(), addr) }
    }
}

impl<'g, F: Family> Route<'g, F> {
    /// Looks up a route for packets that are sent by `sender`.
    ///
    /// # Errors
    ///
    /// [`ENETUNREACH`] if there is no route or, for IPv4, `saddr` is not ours; [`EAFNOSUPPORT`] if there is
    /// no IPv6; and others, also from routing rules.
    pub fn lookup(sender: &Sender<'g, F>, flow: &mut Flow<F>) -> Result<Self> {
        // SAFETY: The socket is valid and of this family, by the sender's invariants, and this is its port.
        let dst = unsafe { F::look_up(sender.as_raw(), flow, sender.port_be()) }?;
        // INVARIANT: The function has returned a reference. This is under RCU while the sender lives.
        Ok(Self {
            dst: NonNull::new(dst).ok_or(ENETUNREACH)?,
            sender: *sender,
        })
    }

    /// Returns the index of the interface that the route goes out by.
    pub fn oif(&self) -> u32 {
        // The sender's section is enough, but not all that lockdep checks knows of bottom halves.
        let _rcu = rcu::read_lock();
        // SAFETY: By the type invariants, the route is valid, and this is under RCU.
        let dev = unsafe { bindings::dst_dev_rcu(self.dst.as_ptr()) };
        // SAFETY: A route has a device, which is there for as long as this is under RCU.
        unsafe { Device::from_raw(dev) }.ifindex()
    }

    /// Sends `skb` in a datagram of its own, which may be fragmented, by the sender that the route is for.
    ///
    /// `flow` must be the flow that the route was looked up for. `dev`, if any, gets the statistics.
    ///
    /// Returns whether it was sent as it is: the datagrams of a
    /// [UDP GSO packet](super::skbuff::NewSkBuff::set_udp_gso) are sent one by one where the difference
    /// would be visible on the way.
    #[inline]
    pub fn send(
        self,
        skb: SkBuff,
        flow: &Flow<F>,
        ds: u8,
        dev: Option<&Device>,
        _bh: &bh::Guard,
    ) -> bool {
        let route = ManuallyDrop::new(self);
        let sender = &route.sender;
        let dev = dev.map_or(null_mut(), Device::as_raw);
        // SAFETY: All pointers are valid, of the same family and namespace; the references to the buffer
        // and the route are given away. Bottom halves are off, and this is under RCU.
        unsafe {
            F::transmit(
                route.dst.as_ptr(),
                sender.as_raw(),
                skb.into_raw(),
                dev,
                flow,
                ds,
                sender.port_be(),
            )
        }
    }
}

impl<F: Family> Drop for Route<'_, F> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, this is a reference, which is not used any more.
        unsafe { bindings::dst_release(self.dst.as_ptr()) };
    }
}
