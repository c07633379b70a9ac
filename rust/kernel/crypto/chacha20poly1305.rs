// SPDX-License-Identifier: GPL-2.0

//! ChaCha20-Poly1305 and XChaCha20-Poly1305.
//!
//! The nonce of the former is a counter of 64 bits, little-endian, behind 32 zero bits.
//!
//! C header: [`include/crypto/chacha20poly1305.h`](srctree/include/crypto/chacha20poly1305.h)

mod one_pass;
mod several;
mod x8;

pub use self::several::{
    use_own_code,
    Opener,
    Sealed,
    Sealer,
    AT_A_TIME, //
};

use crate::{
    compat::u32_as_usize, //
    net::skbuff::{
        SkBuff,
        MAX_HEADROOM, //
    },
};
use core::{
    mem::MaybeUninit,
    ptr::{
        null,
        null_mut, //
    }, //
};
use kernel::ffi::c_int;
use wg_bindings as bindings;

/// Number of bytes of a key.
pub const KEY_LEN: usize = 32;

/// Number of bytes of the tag, by which sealed data are longer than plain data.
pub const TAG_LEN: usize = 16;

/// As [`TAG_LEN`].
const TAG: u32 = 16;

/// Number of bytes of a nonce of XChaCha20-Poly1305.
pub const XNONCE_LEN: usize = 24;

/// Number of bytes before a message with which encrypting or decrypting it is faster.
pub const ROOM_BEFORE: usize = one_pass::BEFORE;

/// Number of bytes behind the tag with which encrypting a message is faster.
pub const ROOM_BEHIND: usize = one_pass::BEHIND - TAG_LEN;

/// Maximum padding that [`seal_skb`] appends, in bytes.
const MAX_PADDING: u32 = 0xffff;

/// Maximum length of what is sealed or opened. No packet is that long, and C's lengths have 32 bits.
const MAX_LEN: u32 = 1 << 30;

/// Maximum number of fragments that the data of a buffer may have.
const MAX_PIECES: usize = u32_as_usize(bindings::MAX_SKB_FRAGS) + 8;

/// Encrypts `src` into `dst`, which must be longer by [`TAG_LEN`], and authenticates it with `ad`.
///
/// Returns false, and does nothing, if `dst` has another length, or if `src` or `ad` is longer than 1 GB.
#[inline]
pub fn seal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; KEY_LEN]) -> bool {
    if sealed_len(src.len()) != Some(dst.len()) || ad.len() > u32_as_usize(MAX_LEN) {
        return false;
    }
    // SAFETY: All are valid for as many bytes, and `dst` has room for the tag.
    unsafe {
        bindings::chacha20poly1305_encrypt(
            dst.as_mut_ptr(),
            src.as_ptr(),
            src.len(),
            ad.as_ptr(),
            ad.len(),
            nonce,
            key.as_ptr(),
        )
    };
    true
}

/// Encrypts the `len` bytes of `buffer` from `at` on in place, and puts the tag behind them.
///
/// It is faster if there are [`ROOM_BEFORE`] bytes before them, which keep what they hold, and
/// [`ROOM_BEHIND`] behind the tag, which need not.
///
/// Returns false, and does nothing, if `buffer` ends before the tag, or if `len` is more than 1 GB.
#[inline]
pub fn seal_within(
    buffer: &mut [u8],
    at: usize,
    len: usize,
    nonce: u64,
    key: &[u8; KEY_LEN],
) -> bool {
    let Some(behind) = behind(buffer, at, len) else {
        return false;
    };
    let data = buffer.as_mut_ptr().wrapping_add(at);
    match u32::try_from(len) {
        Ok(len) if at >= ROOM_BEFORE && behind >= ROOM_BEHIND && one_pass::pays_off(len) => {
            // SAFETY: There is as much room on either side.
            unsafe { one_pass::seal(data, len, nonce, key) }
        }
        // SAFETY: There are as many bytes, and room for the tag. The function works in place.
        _ => unsafe {
            bindings::chacha20poly1305_encrypt(data, data, len, null(), 0, nonce, key.as_ptr())
        },
    }
    true
}

/// Returns how many bytes there are in `buffer` behind `len` bytes from `at` on and a tag.
#[inline]
fn behind(buffer: &[u8], at: usize, len: usize) -> Option<usize> {
    let end = at.checked_add(sealed_len(len)?)?;
    buffer.len().checked_sub(end)
}

