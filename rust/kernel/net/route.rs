// SPDX-License-Identifier: GPL-2.0

//! Routes to the other end of a tunnel, and packets sent along them.
//!
//! C headers: [`include/net/route.h`](srctree/include/net/route.h),
//! [`include/net/ipv6.h`](srctree/include/net/ipv6.h)

mod dst_cache;

pub use dst_cache::DstCache;

use crate::{
    error,
    net::{
        netdevice::Device,
        udp_tunnel::Sender,
        SkBuff, //
    },
    sync::bh, //
};
use core::{
    mem::ManuallyDrop,
    ptr::{
        null_mut,
        NonNull, //
    }, //
};
use kernel::{
    error::from_err_ptr,
    ffi::c_int,
    prelude::*, //
};
use wg_bindings as bindings;

/// What a route over IPv4 is looked up for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow4 {
    /// Our address, all zeros for any. Looking up a route fills it in.
    pub saddr: [u8; 4],
    /// The other end's address.
    pub daddr: [u8; 4],
    /// The other end's port.
    pub dport: u16,
    /// The mark of the packets.
    pub mark: u32,
    /// The interface to send by, zero for any.
    pub oif: u32,
}

/// What a route over IPv6 is looked up for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow6 {
    /// Our address, all zeros for any. Looking up a route fills it in.
    pub saddr: [u8; 16],
    /// The other end's address.
    pub daddr: [u8; 16],
    /// The other end's port.
    pub dport: u16,
    /// The mark of the packets.
    pub mark: u32,
    /// The interface to send by, zero for any.
    pub oif: u32,
}

/// A route over IPv4, for what is sent by a [`Sender`] while its guard lives.
///
/// So it is gone before the socket is, and that before the namespace: a route must not be released
/// later. What is to be kept is kept in a [`DstCache`].
///
/// # Invariants
///
/// The pointer is valid and holds a reference. The route is in the namespace of the sender, and for `'g`
/// this is a read-side critical section of RCU.
pub struct Route4<'g>(NonNull<bindings::rtable>, Sender<'g>);

/// A route over IPv6, as [`Route4`] is one over IPv4.
///
/// # Invariants
///
/// As those of [`Route4`].
pub struct Route6<'g>(NonNull<bindings::dst_entry>, Sender<'g>);

impl Sender<'_> {
    /// Returns whether `addr` is one of our IPv4 addresses, or all zeros.
    pub fn has_addr4(&self, addr: [u8; 4]) -> bool {
        let addr = u32::from_ne_bytes(addr);
        // CAST: A small constant.
        let scope = bindings::rt_scope_t_RT_SCOPE_HOST as c_int;
        // SAFETY: The namespace is valid, and this is under RCU.
        let confirmed =
            unsafe { bindings::inet_confirm_addr(self.net(), null_mut(), 0, addr, scope) };
        confirmed != 0
    }

    /// Returns whether `addr` is one of our IPv6 addresses, or all zeros.
    pub fn has_addr6(&self, addr: [u8; 16]) -> bool {
        // SAFETY: The namespace is valid, and so is the address.
        addr == [0; 16] || unsafe { bindings::ipv6_chk_addr(self.net(), &in6_addr(addr)) }
    }
}

impl<'g> Route4<'g> {
    /// Looks up a route for what is sent by `sender`.
    ///
    /// # Errors
    ///
    /// [`ENETUNREACH`] if there is no route or `saddr` is not ours, and others from routing rules.
    pub fn lookup(sender: &Sender<'g>, flow: &mut Flow4) -> Result<Self> {
        let mut fl = bindings::flowi4 {
            saddr: u32::from_ne_bytes(flow.saddr),
            daddr: u32::from_ne_bytes(flow.daddr),
            uli: ports(sender, flow.dport),
            __fl_common: common(flow.mark),
        };
        fl.__fl_common.flowic_oif = flow.oif as i32;
        let sk = sender.as_raw();
        // SAFETY: The socket is valid, and so is the flow.
        unsafe { bindings::security_sk_classify_flow(sk, &mut fl.__fl_common) };
        // SAFETY: The namespace and the socket are valid, and so is the flow.
        let route = unsafe { bindings::ip_route_output_flow(sender.net(), &mut fl, sk) };
        let route = NonNull::new(from_err_ptr(route)?).ok_or_else(error::unreachable)?;
        // The other end's address is changed, too, if it was all zeros.
        flow.saddr = fl.saddr.to_ne_bytes();
        flow.daddr = fl.daddr.to_ne_bytes();
        // INVARIANT: The function has returned a reference. This is under RCU while the sender lives.
        Ok(Self(route, *sender))
    }

    /// Returns the destination that the route has.
    fn dst(&self) -> *mut bindings::dst_entry {
        // SAFETY: By the type invariants, the route is valid.
        unsafe { &raw mut (*self.0.as_ptr()).dst }
    }

