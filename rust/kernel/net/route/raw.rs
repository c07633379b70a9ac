// SPDX-License-Identifier: GPL-2.0

//! The operations for which C has a function of its own in each address family.

use super::Flow;
use crate::net::family::{
    Inet,
    Inet6, //
};
use core::{
    fmt::Debug,
    mem::offset_of,
    ptr::null_mut, //
};
use kernel::{
    error::from_err_ptr,
    ffi::c_int,
    prelude::*, //
};
use wg_bindings as bindings;

/// The functions and the address type of a family. Implemented by [`Inet`] and [`Inet6`] only.
pub trait Raw: Copy + Eq + Debug + Sized + 'static {
    /// An address, in network byte order.
    type Addr: Copy + Eq + Debug + Default;

    /// Returns whether `addr` is an address of the namespace, or all zeros.
    ///
    /// # Safety
    ///
    /// `net` must be valid. To be called under RCU.
    unsafe fn is_local(net: *mut bindings::net, addr: Self::Addr) -> bool;

    /// Looks up a route, fills in our address, and returns it with a reference. It may be null.
    ///
    /// # Safety
    ///
    /// `sk` must be a valid socket of the family, and `sport` its port, in network byte order.
    unsafe fn look_up(
        sk: *mut bindings::sock,
        flow: &mut Flow<Self>,
        sport: u16,
    ) -> Result<*mut bindings::dst_entry>;

    /// Returns the route that a cache has, with a reference, and fills in our address; or null.
    ///
    /// # Safety
    ///
    /// `cache` must be valid, and have been given routes of this family only. To be called with bottom
    /// halves off, for which a release of the cache must wait.
    unsafe fn cache_get(
        cache: *mut bindings::dst_cache,
        saddr: &mut Self::Addr,
    ) -> *mut bindings::dst_entry;

    /// Has a cache remember a route, and our address.
    ///
    /// # Safety
    ///
    /// As for [`Raw::cache_get`]; `dst` must be valid and of this family.
    unsafe fn cache_set(
        cache: *mut bindings::dst_cache,
        dst: *mut bindings::dst_entry,
        saddr: Self::Addr,
    );

    /// Sends a datagram along `flow`. Returns whether it was sent as it is, rather than segmented into
    /// several.
    ///
    /// # Safety
    ///
    /// `dst` must be of this family and valid, with a reference that is given away; so must `skb`. `sk`
    /// must be a valid socket of the family and of the namespace of the route, `sport` its port in network
    /// byte order, and `dev` null or valid. To be called under RCU, with bottom halves off.
    unsafe fn transmit(
        dst: *mut bindings::dst_entry,
        sk: *mut bindings::sock,
        skb: *mut bindings::sk_buff,
        dev: *mut bindings::net_device,
        flow: &Flow<Self>,
        ds: u8,
        sport: u16,
    ) -> bool;
}

impl Raw for Inet {
    type Addr = [u8; 4];

    unsafe fn is_local(net: *mut bindings::net, addr: [u8; 4]) -> bool {
        let addr = u32::from_ne_bytes(addr);
        // CAST: A small constant.
        let scope = bindings::rt_scope_t_RT_SCOPE_HOST as c_int;
        // SAFETY: By the safety requirements of this function.
        let confirmed = unsafe { bindings::inet_confirm_addr(net, null_mut(), 0, addr, scope) };
        confirmed != 0
    }

    unsafe fn look_up(
        sk: *mut bindings::sock,
        flow: &mut Flow<Self>,
        sport: u16,
    ) -> Result<*mut bindings::dst_entry> {
        let mut fl = bindings::flowi4 {
            saddr: u32::from_ne_bytes(flow.saddr),
            daddr: u32::from_ne_bytes(flow.daddr),
            uli: ports(flow.dport, sport),
            __fl_common: common(flow.mark),
        };
        fl.__fl_common.flowic_oif = flow.oif as i32;
        // SAFETY: The socket is valid by the safety requirements, and so is the flow.
        unsafe { bindings::security_sk_classify_flow(sk, &mut fl.__fl_common) };
        // SAFETY: As above.
        let net = unsafe { bindings::sock_net(sk) };
        // SAFETY: As above, and so is the namespace of the socket.
        let route = unsafe { bindings::ip_route_output_flow(net, &mut fl, sk) };
        let route = from_err_ptr(route)?;
        // The other end's address is changed, too, if it was all zeros.
        flow.saddr = fl.saddr.to_ne_bytes();
        flow.daddr = fl.daddr.to_ne_bytes();
        Ok(route.cast())
    }

    #[inline]
    unsafe fn cache_get(
        cache: *mut bindings::dst_cache,
        saddr: &mut [u8; 4],
    ) -> *mut bindings::dst_entry {
        let mut addr = 0;
        // SAFETY: By the safety requirements of this function.
        let route = unsafe { bindings::dst_cache_get_ip4(cache, &mut addr) };
        if !route.is_null() {
            *saddr = addr.to_ne_bytes();
        }
        route.cast()
    }

