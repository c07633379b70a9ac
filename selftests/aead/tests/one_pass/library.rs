// SPDX-License-Identifier: GPL-2.0

//! The functions of the kernel's library that one pass of ChaCha20 is made of, and somebody who writes to memory while
//! they work.

use chacha20::cipher::{
    KeyIvInit,
    StreamCipher,
    StreamCipherSeek, //
};
use poly1305::{
    universal_hash::KeyInit,
    Poly1305, //
};
use std::{
    cell::Cell,
    ffi::c_void,
    slice, //
};

/// "expand 32-byte k".
pub const chacha_constants_CHACHA_CONSTANT_EXPA: u32 = 0x6170_7865;
/// As above.
pub const chacha_constants_CHACHA_CONSTANT_ND_3: u32 = 0x3320_646e;
/// As above.
pub const chacha_constants_CHACHA_CONSTANT_2_BY: u32 = 0x7962_2d32;
/// As above.
pub const chacha_constants_CHACHA_CONSTANT_TE_K: u32 = 0x6b20_6574;

/// The state of ChaCha20.
#[repr(C)]
pub struct chacha_state {
    /// Constants, key, block number, and a nonce of 96 bits.
    pub x: [u32; 16],
}

/// The state of Poly1305: its key, and what was added so far.
pub struct poly1305_desc_ctx {
    key: [u8; 32],
    data: Vec<u8>,
}

/// When memory is written to.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// Before it is encrypted, and after it was read.
    Before,
    /// Afterwards.
    After,
}

thread_local! {
    static CHANGE: Cell<Option<(*mut u8, When)>> = const { Cell::new(None) };
}

/// Has the byte at `at` changed once, when ChaCha20 runs for the next time.
pub fn change(at: *const u8, when: When) {
    CHANGE.set(Some((at.cast_mut(), when)));
}

/// Changes that byte if this is when.
fn changed(now: impl Fn(When) -> bool) {
    if let Some((at, when)) = CHANGE.get() {
        if now(when) {
            CHANGE.set(None);
            // SAFETY: The test has said that it is there; it is read by whoever was given its address alone.
            unsafe { at.write(!at.read()) };
        }
    }
}

/// Encrypts `bytes` bytes of `src` to `dst`.
///
/// # Safety
///
/// All must be valid for as many bytes.
pub unsafe fn chacha_crypt(
    state: &mut chacha_state,
    dst: *mut u8,
    src: *const u8,
    bytes: u32,
    rounds: i32,
) {
    assert_eq!(rounds, 20);
    let words: Vec<u8> = state.x.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(&words[..16], b"expand 32-byte k");
    let mut cipher =
        chacha20::ChaCha20::new_from_slices(&words[16..48], &words[52..]).expect("lengths");
    cipher.seek(u64::from(state.x[12]) * 64);
    changed(|when| matches!(when, When::Before));
    // SAFETY: By the safety requirements.
    let mut data = unsafe { slice::from_raw_parts(src, bytes as usize) }.to_vec();
    cipher.apply_keystream(&mut data);
    // SAFETY: By the safety requirements.
    unsafe { dst.copy_from(data.as_ptr(), data.len()) };
    changed(|when| matches!(when, When::After));
}

/// Begins to authenticate.
///
/// # Safety
///
/// `key` must be 32 bytes, and `state` be valid for writes.
pub unsafe fn poly1305_init(state: *mut poly1305_desc_ctx, key: *const u8) {
    let state_now = poly1305_desc_ctx {
        // SAFETY: By the safety requirements.
        key: unsafe { key.cast::<[u8; 32]>().read() },
        data: Vec::new(),
    };
    // SAFETY: By the safety requirements.
    unsafe { state.write(state_now) };
}

/// Adds `len` bytes.
///
/// # Safety
///
/// They must be there, and `state` have been begun.
pub unsafe fn poly1305_update(state: *mut poly1305_desc_ctx, data: *const u8, len: u32) {
    // SAFETY: By the safety requirements.
    let data = unsafe { slice::from_raw_parts(data, len as usize) };
    // SAFETY: As above.
    unsafe { &mut *state }.data.extend(data);
}

/// Writes the tag, and ends.
///
/// # Safety
///
/// There must be room for it, and `state` have been begun.
pub unsafe fn poly1305_final(state: *mut poly1305_desc_ctx, tag: *mut u8) {
    // SAFETY: By the safety requirements.
    let state = unsafe { state.read() };
    let made = Poly1305::new(&state.key.into()).compute_unpadded(&state.data);
    // SAFETY: As above.
    unsafe { tag.copy_from(made.as_ptr(), made.len()) };
}

/// Overwrites memory with zeros.
///
/// # Safety
///
/// There must be as much.
pub unsafe fn memzero_explicit(at: *mut c_void, len: usize) {
    // SAFETY: By the safety requirements.
    unsafe { at.write_bytes(0, len) };
}