/// Returns how long `len` bytes are with their tag, unless they are longer than [`MAX_LEN`].
#[inline]
fn sealed_len(len: usize) -> Option<usize> {
    match len <= u32_as_usize(MAX_LEN) {
        true => len.checked_add(TAG_LEN),
        false => None,
    }
}

/// Decrypts `len` bytes of `skb` from `offset` on, behind which is the tag, to `buffer` from `at` on,
/// where the tag must fit in, too.
///
/// It is faster if there are [`ROOM_BEFORE`] bytes before either place; they keep what they hold.
///
/// Returns false if they are not authentic, or not there, or `buffer` ends before; the contents of the
/// destination are meaningless then.
#[inline]
#[must_use]
pub fn open_from(
    buffer: &mut [u8],
    at: usize,
    skb: &SkBuff,
    offset: u32,
    len: u32,
    nonce: u64,
    key: &[u8; KEY_LEN],
) -> bool {
    let len_here = u32_as_usize(len);
    if behind(buffer, at, len_here).is_none() {
        return false;
    }
    let Some(sealed_len) = len.checked_add(TAG) else {
        return false;
    };
    let data = buffer.as_mut_ptr().wrapping_add(at);
    if at >= ROOM_BEFORE && one_pass::pays_off(len) {
        if let Some(src) = skb.contiguous(offset, one_pass::BEFORE_U32, sealed_len) {
            // SAFETY: There is as much room before either place, and at it. Only we refer to the
            // one, and the other does not change.
            let authentic = unsafe { one_pass::open(data, src.as_ptr(), len, nonce, key) };
            if let Some(authentic) = authentic {
                return authentic;
            }
        }
    }
    let end = at.wrapping_add(len_here).wrapping_add(TAG_LEN);
    let Some(sealed) = buffer.get_mut(at..end) else {
        return false;
    };
    skb.copy_bits(offset, sealed) && open_in_place(sealed, nonce, key)
}

/// Decrypts `data` in place; the last [`TAG_LEN`] bytes are the tag.
///
/// Returns false if they are not authentic, or fewer; then they are left as they are.
#[inline]
#[must_use]
fn open_in_place(data: &mut [u8], nonce: u64, key: &[u8; KEY_LEN]) -> bool {
    if data.len() < TAG_LEN {
        return false;
    }
    let len = data.len();
    let data = data.as_mut_ptr();
    // SAFETY: `data` have as many bytes. The function works in place.
    unsafe { bindings::chacha20poly1305_decrypt(data, data, len, null(), 0, nonce, key.as_ptr()) }
}

/// Decrypts `src` into `dst`, which must be shorter by [`TAG_LEN`].
///
/// Returns false if `dst` has another length, or if `src` or `ad` is not authentic; then `dst` is
/// left as it is.
#[inline]
#[must_use]
pub fn open(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; KEY_LEN]) -> bool {
    if sealed_len(dst.len()) != Some(src.len()) || ad.len() > u32_as_usize(MAX_LEN) {
        return false;
    }
    // SAFETY: All are valid for as many bytes, and `dst` has room for `src` without its tag.
    unsafe {
        bindings::chacha20poly1305_decrypt(
            dst.as_mut_ptr(),
            src.as_ptr(),
            src.len(),
            ad.as_ptr(),
            ad.len(),
            nonce,
            key.as_ptr(),
        )
    }
}

/// As [`seal`], for XChaCha20-Poly1305.
#[inline]
pub fn xseal(
    dst: &mut [u8],
    src: &[u8],
    ad: &[u8],
    nonce: &[u8; XNONCE_LEN],
    key: &[u8; KEY_LEN],
) -> bool {
    if sealed_len(src.len()) != Some(dst.len()) || ad.len() > u32_as_usize(MAX_LEN) {
        return false;
    }
    // SAFETY: All are valid for as many bytes, and `dst` has room for the tag.
    unsafe {
        bindings::xchacha20poly1305_encrypt(
            dst.as_mut_ptr(),
            src.as_ptr(),
            src.len(),
            ad.as_ptr(),
            ad.len(),
            nonce.as_ptr(),
            key.as_ptr(),
        )
    };
    true
}

