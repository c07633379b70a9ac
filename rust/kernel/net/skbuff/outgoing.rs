// SPDX-License-Identifier: GPL-2.0

//! Packets that the stack transmits through a device.

use super::{
    header::IPV4,
    SkBuff,
    SkBuffList,
    CB_WORDS, //
};
use crate::net::netdevice::Device;
use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    ffi::c_int,
    prelude::*, //
};
use wg_bindings as bindings;

/// A packet that the stack transmits through a device. It refers to that device, and to its route.
///
/// It cannot be kept for longer than the device is sure to exist. To keep its contents,
/// [detach](Self::detach) it, or [segment](Self::segment) it.
///
/// # Invariants
///
/// The invariants of [`SkBuff`] hold for what is in here, save that it has a device, which is alive for
/// `'d`, and may have a destination, and a socket of any kind, that it holds a reference to, or that is
/// alive for `'d`.
pub struct OutgoingSkBuff<'d>(SkBuff, PhantomData<&'d Device>);

impl Deref for OutgoingSkBuff<'_> {
    type Target = SkBuff;

    // A shared reference only: a mutable one would allow swapping it with a buffer that may be kept.
    #[inline]
    fn deref(&self) -> &SkBuff {
        &self.0
    }
}

impl<'d> OutgoingSkBuff<'d> {
    /// Takes over a reference to a buffer that the stack passes to `dev`.
    ///
    /// If the buffer is shared, the other owners keep it, and this is a clone. Returns [`None`], having
    /// dropped the reference, if there is no memory for a clone, or if bottom halves are not off, but
    /// all interrupts are.
    ///
    /// # Safety
    ///
    /// `skb` must be valid and on no list, and the caller own the reference. Its device must be `dev`,
    /// and its destination and its socket, if it has them, be counted, or alive for `'d`.
    #[inline]
    pub(crate) unsafe fn from_raw(skb: *mut bindings::sk_buff, dev: &'d Device) -> Option<Self> {
        // SAFETY: By the safety requirements of this function, the caller owns the reference. The
        // device is alive.
        let skb = unsafe { bindings::wg_skb_take(skb, dev.as_raw()) };
        // INVARIANT: By the safety requirements. A clone has the device and the destination of its
        // original. The links are set to null now.
        let skb = SkBuff(NonNull::new(skb)?);
        skb.unlink();
        Some(Self(skb, PhantomData))
    }

    /// Returns the control block for writing.
    #[inline]
    pub fn cb_mut(&mut self) -> &mut [u32; CB_WORDS] {
        self.0.cb_mut()
    }

    /// Returns the MTU of the packet's route, if that is known.
    #[inline]
    pub fn valid_dst_mtu(&self) -> Option<u32> {
        if self.refdst() == 0 {
            return None;
        }
        let mut mtu = 0;
        // SAFETY: By the type invariants, the buffer is valid, and so is its destination.
        unsafe { bindings::wg_skb_dst_mtu(self.as_raw(), &mut mtu) }.then_some(mtu)
    }

    /// Computes the hash of the flow that the packet belongs to, if it is not known yet.
    #[inline]
    fn flow_hash(&mut self) {
        // SAFETY: By the type invariants, the buffer is valid and not shared. Its device, from which C
        // knows the namespace, is alive.
        unsafe { bindings::skb_get_hash(self.as_raw()) };
    }

    /// Drops the route, the device, and a socket that might not last. The packet has its flow hash.
    #[inline]
    pub fn detach(mut self) -> SkBuff {
        self.flow_hash();
        let mut skb = self.0;
        skb.detach();
        skb
    }

    /// Segments the packet into packets for the wire, without routes and device.
    ///
    /// A packet that is not GSO becomes a list of one. Segments for which there is no memory are
    /// dropped, so that the list may be short or empty. The packets have their flow hash.
    ///
    /// # Errors
    ///
    /// Gives the buffer back with the reason for which it cannot be segmented.
    #[inline]
    pub fn segment(mut self) -> Result<SkBuffList, (Self, Error)> {
        if !self.is_gso() {
            return Ok(SkBuffList::from(self.detach()));
        }
        // All segments are of one flow, whose hash they inherit.
        self.flow_hash();
        // SAFETY: By the type invariants, the device is alive.
        unsafe { self.0.segment_gso() }.map_err(|(skb, error)| (Self(skb, PhantomData), error))
    }

    /// Sends an ICMP destination-unreachable message to the sender of the packet.
    ///
    /// Does nothing for other than IPv4 and IPv6 packets.
    pub fn icmp_unreachable(&mut self) {
        match self.real_protocol() {
            0 => {}
            protocol if protocol != self.protocol() => {}
            // CAST: Small constants.
            // SAFETY: By the type invariants, the buffer is valid, and its device alive. It has an IPv4
            // header. This is under RCU, or else there would be no such packet.
            IPV4 => unsafe {
                bindings::icmp_ndo_send(
                    self.as_raw(),
                    bindings::ICMP_DEST_UNREACH as c_int,
                    bindings::ICMP_HOST_UNREACH as c_int,
                )
            },
            // CAST: Small constants.
            // SAFETY: As above, with an IPv6 header.
            _ => unsafe {
                bindings::icmpv6_ndo_send(
                    self.as_raw(),
                    bindings::ICMPV6_DEST_UNREACH as u8,
                    bindings::ICMPV6_ADDR_UNREACH as u8,
                )
            },
        }
    }
}
