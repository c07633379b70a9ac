// SPDX-License-Identifier: GPL-2.0

//! Socket buffers: packets.
//!
//! An [`SkBuff`] is one packet and an [`SkBuffList`] many; both own their packets, so that a packet
//! that was passed on cannot be accessed any more, and one that is dropped is freed.
//!
//! The type of a packet says what may be done with it. An [`SkBuff`] may be kept for any time, since it
//! refers to no device and to no route; there may be clones of it, with which it shares its data. A
//! [`NewSkBuff`] was allocated here, and can be filled. An [`OutgoingSkBuff`] refers to the device that
//! the stack sends it by, and to a route, and cannot be kept.
//!
//! No pointer into a packet's data is kept across calls: each method starts from the buffer, which
//! may have been reallocated by the one before. References that methods return borrow the packet.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

mod data;
mod fresh;
mod gso;
mod header;
mod list;
mod outer;
mod outgoing;
mod pages;

pub use fresh::{
    NewSkBuff,
    MAX_HEADROOM, //
};
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
pub use outgoing::OutgoingSkBuff;
pub use pages::{
    Pages,
    MAX_PAGES_LEN, //
};

use crate::compat::u32_as_usize;
use core::{
    mem::ManuallyDrop,
    ptr::{
        null,
        null_mut,
        NonNull, //
    }, //
};
use wg_bindings as bindings;

/// The fields of a buffer that are copied when it is cloned.
type Headers = bindings::sk_buff__bindgen_ty_4__bindgen_ty_2;

/// Number of words in [`SkBuff::cb`].
pub const CB_WORDS: usize = 12;

/// Number of bytes in [`SkBuff::cb`].
const CB_LEN: usize = size_of::<[u32; CB_WORDS]>();

/// Maximum of `csum_level`, the number of verified checksums besides the first.
const MAX_CSUM_LEVEL: u8 = 3;

/// An owned socket buffer.
///
/// # Invariants
///
/// - The pointer is that of a valid `sk_buff`.
/// - This value holds the only reference to it. (Its data may be shared with clones of it.)
/// - It is on no list, and both its links are null.
/// - It has no destination and no device, so that it may outlive those that it had. Its socket, if it has
///   one, is a full one, which is not freed while it is the buffer's.
#[repr(transparent)]
pub struct SkBuff(NonNull<bindings::sk_buff>);

// SAFETY: A buffer may be used and freed on any CPU, and this is the only reference to it.
unsafe impl Send for SkBuff {}

// SAFETY: What is done with a shared reference does not change the buffer.
unsafe impl Sync for SkBuff {}

impl Drop for SkBuff {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariants, this is the only reference, which is not used any more.
        unsafe {
            bindings::sk_skb_reason_drop(
                null(),
                self.0.as_ptr(),
                bindings::skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
            )
        };
    }
}

/// Headroom that the stack reserves before the headers of a packet, in bytes (`NET_SKB_PAD`).
pub const NET_SKB_PAD: usize = match bindings::RUST_CONST_HELPER_L1_CACHE_BYTES {
    bytes if bytes > 32 => bytes,
    _ => 32,
};

impl SkBuff {
    /// Takes over a reference to a buffer from C, and drops its route, its device, and a socket that
    /// might not last.
    ///
    /// # Safety
    ///
    /// `skb` must be valid, on no list and referred to by nothing else, and the caller must own the
    /// reference. A destination and a socket that it has must be counted, or be alive still.
    #[inline]
    pub(crate) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // SAFETY: `skb` is valid by the safety requirements of this function.
        let mut this = Self(unsafe { NonNull::new_unchecked(skb) });
        // INVARIANT: The links, the destination and the device are null now, and the socket lasts; the rest
        // holds by the safety requirements.
        this.unlink();
        this.detach();
        this
    }

    /// Marks the buffer as being on no list.
    #[inline]
    fn unlink(&self) {
        self.set_next(null_mut());
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
        // SAFETY: By the type invariants, the buffer is valid, and this is the only reference, so that
        // nothing writes to it while it is borrowed.
        unsafe { self.0.as_ref() }
    }

    /// Returns the C buffer for writing.
    #[inline]
    fn raw_mut(&mut self) -> &mut bindings::sk_buff {
        // SAFETY: By the type invariants, the buffer is valid, and this is the only reference. TCP may
        // read whether a clone that was allocated with its original is in flight (`skb_fclone_busy()`);
        // no code of ours reads or writes the field where that is.
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

    /// Sets the next buffer, and clears the previous one.
    #[inline]
    fn set_next(&self, next: *mut bindings::sk_buff) {
        // SAFETY: By the type invariants, the buffer is valid, and nothing else refers to it.
        let links = unsafe { &raw mut (*self.as_raw()).__bindgen_anon_1.__bindgen_anon_1 };
        // SAFETY: As above.
        unsafe { (*links).next = next };
        // SAFETY: As above.
        unsafe { (*links).prev = null_mut() };
    }

    /// Frees the buffer as consumed (`consume_skb()`) rather than as dropped.
    #[inline]
    pub fn consume(self) {
        // SAFETY: The reference that is given to C is valid.
        unsafe { bindings::consume_skb(self.into_raw()) };
    }

    /// Returns the shared info, which is common to all clones.
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

    /// Returns the word that says where the buffer goes.
    #[inline]
    fn refdst(&self) -> usize {
        // SAFETY: The word is valid as a number, whatever the union holds.
        unsafe { self.raw().__bindgen_anon_3.__bindgen_anon_1._skb_refdst }
    }

    /// Orphans the buffer: the socket that it came from is no longer charged for it.
    #[inline]
    pub fn orphan(&mut self) {
        // SAFETY: By the type invariants, the buffer is valid and not shared.
        unsafe { bindings::skb_orphan(self.as_raw()) };
    }

    /// Drops the route, the device, and a socket that might not last.
    #[inline]
    fn detach(&mut self) {
        if self.refdst() != 0 {
            // SAFETY: The buffer is valid and not shared, and so is its destination.
            unsafe { bindings::skb_dst_drop(self.as_raw()) };
        }
        if !self.raw().sk.is_null() {
            // SAFETY: The buffer is valid and not shared, and so is its socket.
            unsafe { bindings::wg_skb_leave_sock(self.as_raw()) };
        }
        self.set_raw_device(null_mut());
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

    /// Marks all checksums in the packet as verified (`CHECKSUM_UNNECESSARY`).
    #[inline]
    pub fn mark_checksum_verified(&mut self) {
        let headers = self.headers_mut();
        // CAST: A small constant.
        headers.set_ip_summed(bindings::CHECKSUM_UNNECESSARY as u8);
        headers.set_csum_level(MAX_CSUM_LEVEL);
    }

    /// Forgets everything about the packet except its data: checksum, mark and so on. All header offsets
    /// are set to the start of the data.
    ///
    /// If it is about to be `encapsulating` another packet, its flow hash is kept.
    #[inline]
    pub fn scrub(&mut self, encapsulating: bool) {
        // SAFETY: By the type invariants, the buffer is valid and not shared.
        unsafe { bindings::wg_skb_scrub(self.as_raw(), encapsulating) };
    }

    /// Has a device with a queue for each CPU choose the queue of CPU number `cpu`, instead of that of the
    /// CPU on which it gets the packet.
    #[inline]
    pub fn set_sender_cpu(&mut self, cpu: usize) {
        // SAFETY: By the type invariants, the buffer is valid and not shared.
        unsafe { bindings::wg_skb_set_sender_cpu(self.as_raw(), cpu as u32) };
    }
}