/// As [`open`], for XChaCha20-Poly1305.
#[inline]
#[must_use]
pub fn xopen(
    dst: &mut [u8],
    src: &[u8],
    ad: &[u8],
    nonce: &[u8; XNONCE_LEN],
    key: &[u8; KEY_LEN],
) -> bool {
    if sealed_len(dst.len()) != Some(src.len()) || ad.len() > u32_as_usize(MAX_LEN) {
        return false;
    }
    // SAFETY: All are valid for as many bytes, and `dst` has room for `src` without its tag.
    unsafe {
        bindings::xchacha20poly1305_decrypt(
            dst.as_mut_ptr(),
            src.as_ptr(),
            src.len(),
            ad.as_ptr(),
            ad.len(),
            nonce.as_ptr(),
            key.as_ptr(),
        )
    }
}

/// Seals a packet in place: `padding` zeros are appended, all is encrypted, and `header`, which is not
/// authenticated, is prepended.
///
/// The packet gets at least `headroom` bytes of headroom, part of which `header` takes. Its flow hash
/// is computed and its checksums are completed first. Clones that share its data keep them as they are.
///
/// Returns false if there was no memory, if the data have too many fragments, if `padding` is 2^16 or
/// more, or `headroom` more than [`MAX_HEADROOM`]. The packet can only be dropped then.
#[must_use]
pub fn seal_skb(
    skb: &mut SkBuff,
    header: &[u8],
    padding: u32,
    nonce: u64,
    key: &[u8; KEY_LEN],
    headroom: u32,
) -> bool {
    let headroom = headroom.max(u32::try_from(header.len()).unwrap_or(u32::MAX));
    if padding > MAX_PADDING || headroom > MAX_HEADROOM || skb.len() > MAX_LEN {
        return false;
    }
    let plain_len = skb.len().wrapping_add(padding);
    let tailroom = padding.wrapping_add(TAG);
    let mut trailer = null_mut();
    // SAFETY: By its type invariants, `skb` is valid and not shared.
    let pieces =
        unsafe { bindings::wg_skb_prepare_seal(skb.as_raw(), headroom, tailroom, &mut trailer) };
    let Ok(pieces @ 1..) = u32::try_from(pieces) else {
        return false;
    };
    if !skb.is_linear() {
        return seal_pieces(skb, header, padding, nonce, key, (pieces, trailer));
    }
    let data = skb.at(0);
    // SAFETY: There is as much room behind the data, which is not shared.
    unsafe { skb.tail().write_bytes(0, u32_as_usize(padding)) };
    // SAFETY: As above; the tag is written below.
    unsafe { skb.put(tailroom) };
    // SAFETY: There is as much headroom.
    unsafe { skb.push_header(header) };
    let roomy = skb.tailroom() >= ROOM_BEHIND as u32 && headroom >= ROOM_BEFORE as u32;
    if roomy && one_pass::pays_off(plain_len) {
        // SAFETY: `data` are linear and not shared, and neither is the room on either side, which is
        // as large as it must be.
        unsafe { one_pass::seal(data, plain_len, nonce, key) };
        return true;
    }
    // SAFETY: `data` are linear and not shared, and have room for the tag. The function works in
    // place.
    unsafe {
        bindings::chacha20poly1305_encrypt(
            data,
            data,
            u32_as_usize(plain_len),
            null(),
            0,
            nonce,
            key.as_ptr(),
        )
    };
    true
}

/// The last part of [`seal_skb`] for data in several fragments, given their number and the last one.
fn seal_pieces(
    skb: &mut SkBuff,
    header: &[u8],
    padding: u32,
    nonce: u64,
    key: &[u8; KEY_LEN],
    (pieces, trailer): (u32, *mut bindings::sk_buff),
) -> bool {
    let plain_len = skb.len().wrapping_add(padding);
    let tailroom = padding.wrapping_add(TAG);
    // SAFETY: `wg_skb_prepare_seal` has returned the last piece, which is a valid buffer.
    let last = unsafe { &*trailer };
    // Its data are linear.
    let tail = last.data.wrapping_add(u32_as_usize(last.len));
    // SAFETY: There is as much room behind it, which is not shared.
    unsafe { tail.write_bytes(0, u32_as_usize(padding)) };
    // CAST: This is little more than `MAX_PADDING`.
    // SAFETY: As above; the tag is written below. `trailer` is part of `skb`.
    unsafe { bindings::pskb_put(skb.as_raw(), trailer, tailroom as c_int) };
    // SAFETY: There is as much headroom.
    unsafe { skb.push_header(header) };
    let sealed_len = plain_len.wrapping_add(TAG);
    with_pieces(skb, pieces, header.len(), sealed_len, |table| {
        let len = u32_as_usize(plain_len);
        // SAFETY: The table describes that many bytes and the tag, which are not shared.
        unsafe {
            bindings::chacha20poly1305_encrypt_sg_inplace(
                table,
                len,
                null(),
                0,
                nonce,
                key.as_ptr(),
            )
        }
    })
}

