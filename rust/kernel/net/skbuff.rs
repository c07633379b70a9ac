// SPDX-License-Identifier: GPL-2.0

//! Socket buffers: packets.
//!
//! An [`SkBuff`] is one packet and an [`SkBuffList`] many; both own what they hold, so that a packet
//! that was handed on cannot be looked at any more, and one that is dropped is freed.
//!
//! No pointer into a packet's data is kept across calls: each method starts from the buffer, which
//! may have been reallocated by the one before. What methods hand out borrows the packet.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

mod data;
mod gso;
mod header;
mod list;
mod outer;
mod pages;

pub use gso::Gso;
pub use header::{
    IPV4,
    IPV6, //
};
pub use list::{
    Iter,
    SkBuffList, //
};
pub use outer::{
    Local,
    Outer, //
};
pub use pages::{
    Pages,
    MAX_PAGES_LEN, //
};

use crate::{
    net::netdevice::Device,
    num::u32_as_usize, //
};
use core::{
    mem::ManuallyDrop,
    ptr::{
        null,
        null_mut,
        NonNull, //
    }, //
};
use kernel::{
    error::from_err_ptr,
    prelude::*, //
};
use wg_bindings as bindings;

/// The fields of a buffer that are copied when it is cloned.
type Headers = bindings::sk_buff__bindgen_ty_4__bindgen_ty_2;

/// Number of words in [`SkBuff::cb`].
pub const CB_WORDS: usize = 12;

/// Number of bytes in [`SkBuff::cb`].
const CB_LEN: usize = size_of::<[u32; CB_WORDS]>();

/// The most that `csum_level` can be: so many checksums besides the first are known to be right.
const MAX_CSUM_LEVEL: u8 = 3;

/// An owned socket buffer.
///
/// # Invariants
///
/// - The pointer is that of a valid `sk_buff`.
/// - This value holds the only reference to it. (Its data may be shared with clones of it.)
/// - It is on no list, and both its links are null.
/// - Its destination, if it has one, is one that it holds a reference to.
/// - Its device, if it has one, is alive.
#[repr(transparent)]
pub struct SkBuff(NonNull<bindings::sk_buff>);

// SAFETY: A buffer may be used and freed on any CPU, and this is the only reference to it.
unsafe impl Send for SkBuff {}

// SAFETY: What is done with a shared reference does not change the buffer.
unsafe impl Sync for SkBuff {}

impl Drop for SkBuff {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariants, this is the only reference, which nobody uses any more.
        unsafe {
            bindings::sk_skb_reason_drop(
                null(),
                self.0.as_ptr(),
                bindings::skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
            )
        };
    }
}

/// A buffer that has served its purpose once it is dropped, which is then not counted as a drop.
pub struct Served(Option<SkBuff>);

impl Served {
    /// Wraps a buffer.
    pub fn new(skb: SkBuff) -> Self {
        Self(Some(skb))
    }

    /// Returns the buffer.
    pub fn get(&self) -> Option<&SkBuff> {
        self.0.as_ref()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(skb) = self.0.take() {
            skb.consume();
        }
    }
}

/// Room that the stack likes to have before the headers of a packet, in bytes.
pub const NET_SKB_PAD: usize = match bindings::RUST_CONST_HELPER_L1_CACHE_BYTES {
    bytes if bytes > 32 => bytes,
    _ => 32,
};

impl SkBuff {
    /// Allocates an empty buffer with room for `len` bytes, and `headroom` before them.
    ///
    /// Does not sleep. Returns [`None`] if there is no memory.
    pub fn alloc(headroom: usize, len: usize) -> Option<Self> {
        let headroom = u32::try_from(headroom).ok()?;
        let len = u32::try_from(len).ok()?;
        i32::try_from(headroom.checked_add(len)?).ok()?;
        // SAFETY: May be called from any context, and the sizes do not overflow.
        let skb = unsafe { bindings::alloc_skb_reserve(headroom, len) };
        // INVARIANT: A new buffer has one reference, no links and no destination.
        Some(Self(NonNull::new(skb)?))
    }

