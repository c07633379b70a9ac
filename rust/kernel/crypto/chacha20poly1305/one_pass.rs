// SPDX-License-Identifier: GPL-2.0

//! ChaCha20-Poly1305 with one pass of ChaCha20 over each message.
//!
//! The key of Poly1305 is the first block of the key stream, and the message is encrypted with the
//! blocks that follow. The kernel's library generates the first block on its own, for which it has no
//! vector code. So here the pass begins one block before the message: the encrypted block reveals its
//! key stream, and then its former contents are restored.
//!
//! C headers: [`include/crypto/chacha.h`](srctree/include/crypto/chacha.h),
//! [`include/crypto/poly1305.h`](srctree/include/crypto/poly1305.h)

use super::{
    KEY_LEN,
    TAG_LEN, //
};
use crate::{
    compat::u32_as_usize, //
    crypto,
};
use core::mem::MaybeUninit;
use wg_bindings as bindings;

/// Number of bytes of a block of ChaCha20, and number of bytes that are used before a message.
pub(super) const BEFORE: usize = 64;

/// As [`BEFORE`].
pub(super) const BEFORE_U32: u32 = 64;

/// Number of bytes behind a message that are used to encrypt it in place: they end up holding the tag,
/// and padding and a block with lengths before it is computed.
pub(super) const BEHIND: usize = 31;

/// Maximum length of a message that [`open_small`] opens.
pub(super) const MAX_SMALL_LEN: u32 = 256;

/// Number of bytes of a block of Poly1305.
const POLY_BLOCK: usize = 16;

/// As [`POLY_BLOCK`].
const POLY_BLOCK_U32: u32 = 16;

/// A block of ChaCha20, as words that are copied one by one.
type Block = [u64; 8];

/// Half of a block.
type Half = [u128; 2];

/// A key of Poly1305, its bytes in memory order.
struct PolyKey(Half);

/// Number of bytes that the vector code processes in one round, on most processors.
const STRIDE: u32 = 8 * BEFORE_U32;

/// Returns whether one more block does not cost another round of vector code.
#[inline]
pub(super) fn pays_off(len: u32) -> bool {
    let rest = len % STRIDE;
    rest != 0 && rest.wrapping_add(BEFORE_U32) <= STRIDE
}

/// Encrypts or decrypts `len` bytes of `src` into `dst`, which may be the same, and returns whether
/// `poly_key` is the key of Poly1305: that is not known if what is before `src` has changed meanwhile.
///
/// # Safety
///
/// There must be `len` bytes at either place and [`BEFORE`] bytes before them, which may be read, and
/// for `dst` written. The places must be the same or not overlap.
#[inline]
unsafe fn crypt(
    dst: *mut u8,
    src: *const u8,
    len: u32,
    nonce: u64,
    key: &[u8; KEY_LEN],
    poly_key: &mut PolyKey,
) -> bool {
    let mut state = bindings::chacha_state {
        x: [
            bindings::chacha_constants_CHACHA_CONSTANT_EXPA,
            bindings::chacha_constants_CHACHA_CONSTANT_ND_3,
            bindings::chacha_constants_CHACHA_CONSTANT_2_BY,
            bindings::chacha_constants_CHACHA_CONSTANT_TE_K,
            // The key.
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            // The number of the block, and a nonce of 96 bits.
            0,
            0,
            // CAST: The two halves.
            nonce as u32,
            (nonce >> 32) as u32,
        ],
    };
    let [_, _, _, _, words @ .., _, _, _, _] = &mut state.x;
    // SAFETY: There are as many bytes at either place.
    unsafe {
        words
            .as_mut_ptr()
            .cast::<u8>()
            .copy_from_nonoverlapping(key.as_ptr(), KEY_LEN)
    };
    for word in words {
        *word = u32::from_le(*word);
    }
    let block = dst.wrapping_sub(BEFORE).cast::<Block>();
    // Of the other block, only the first half is used.
    let plain = src.wrapping_sub(BEFORE).cast::<Half>();
    // SAFETY: By the safety requirements, these bytes may be read.
    let saved = unsafe { block.read_unaligned() };
    // SAFETY: As above.
    let [plain0, plain1] = unsafe { plain.read_unaligned() };
    let all = len.wrapping_add(BEFORE_U32);
    // SAFETY: By the safety requirements, both places have as many bytes, and are the same or do not
    // overlap.
    unsafe { bindings::chacha_crypt(&mut state, block.cast(), plain.cast(), all, 20) };
    // SAFETY: By the safety requirements, these bytes may be read.
    let [made0, made1] = unsafe { block.cast::<Half>().read_unaligned() };
    // SAFETY: By the safety requirements, they may be written.
    unsafe { block.write_unaligned(saved) };
    // The function that is called between may be one that changes them, for all that the compiler knows.
    // SAFETY: By the safety requirements, these bytes may be read.
    let [now0, now1] = unsafe { plain.read_unaligned() };
    let unchanged = (plain0 ^ now0) | (plain1 ^ now1) == 0;
    poly_key.0 = match unchanged {
        true => [plain0 ^ made0, plain1 ^ made1],
        false => [0; 2],
    };
    // SAFETY: The state is ours, and has as many bytes.
    unsafe { bindings::memzero_explicit((&raw mut state).cast(), size_of_val(&state)) };
    unchanged
}