    unsafe fn cache_set(
        cache: *mut bindings::dst_cache,
        dst: *mut bindings::dst_entry,
        saddr: [u8; 4],
    ) {
        // SAFETY: By the safety requirements of this function.
        unsafe { bindings::dst_cache_set_ip4(cache, dst, u32::from_ne_bytes(saddr)) };
    }

    #[inline]
    unsafe fn transmit(
        dst: *mut bindings::dst_entry,
        sk: *mut bindings::sock,
        skb: *mut bindings::sk_buff,
        dev: *mut bindings::net_device,
        flow: &Flow<Self>,
        ds: u8,
        sport: u16,
    ) -> bool {
        const {
            assert!(offset_of!(bindings::rtable, dst) == 0);
        };
        // CAST: A destination of this family is the first field of its route.
        let route = dst.cast();
        let (saddr, daddr) = (flow.saddr, flow.daddr);
        // SAFETY: By the safety requirements of this function.
        unsafe {
            bindings::wg_udp_tunnel_xmit(
                route,
                sk,
                skb,
                dev,
                flow.mark,
                u32::from_ne_bytes(saddr),
                u32::from_ne_bytes(daddr),
                ds,
                sport,
                flow.dport.to_be(),
            )
        }
    }
}

impl Raw for Inet6 {
    type Addr = [u8; 16];

    unsafe fn is_local(net: *mut bindings::net, addr: [u8; 16]) -> bool {
        // SAFETY: By the safety requirements of this function; the address is valid.
        addr == [0; 16] || unsafe { bindings::ipv6_chk_addr(net, &in6_addr(addr)) }
    }

    unsafe fn look_up(
        sk: *mut bindings::sock,
        flow: &mut Flow<Self>,
        sport: u16,
    ) -> Result<*mut bindings::dst_entry> {
        let mut fl = bindings::flowi6 {
            saddr: in6_addr(flow.saddr),
            daddr: in6_addr(flow.daddr),
            uli: ports(flow.dport, sport),
            __fl_common: common(flow.mark),
            ..Default::default()
        };
        // CAST: There is no interface with a number that does not fit, and hence no route then.
        fl.__fl_common.flowic_oif = flow.oif as c_int;
        // SAFETY: The socket is valid by the safety requirements, and so is the flow.
        unsafe { bindings::security_sk_classify_flow(sk, &mut fl.__fl_common) };
        // SAFETY: As above.
        let net = unsafe { bindings::sock_net(sk) };
        // SAFETY: As above, and so is the namespace of the socket.
        let dst = unsafe { bindings::ip6_dst_lookup_flow(net, sk, &mut fl) };
        let dst = from_err_ptr(dst)?;
        flow.saddr = bytes(fl.saddr);
        Ok(dst)
    }

    #[inline]
    unsafe fn cache_get(
        cache: *mut bindings::dst_cache,
        saddr: &mut [u8; 16],
    ) -> *mut bindings::dst_entry {
        let mut addr = in6_addr([0; 16]);
        // SAFETY: By the safety requirements of this function.
        let dst = unsafe { bindings::dst_cache_get_ip6(cache, &mut addr) };
        if !dst.is_null() {
            *saddr = bytes(addr);
        }
        dst
    }

    unsafe fn cache_set(
        cache: *mut bindings::dst_cache,
        dst: *mut bindings::dst_entry,
        saddr: [u8; 16],
    ) {
        // SAFETY: By the safety requirements of this function; the address is valid.
        unsafe { bindings::dst_cache_set_ip6(cache, dst, &in6_addr(saddr)) };
    }

    #[inline]
    unsafe fn transmit(
        dst: *mut bindings::dst_entry,
        sk: *mut bindings::sock,
        skb: *mut bindings::sk_buff,
        dev: *mut bindings::net_device,
        flow: &Flow<Self>,
        ds: u8,
        sport: u16,
    ) -> bool {
        let (saddr, daddr) = (in6_addr(flow.saddr), in6_addr(flow.daddr));
        // SAFETY: By the safety requirements of this function; the addresses are valid.
        unsafe {
            bindings::wg_udp_tunnel6_xmit(
                dst,
                sk,
                skb,
                dev,
                flow.mark,
                &saddr,
                &daddr,
                ds,
                sport,
                flow.dport.to_be(),
            )
        }
    }
}

/// Returns an address in C's type.
#[inline]
fn in6_addr(addr: [u8; 16]) -> bindings::in6_addr {
    bindings::in6_addr {
        in6_u: bindings::in6_addr__bindgen_ty_1 { u6_addr8: addr },
    }
}

/// Returns the bytes of an address in C's type.
#[inline]
fn bytes(addr: bindings::in6_addr) -> [u8; 16] {
    // SAFETY: An address is valid as bytes.
    unsafe { addr.in6_u.u6_addr8 }
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

/// Returns the ports of a flow, of which ours is in network byte order.
fn ports(dport: u16, sport: u16) -> bindings::flowi_uli {
    bindings::flowi_uli {
        ports: bindings::flowi_uli__bindgen_ty_1 {
            dport: dport.to_be(),
            sport,
        },
    }
}