    /// Returns the index of the interface that the route goes out by.
    pub fn oif(&self) -> u32 {
        // SAFETY: By the type invariants, the route is valid, and this is under RCU, which is what
        // the device of a route needs.
        unsafe { bindings::dst_ifindex(self.dst()) }
    }

    /// Sends `skb` in a datagram of its own, which may be fragmented, by the sender that the route is for.
    ///
    /// `flow` must be what the route was looked up for. What was sent counts for `dev`, if any.
    #[inline]
    pub fn send(self, skb: SkBuff, flow: &Flow4, ds: u8, dev: Option<&Device>, _bh: &bh::Guard) {
        let skb = skb.into_raw();
        let route = ManuallyDrop::new(self);
        // SAFETY: All pointers are valid; the references to the buffer and the route are given
        // away. Bottom halves are off, and this is under RCU.
        unsafe {
            bindings::wg_udp_tunnel_xmit(
                route.0.as_ptr(),
                route.1.as_raw(),
                skb,
                dev.map_or(null_mut(), Device::as_raw),
                flow.mark,
                u32::from_ne_bytes(flow.saddr),
                u32::from_ne_bytes(flow.daddr),
                ds,
                route.1.port_be(),
                flow.dport.to_be(),
            )
        };
    }
}

impl Drop for Route4<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, this is a reference, which nobody uses any more.
        unsafe { bindings::dst_release(self.dst()) };
    }
}

impl<'g> Route6<'g> {
    /// Looks up a route for what is sent by `sender`.
    ///
    /// # Errors
    ///
    /// [`ENETUNREACH`] and others if there is no route, [`EAFNOSUPPORT`] if there is no IPv6.
    pub fn lookup(sender: &Sender<'g>, flow: &mut Flow6) -> Result<Self> {
        let mut fl = bindings::flowi6 {
            saddr: in6_addr(flow.saddr),
            daddr: in6_addr(flow.daddr),
            uli: ports(sender, flow.dport),
            __fl_common: common(flow.mark),
            ..Default::default()
        };
        // CAST: There is no interface with a number that does not fit, and hence no route then.
        fl.__fl_common.flowic_oif = flow.oif as c_int;
        let sk = sender.as_raw();
        // SAFETY: The socket is valid, and so is the flow.
        unsafe { bindings::security_sk_classify_flow(sk, &mut fl.__fl_common) };
        // SAFETY: The namespace and the socket are valid, and so is the flow.
        let dst = unsafe { bindings::ip6_dst_lookup_flow(sender.net(), sk, &mut fl) };
        let dst = NonNull::new(from_err_ptr(dst)?).ok_or_else(error::unreachable)?;
        // SAFETY: An address is valid as bytes.
        flow.saddr = unsafe { fl.saddr.in6_u.u6_addr8 };
        // INVARIANT: The function has returned a reference. This is under RCU while the sender lives.
        Ok(Self(dst, *sender))
    }

    /// Returns the index of the interface that the route goes out by.
    pub fn oif(&self) -> u32 {
        // SAFETY: As for `Route4::oif`.
        unsafe { bindings::dst_ifindex(self.0.as_ptr()) }
    }

    /// Sends `skb` in a datagram of its own, which may be fragmented, by the sender that the route is for.
    ///
    /// `flow` must be what the route was looked up for. What was sent counts for `dev`, if any.
    #[inline]
    pub fn send(self, skb: SkBuff, flow: &Flow6, ds: u8, dev: Option<&Device>, _bh: &bh::Guard) {
        let skb = skb.into_raw();
        let route = ManuallyDrop::new(self);
        // SAFETY: All pointers are valid; the references to the buffer and the route are given
        // away. Bottom halves are off, and this is under RCU.
        unsafe {
            bindings::wg_udp_tunnel6_xmit(
                route.0.as_ptr(),
                route.1.as_raw(),
                skb,
                dev.map_or(null_mut(), Device::as_raw),
                flow.mark,
                &in6_addr(flow.saddr),
                &in6_addr(flow.daddr),
                ds,
                route.1.port_be(),
                flow.dport.to_be(),
            )
        };
    }
}

impl Drop for Route6<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, this is a reference, which nobody uses any more.
        unsafe { bindings::dst_release(self.0.as_ptr()) };
    }
}

/// Returns an address as C has it.
#[inline]
fn in6_addr(addr: [u8; 16]) -> bindings::in6_addr {
    bindings::in6_addr {
        in6_u: bindings::in6_addr__bindgen_ty_1 { u6_addr8: addr },
    }
}

/// Returns the part of a flow that does not depend on its family.
fn common(mark: u32) -> bindings::flowi_common {
    bindings::flowi_common {
        flowic_mark: mark,
        // CAST: A small constant.
        flowic_proto: bindings::IPPROTO_UDP as u8,
        ..Default::default()
    }
}

/// Returns the ports of a flow.
fn ports(sender: &Sender<'_>, dport: u16) -> bindings::flowi_uli {
    bindings::flowi_uli {
        ports: bindings::flowi_uli__bindgen_ty_1 {
            dport: dport.to_be(),
            sport: sender.port_be(),
        },
    }
}