    /// Takes over a reference to a buffer that C hands to us.
    ///
    /// # Safety
    ///
    /// `skb` must be valid, on no list and referred to by nobody else, and the caller must own the
    /// reference. A destination that it has must be counted, and a device stay alive until the
    /// packet is scrubbed, segmented, given a new one or handed on.
    #[inline]
    pub(crate) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // SAFETY: `skb` is valid by the safety requirements of this function.
        let this = Self(unsafe { NonNull::new_unchecked(skb) });
        // INVARIANT: The links are null now; the rest holds by the safety requirements.
        this.set_next(null_mut());
        this
    }

    /// Takes over a reference to a buffer of which others may have one.
    ///
    /// Then they keep it, and this is a clone. Returns [`None`], having dropped the reference, if
    /// there is no memory for one.
    ///
    /// # Safety
    ///
    /// As for [`SkBuff::from_raw`], save that others may refer to `skb`.
    #[inline]
    pub(crate) unsafe fn from_shared(skb: *mut bindings::sk_buff) -> Option<Self> {
        // SAFETY: By the safety requirements of this function, the caller owns the reference.
        let skb = unsafe { bindings::skb_share_check(skb) };
        if skb.is_null() {
            return None;
        }
        // SAFETY: `skb` is not shared now; the rest is required of the caller.
        Some(unsafe { Self::from_raw(skb) })
    }

    /// Gives the reference to C.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// Returns the C buffer, valid while `self` is.
    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::sk_buff {
        self.0.as_ptr()
    }

    /// Returns the C buffer for reading.
    #[inline]
    fn raw(&self) -> &bindings::sk_buff {
        // SAFETY: By the type invariants, the buffer is valid, and nobody else refers to it.
        unsafe { self.0.as_ref() }
    }

    /// Returns the C buffer for writing.
    #[inline]
    fn raw_mut(&mut self) -> &mut bindings::sk_buff {
        // SAFETY: By the type invariants, the buffer is valid, and nobody else refers to it.
        unsafe { self.0.as_mut() }
    }

    /// Returns the copied fields for reading.
    #[inline]
    fn headers(&self) -> &Headers {
        // SAFETY: The union's two members have the same layout, which any bits are valid for.
        unsafe { self.raw().__bindgen_anon_4.headers.as_ref() }
    }

    /// Returns the copied fields for writing.
    #[inline]
    fn headers_mut(&mut self) -> &mut Headers {
        // SAFETY: As in `headers`.
        unsafe { self.raw_mut().__bindgen_anon_4.headers.as_mut() }
    }

    /// Returns the next buffer of the list that this one is on.
    #[inline]
    fn next(&self) -> *mut bindings::sk_buff {
        // SAFETY: All members of the union begin with pointers.
        unsafe { self.raw().__bindgen_anon_1.__bindgen_anon_1.next }
    }

    /// Sets the next buffer, and no previous one.
    #[inline]
    fn set_next(&self, next: *mut bindings::sk_buff) {
        // SAFETY: By the type invariants, the buffer is valid, and nobody else refers to it.
        let links = unsafe { &raw mut (*self.as_raw()).__bindgen_anon_1.__bindgen_anon_1 };
        // SAFETY: As above.
        unsafe { (*links).next = next };
        // SAFETY: As above.
        unsafe { (*links).prev = null_mut() };
    }

    /// Frees the buffer as one that has served its purpose, rather than as one that was dropped.
    #[inline]
    pub fn consume(self) {
        // SAFETY: The reference that is given to C is valid.
        unsafe { bindings::consume_skb(self.into_raw()) };
    }

    /// Returns the part of the buffer that is common to all clones.
    #[inline]
    fn shared_info(&self) -> *const bindings::skb_shared_info {
        let end = u32_as_usize(self.offset_of_end());
        // SAFETY: The end lies in the allocation that the head is the start of.
        unsafe { self.raw().head.add(end).cast() }
    }

    /// Returns the control block, which is the owner's to use.
    #[inline]
    pub fn cb(&self) -> &[u32; CB_WORDS] {
        let cb: *const [u8; CB_LEN] = &raw const self.raw().cb;
        // CAST: The sizes are equal, and the control block is aligned to eight bytes.
        // SAFETY: The control block is part of the buffer, and initialised.
        unsafe { &*cb.cast() }
    }

    /// Returns the control block for writing.
    #[inline]
    pub fn cb_mut(&mut self) -> &mut [u32; CB_WORDS] {
        let cb: *mut [u8; CB_LEN] = &raw mut self.raw_mut().cb;
        // CAST: As in `cb`.
        // SAFETY: As in `cb`; `self` is borrowed mutably.
        unsafe { &mut *cb.cast() }
    }

    /// Returns the MTU of the route that the buffer takes, if it is known.
    #[inline]
    pub fn valid_dst_mtu(&self) -> Option<u32> {
        if self.refdst() == 0 {
            return None;
        }
        let mut mtu = 0;
        // SAFETY: The buffer is valid and holds a reference to the route.
        unsafe { bindings::skb_valid_dst_mtu(self.as_raw(), &mut mtu) }.then_some(mtu)
    }

    /// Returns the word that says where the buffer goes.
    #[inline]
    fn refdst(&self) -> usize {
        // SAFETY: The word is valid as a number, whatever the union holds.
        unsafe { self.raw().__bindgen_anon_3.__bindgen_anon_1._skb_refdst }
    }

    /// Forgets the route.
    #[inline]
    pub fn drop_dst(&mut self) {
        if self.refdst() != 0 {
            // SAFETY: By the type invariants, the buffer is valid and not shared.
            unsafe { bindings::skb_dst_drop(self.as_raw()) };
        }
    }

    /// Forgets the socket that the buffer came from, whose send buffer is no longer charged.
    #[inline]
    pub fn orphan(&mut self) {
        // SAFETY: By the type invariants, the buffer is valid and not shared.
        unsafe { bindings::skb_orphan(self.as_raw()) };
    }

    /// Splits the buffer into packets for the wire, without their routes and their device.
    ///
    /// What is not to be segmented becomes a list of one. Segments for which there is no memory are
    /// dropped, so that the list may be short or empty. The packets know their flow hash.
    ///
    /// # Errors
    ///
    /// Gives the buffer back with the reason for which it cannot be segmented.
    #[inline]
    pub fn segment(mut self) -> Result<SkBuffList, (Self, Error)> {
        // All segments are of one flow, whose hash they inherit.
        self.flow_hash();
        let mut list = SkBuffList::new();
        if self.is_gso() {
            self.segment_gso(&mut list).map(|()| list)
        } else {
            self.detach();
            list.push_back(self);
            Ok(list)
        }
    }

    /// Forgets the route and the device.
    #[inline]
    pub fn detach(&mut self) {
        self.drop_dst();
        self.set_raw_device(null_mut());
    }

    /// Splits a buffer that must be.
    fn segment_gso(self, list: &mut SkBuffList) -> Result<(), (Self, Error)> {
        // SAFETY: By the type invariants, the buffer is valid and not shared.
        let segments = unsafe { bindings::__skb_gso_segment(self.as_raw(), 0, true) };
        let mut next = match from_err_ptr(segments) {
            Ok(segments) if segments.is_null() => return Err((self, EINVAL)),
            Ok(segments) => segments,
            Err(error) => return Err((self, error)),
        };
        self.consume();
        while let Some(segment) = NonNull::new(next) {
            // SAFETY: The segments are ours, and linked by `next`.
            next = unsafe { (*segment.as_ptr()).__bindgen_anon_1.__bindgen_anon_1.next };
            // SAFETY: As above. They hold references to their routes as the original did.
            if let Some(mut skb) = unsafe { Self::from_shared(segment.as_ptr()) } {
                skb.detach();
                list.push_back(skb);
            }
        }
        Ok(())
    }

    /// Computes the hash of the flow that the packet belongs to, if it is not known yet.
    ///
    /// The packet should have a device, from which C knows the namespace.
    #[inline]
    pub fn flow_hash(&mut self) {
        // SAFETY: By the type invariants, the buffer is valid and not shared, and so is its device.
        unsafe { bindings::skb_get_hash(self.as_raw()) };
    }

    /// Says that the packet came in by `dev`, or goes out by it.
    ///
    /// The buffer does not hold a reference: it is for the caller to hand it on, or to
    /// [scrub](Self::scrub) it, while `dev` is alive.
    #[inline]
    pub fn set_device(&mut self, dev: &Device) {
        // INVARIANT: This is alive now, and for as long as the documentation demands.
        self.set_raw_device(dev.as_raw());
    }

    /// Sets the device.
    #[inline]
    fn set_raw_device(&mut self, dev: *mut bindings::net_device) {
        let raw = self.raw_mut();
        // SAFETY: By the type invariants, the buffer is on no list, so that this is a link union
        // of two pointers and the device.
        let links = unsafe { &mut raw.__bindgen_anon_1.__bindgen_anon_1 };
        links.__bindgen_anon_1.dev = dev;
    }

    /// Says that all checksums in the packet are known to be right.
    #[inline]
    pub fn mark_checksum_verified(&mut self) {
        let headers = self.headers_mut();
        // CAST: A small constant.
        headers.set_ip_summed(bindings::CHECKSUM_UNNECESSARY as u8);
        headers.set_csum_level(MAX_CSUM_LEVEL);
    }

    /// Forgets everything about the packet but its data, at the start of which all headers are put:
    /// route, device, checksum, mark and so on.
    ///
    /// If it is about to be `encapsulating` another packet, its flow hash is kept.
    #[inline]
    pub fn scrub(&mut self, encapsulating: bool) {
        // SAFETY: By the type invariants, the buffer is valid and not shared.
        unsafe { bindings::skb_scrub(self.as_raw(), encapsulating) };
    }
}
