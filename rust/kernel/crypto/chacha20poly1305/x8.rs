// SPDX-License-Identifier: GPL-2.0

//! ChaCha20-Poly1305 of eight messages at a time, by assembly of our own: `x8-x86_64.S`.

use super::KEY_LEN;
use core::mem::MaybeUninit;
use kernel::prelude::*;

/// The most messages that are taken at a time.
pub(super) const LANES: usize = 8;

/// What the assembly works in.
type Scratch = [u8; 3392];

/// A message, as the assembly knows it.
#[repr(C)]
pub(super) struct Message {
    /// Where it is.
    pub(super) src: *const u8,
    /// Where it goes.
    pub(super) dst: *mut u8,
    /// Its length without the tag.
    pub(super) len: usize,
    /// Its nonce.
    pub(super) nonce: u64,
    /// Its key.
    pub(super) key: *const [u8; KEY_LEN],
}

/// What the assembly is called with.
///
/// It holds no secret in between, nor is anything in it valid.
#[repr(C, align(64))]
pub(super) struct Memory {
    scratch: MaybeUninit<Scratch>,
    messages: [MaybeUninit<Message>; LANES],
}

#[cfg(all(CONFIG_X86_64, not(CONFIG_KMSAN)))]
mod code {
    use super::{
        Message,
        Scratch, //
    };

    extern "C" {
        pub(super) fn wg_chacha20poly1305_seal_x8(
            messages: *const Message,
            n: u32,
            scratch: *mut Scratch,
        );
        pub(super) fn wg_chacha20poly1305_open_x8(
            messages: *const Message,
            n: u32,
            scratch: *mut Scratch,
        ) -> u32;
    }

    /// They need these.
    pub(super) use crate::fpu::{
        has_avx512_ifma as is_available,
        with_vectors, //
    };
}

/// Stands for the assembly where there is none.
#[cfg(not(all(CONFIG_X86_64, not(CONFIG_KMSAN))))]
mod code {
    use super::{
        Message,
        Scratch, //
    };

    pub(super) unsafe fn wg_chacha20poly1305_seal_x8(_: *const Message, _: u32, _: *mut Scratch) {}

    pub(super) unsafe fn wg_chacha20poly1305_open_x8(
        _: *const Message,
        _: u32,
        _: *mut Scratch,
    ) -> u32 {
        0
    }

    pub(super) fn is_available() -> bool {
        false
    }

    pub(super) fn with_vectors<R>(_: impl FnOnce() -> R) -> Option<R> {
        None
    }
}

/// Returns whether the processor can run the assembly.
pub(super) fn is_available() -> bool {
    code::is_available()
}

impl Memory {
    /// Allocates some, if the processor can run the assembly.
    pub(super) fn new(flags: kernel::alloc::Flags) -> Option<KBox<Self>> {
        if !is_available() {
            return None;
        }
        let memory = KBox::<Self>::new_uninit(flags).ok()?;
        // SAFETY: Nothing of it has to be initialised.
        Some(unsafe { memory.assume_init() })
    }

    /// Encrypts messages, each to its `dst`, and puts the tag behind it.
    ///
    /// Returns false, and does nothing, if there are none, if vectors must not be used here, or if one is
    /// [`None`].
    ///
    /// # Safety
    ///
    /// There must be at most [`LANES`] messages. Of each, there must be `len` bytes at `src`, room for as
    /// many and a tag at `dst`, which may be the same place or must be apart from all others, and a key.
    #[must_use]
    pub(super) unsafe fn seal(&mut self, messages: impl Iterator<Item = Option<Message>>) -> bool {
        let Some(n) = self.store(messages) else {
            return false;
        };
        let seal = |messages, scratch| {
            // SAFETY: By the safety requirements. There is memory of our own, aligned, to work in, and the
            // processor can run this, as otherwise there would be no such memory.
            unsafe { code::wg_chacha20poly1305_seal_x8(messages, n, scratch) }
        };
        self.call(seal).is_some()
    }

    /// Decrypts messages, behind which are their tags, each to its `dst`.
    ///
    /// Returns a mask of those that are authentic, the first one in bit 0; what has become of others is
    /// meaningless. Returns [`None`], and does nothing, where [`Self::seal`] returns false.
    ///
    /// # Safety
    ///
    /// There must be at most [`LANES`] messages. Of each, there must be `len` bytes and a tag at `src`,
    /// room for `len` bytes at `dst`, which may be the same place or must be apart from all others, and a
    /// key.
    #[must_use]
    pub(super) unsafe fn open(
        &mut self,
        messages: impl Iterator<Item = Option<Message>>,
    ) -> Option<u32> {
        let n = self.store(messages)?;
        let open = |messages, scratch| {
            // SAFETY: As in `seal`.
            unsafe { code::wg_chacha20poly1305_open_x8(messages, n, scratch) }
        };
        self.call(open)
    }

    /// Stores messages, and returns how many they are, unless there are none or one is not there.
    #[inline]
    fn store(&mut self, messages: impl Iterator<Item = Option<Message>>) -> Option<u32> {
        let mut n: u32 = 0;
        for (slot, message) in self.messages.iter_mut().zip(messages) {
            slot.write(message?);
            n = n.wrapping_add(1);
        }
        (n > 0).then_some(n)
    }

    /// Calls `f` with the stored messages and the memory to work in, where vectors may be used.
    #[inline]
    fn call<R>(&mut self, f: impl FnOnce(*const Message, *mut Scratch) -> R) -> Option<R> {
        code::with_vectors(|| f(self.messages.as_ptr().cast(), self.scratch.as_mut_ptr()))
    }
}