/// Returns the last block that is authenticated: the lengths of the associated data, which is empty, and
/// of the message.
#[inline]
fn lengths(len: u32) -> [u8; POLY_BLOCK] {
    (u128::from(len) << 64).to_le_bytes()
}

/// Computes the tag of the data that `update` adds, and wipes the key.
///
/// In place, as returning it by value may leave a copy on the stack: the tag of a rejected message
/// would make a forgery pass.
#[inline]
fn authenticate(
    key: &mut PolyKey,
    tag: &mut [u8; TAG_LEN],
    update: impl FnOnce(*mut bindings::poly1305_desc_ctx),
) {
    let mut state = MaybeUninit::<bindings::poly1305_desc_ctx>::uninit();
    // SAFETY: The state is valid for writes, and the key as long as it must be.
    unsafe { bindings::poly1305_init(state.as_mut_ptr(), key.0.as_ptr().cast()) };
    // SAFETY: The key is ours, and has as many bytes.
    unsafe { bindings::memzero_explicit((&raw mut *key).cast(), size_of_val(key)) };
    update(state.as_mut_ptr());
    // This also wipes the state.
    // SAFETY: It was initialised, and the tag is as long as it must be.
    unsafe { bindings::poly1305_final(state.as_mut_ptr(), tag.as_mut_ptr()) };
}

/// Encrypts the `len` bytes at `data` in place, and puts the tag behind them.
///
/// # Safety
///
/// `data` must be valid for writes, with [`BEFORE`] bytes before it, which keep what they hold, and
/// [`BEHIND`] bytes behind it, which need not.
#[inline]
pub(super) unsafe fn seal(data: *mut u8, len: u32, nonce: u64, key: &[u8; KEY_LEN]) {
    let mut poly_key = PolyKey([0; 2]);
    // What is before the message is the caller's, and does not change.
    // SAFETY: By the safety requirements.
    unsafe { crypt(data, data, len, nonce, key, &mut poly_key) };
    let end = data.wrapping_add(u32_as_usize(len));
    let padding = len.wrapping_neg() % POLY_BLOCK_U32;
    // SAFETY: Less than a block, of the two that may be written behind the data but for one byte.
    unsafe { end.write_bytes(0, u32_as_usize(padding)) };
    let behind = end.wrapping_add(u32_as_usize(padding));
    // SAFETY: As above.
    unsafe {
        behind
            .cast::<[u8; POLY_BLOCK]>()
            .write_unaligned(lengths(len))
    };
    let all = len.wrapping_add(padding).wrapping_add(POLY_BLOCK_U32);
    let mut tag = [0; TAG_LEN];
    authenticate(&mut poly_key, &mut tag, |state| {
        // SAFETY: The state was initialised, and all that was written.
        unsafe { bindings::poly1305_update(state, data, all) };
    });
    // SAFETY: The tag is shorter than what may be written.
    unsafe { end.cast::<[u8; TAG_LEN]>().write_unaligned(tag) };
}