/// Opens a packet in place: the data behind a header of `header_len` bytes are decrypted, and the
/// header and the tag removed.
///
/// The headers before the data are kept. Clones that share the data keep them as they are.
///
/// Returns false if the packet is not authentic, if there was no memory or the data have too many
/// fragments, or if the header is longer than [`MAX_HEADROOM`]. The packet can only be dropped then.
#[must_use]
pub fn open_skb(skb: &mut SkBuff, header_len: u32, nonce: u64, key: &[u8; KEY_LEN]) -> bool {
    let sealed_len = match skb.len().checked_sub(header_len) {
        Some(len) if (TAG..=MAX_LEN).contains(&len) && header_len <= MAX_HEADROOM => len,
        _ => return false,
    };
    let mut pieces = 1;
    if !skb.is_writable() {
        let mut trailer = null_mut();
        // SAFETY: By its type invariants, `skb` is valid and not shared.
        pieces = unsafe { bindings::skb_cow_data(skb.as_raw(), 0, &mut trailer) };
    }
    let Ok(pieces @ 1..) = u32::try_from(pieces) else {
        return false;
    };
    if header_len > skb.linear_len() {
        return false;
    }
    // SAFETY: The header is linear.
    unsafe { skb.pull(header_len) };
    let plain_len = sealed_len.wrapping_sub(TAG);
    let roomy = skb.headroom() >= one_pass::BEFORE_U32;
    let small = plain_len <= one_pass::MAX_SMALL_LEN && one_pass::pays_off(plain_len);
    let authentic = if skb.is_linear() && roomy && small {
        // SAFETY: The data are linear and not shared, and neither is the room before them.
        unsafe { one_pass::open_small(skb.at(0), plain_len, nonce, key) }
    } else if skb.is_linear() {
        let data = skb.at(0);
        // SAFETY: `data` are linear and not shared. The function works in place.
        unsafe {
            bindings::chacha20poly1305_decrypt(
                data,
                data,
                u32_as_usize(sealed_len),
                null(),
                0,
                nonce,
                key.as_ptr(),
            )
        }
    } else {
        with_pieces(skb, pieces, 0, sealed_len, |table| {
            let len = u32_as_usize(sealed_len);
            // SAFETY: The table describes that many bytes, which are not shared.
            unsafe {
                bindings::chacha20poly1305_decrypt_sg_inplace(
                    table,
                    len,
                    null(),
                    0,
                    nonce,
                    key.as_ptr(),
                )
            }
        })
    };
    authentic && skb.trim(plain_len)
}

/// Calls `crypt` with the scatterlist of the `len` bytes of `skb` from `offset` on, which has at most
/// `pieces` entries.
///
/// Not inlined, as the table is what makes the stack frame large.
#[inline(never)]
fn with_pieces(
    skb: &SkBuff,
    pieces: u32,
    offset: usize,
    len: u32,
    crypt: impl FnOnce(*mut bindings::scatterlist) -> bool,
) -> bool {
    let mut table = [const { MaybeUninit::<bindings::scatterlist>::uninit() }; MAX_PIECES];
    let table = table.as_mut_ptr().cast();
    let (Ok(offset), Ok(len)) = (c_int::try_from(offset), c_int::try_from(len)) else {
        return false;
    };
    if u32_as_usize(pieces) > MAX_PIECES {
        return false;
    }
    // SAFETY: The table has room for as many entries.
    unsafe { bindings::sg_init_table(table, pieces) };
    // SAFETY: By its type invariants, `skb` is valid. The caller has counted its pieces.
    let filled = unsafe { bindings::skb_to_sgvec(skb.as_raw(), table, offset, len) };
    filled > 0 && crypt(table)
}