/// Decrypts the `len` bytes at `src`, behind which is the tag, into `dst`.
///
/// Returns whether they are authentic, and [`None`] if that is not known, as what is before them has changed
/// meanwhile; the contents of `dst` are meaningless but for those that are authentic.
///
/// # Safety
///
/// `dst` must be valid for writes, with [`BEFORE`] bytes before it, which keep what they hold. There
/// must be as many bytes at `src`, as many before it, and a tag behind. They must not be the same, and
/// nothing may change what is at `src`; what is before it may belong to somebody else.
#[inline]
#[must_use]
pub(super) unsafe fn open(
    dst: *mut u8,
    src: *const u8,
    len: u32,
    nonce: u64,
    key: &[u8; KEY_LEN],
) -> Option<bool> {
    let mut poly_key = PolyKey([0; 2]);
    // SAFETY: By the safety requirements.
    if unsafe { !crypt(dst, src, len, nonce, key, &mut poly_key) } {
        return None;
    }
    let rest = len % POLY_BLOCK_U32;
    let bulk = len.wrapping_sub(rest);
    let end = src.wrapping_add(u32_as_usize(len));
    // SAFETY: By the safety requirements, the tag is there.
    let tag = unsafe { end.cast::<[u8; TAG_LEN]>().read_unaligned() };
    // The last bytes with padding, if they do not fill a block, and the lengths.
    let mut last = [[0; POLY_BLOCK]; 2];
    let rest_len = u32_as_usize(rest);
    // SAFETY: These are the last of the bytes at `src`, and fewer than `last` has.
    unsafe {
        last.as_mut_ptr()
            .cast::<u8>()
            .copy_from_nonoverlapping(end.wrapping_sub(rest_len), rest_len)
    };
    let (index, last_len) = match rest {
        0 => (0, POLY_BLOCK_U32),
        _ => (1, 2 * POLY_BLOCK_U32),
    };
    if let Some(block) = last.get_mut(index) {
        *block = lengths(len);
    }
    let mut wanted = [0; TAG_LEN];
    authenticate(&mut poly_key, &mut wanted, |state| {
        // SAFETY: The state was initialised, and as many bytes are there.
        unsafe { bindings::poly1305_update(state, src, bulk) };
        // SAFETY: As above.
        unsafe { bindings::poly1305_update(state, last.as_ptr().cast(), last_len) };
    });
    let authentic = crypto::eq(&tag, &wanted);
    crypto::wipe(&mut wanted);
    Some(authentic)
}

/// Decrypts the `len` bytes at `data`, behind which is the tag, in place.
///
/// The key of Poly1305 is known only once they are decrypted, and it authenticates the ciphertext:
/// hence a copy of that, which pays off for few bytes.
///
/// Returns false if they are not authentic; the contents of `data` are meaningless then.
///
/// # Safety
///
/// `len` must not exceed [`MAX_SMALL_LEN`]. `data` must be valid for writes, with a tag behind and
/// [`BEFORE`] bytes before it, which keep what they hold.
#[inline(never)]
#[must_use]
pub(super) unsafe fn open_small(data: *mut u8, len: u32, nonce: u64, key: &[u8; KEY_LEN]) -> bool {
    const ROOM: usize = BEFORE + u32_as_usize(MAX_SMALL_LEN) + TAG_LEN;
    let mut copy = [const { MaybeUninit::<u8>::uninit() }; ROOM];
    let before = copy.as_mut_ptr().cast::<u8>();
    let src = before.wrapping_add(BEFORE);
    // SAFETY: There is room for as many bytes.
    unsafe { before.write_bytes(0, BEFORE) };
    // SAFETY: By the safety requirements, there are as many bytes at `data`, and they fit in.
    unsafe { src.copy_from_nonoverlapping(data, u32_as_usize(len).wrapping_add(TAG_LEN)) };
    // What is before the copy is ours, and does not change.
    // SAFETY: By the safety requirements, and those of `open` are met by the copy.
    unsafe { open(data, src, len, nonce, key) }.unwrap_or(false)
}
