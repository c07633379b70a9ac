// SPDX-License-Identifier: GPL-2.0

//! The assembly of the kernel's `lib/crypto`, called as that does, in the same pieces.

/// State of ChaCha20.
#[repr(C, align(16))]
struct State([u32; 16]);

/// State of Poly1305, as its assembly knows it: the hash, the key, powers of that.
#[repr(C, align(16))]
struct Hash {
    sum: [u32; 5],
    base_26: u32,
    rest: [u64; 21],
}

type Xor = unsafe extern "C" fn(*const State, *mut u8, *const u8, u32, i32);
type Blocks = unsafe extern "C" fn(*mut Hash, *const u8, usize, u32);

extern "C" {
    fn chacha_block_xor_ssse3(_: *const State, _: *mut u8, _: *const u8, _: u32, _: i32);
    fn chacha_2block_xor_avx2(_: *const State, _: *mut u8, _: *const u8, _: u32, _: i32);
    fn chacha_4block_xor_avx2(_: *const State, _: *mut u8, _: *const u8, _: u32, _: i32);
    fn chacha_8block_xor_avx2(_: *const State, _: *mut u8, _: *const u8, _: u32, _: i32);
    fn chacha_2block_xor_avx512vl(_: *const State, _: *mut u8, _: *const u8, _: u32, _: i32);
    fn chacha_4block_xor_avx512vl(_: *const State, _: *mut u8, _: *const u8, _: u32, _: i32);
    fn chacha_8block_xor_avx512vl(_: *const State, _: *mut u8, _: *const u8, _: u32, _: i32);
    fn poly1305_init_x86_64(_: *mut Hash, _: *const u8);
    fn poly1305_blocks_x86_64(_: *mut Hash, _: *const u8, _: usize, _: u32);
    fn poly1305_blocks_avx2(_: *mut Hash, _: *const u8, _: usize, _: u32);
    fn poly1305_blocks_avx512(_: *mut Hash, _: *const u8, _: usize, _: u32);
    fn poly1305_emit_avx(_: *const Hash, _: *mut u8, _: *const u8);
}

/// What the library uses on a processor.
pub(crate) struct Library {
    /// For one, two, four and eight blocks.
    xor: [Xor; 4],
    blocks: Blocks,
}

/// What it uses where there is AVX2.
pub(crate) const AVX2: Library = Library {
    xor: [
        chacha_block_xor_ssse3,
        chacha_2block_xor_avx2,
        chacha_4block_xor_avx2,
        chacha_8block_xor_avx2,
    ],
    blocks: poly1305_blocks_avx2,
};

/// What it uses where there is AVX-512.
pub(crate) const AVX512: Library = Library {
    xor: [
        chacha_2block_xor_avx512vl,
        chacha_2block_xor_avx512vl,
        chacha_4block_xor_avx512vl,
        chacha_8block_xor_avx512vl,
    ],
    blocks: poly1305_blocks_avx512,
};

/// Poly1305 of pieces.
struct Poly1305<'a> {
    library: &'a Library,
    hash: Hash,
    part: [u8; 16],
    len: usize,
}

impl<'a> Poly1305<'a> {
    unsafe fn new(library: &'a Library, key: *const u8) -> Self {
        let mut this = Self {
            library,
            hash: Hash {
                sum: [0; 5],
                base_26: 0,
                rest: [0; 21],
            },
            part: [0; 16],
            len: 0,
        };
        poly1305_init_x86_64(&mut this.hash, key);
        this
    }

    unsafe fn blocks(&mut self, data: *const u8, len: usize) {
        let short = len < 288 && self.hash.base_26 == 0;
        let function = if short {
            poly1305_blocks_x86_64
        } else {
            self.library.blocks
        };
        function(&mut self.hash, data, len, 1);
    }

    unsafe fn update(&mut self, mut data: *const u8, mut len: usize) {
        if self.len + len >= 16 {
            if self.len > 0 {
                let missing = 16 - self.len;
                self.part[self.len..]
                    .as_mut_ptr()
                    .copy_from_nonoverlapping(data, missing);
                let part = self.part;
                self.blocks(part.as_ptr(), 16);
                (data, len, self.len) = (data.add(missing), len - missing, 0);
            }
            if len >= 16 {
                self.blocks(data, len & !15);
                data = data.add(len & !15);
            }
            len &= 15;
        }
        if len > 0 {
            self.part[self.len..]
                .as_mut_ptr()
                .copy_from_nonoverlapping(data, len);
            self.len += len;
        }
    }
}

impl Library {
    fn state(key: &[u8; 32], nonce: u64) -> State {
        let mut x = [0; 16];
        x[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
        for (word, bytes) in x[4..12].iter_mut().zip(key.chunks_exact(4)) {
            *word = u32::from_le_bytes(bytes.try_into().unwrap());
        }
        x[14] = nonce as u32;
        x[15] = (nonce >> 32) as u32;
        State(x)
    }

    /// A single block is made without vectors.
    #[inline(never)]
    fn block(state: &mut State) -> [u8; 64] {
        fn quarter(x: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
            x[a] = x[a].wrapping_add(x[b]);
            x[d] = (x[d] ^ x[a]).rotate_left(16);
            x[c] = x[c].wrapping_add(x[d]);
            x[b] = (x[b] ^ x[c]).rotate_left(12);
            x[a] = x[a].wrapping_add(x[b]);
            x[d] = (x[d] ^ x[a]).rotate_left(8);
            x[c] = x[c].wrapping_add(x[d]);
            x[b] = (x[b] ^ x[c]).rotate_left(7);
        }
        let mut x = state.0;
        for _ in 0..10 {
            for i in 0..4 {
                quarter(&mut x, i, 4 + i, 8 + i, 12 + i);
            }
            for i in 0..4 {
                quarter(
                    &mut x,
                    i,
                    4 + (i + 1) % 4,
                    8 + (i + 2) % 4,
                    12 + (i + 3) % 4,
                );
            }
        }
        let mut stream = [0; 64];
        for (bytes, (a, b)) in stream.chunks_exact_mut(4).zip(x.iter().zip(&state.0)) {
            bytes.copy_from_slice(&a.wrapping_add(*b).to_le_bytes());
        }
        state.0[12] += 1;
        stream
    }

    unsafe fn crypt(&self, state: &mut State, mut data: *mut u8, mut len: usize) {
        if len <= 64 {
            for (i, byte) in Self::block(state).iter().enumerate().take(len) {
                *data.add(i) ^= byte;
            }
            return;
        }
        while len > 0 {
            let (which, most) = match len {
                257.. => (3, 8),
                129.. => (2, 4),
                65.. => (1, 2),
                _ => (0, 1),
            };
            self.xor[which](state, data, data, len as u32, 20);
            let done = len.min(most * 64);
            state.0[12] += done.div_ceil(64) as u32;
            (data, len) = (data.add(done), len - done);
        }
    }

    /// Encrypts as `chacha20poly1305_encrypt` does.
    ///
    /// # Safety
    ///
    /// There must be room for the tag, and the processor must be able to run this.
    pub(crate) unsafe fn seal(&self, data: *mut u8, len: usize, nonce: u64, key: &[u8; 32]) {
        let mut state = Self::state(key, nonce);
        let key = Self::block(&mut state);
        let mut poly1305 = Poly1305::new(self, key.as_ptr());
        self.crypt(&mut state, data, len);
        poly1305.update(data, len);
        if len % 16 != 0 {
            poly1305.update([0; 16].as_ptr(), 16 - len % 16);
        }
        poly1305.update([0, len as u64].as_ptr().cast(), 16);
        poly1305_emit_avx(&poly1305.hash, data.add(len), key[16..].as_ptr());
    }

    /// Encrypts as `one_pass.rs` does: both in one call each.
    ///
    /// # Safety
    ///
    /// As above, with 64 bytes of room before the data, and 32 behind the tag.
    pub(crate) unsafe fn seal_in_one_pass(
        &self,
        data: *mut u8,
        len: usize,
        nonce: u64,
        key: &[u8; 32],
    ) {
        let before = data.sub(64).cast::<[u8; 64]>();
        let saved = before.read();
        before.write([0; 64]);
        let mut state = Self::state(key, nonce);
        self.crypt(&mut state, before.cast(), 64 + len);
        let key = before.read();
        before.write(saved);
        let mut poly1305 = Poly1305::new(self, key.as_ptr());
        let padded = len.next_multiple_of(16);
        data.add(len).write_bytes(0, padded - len);
        data.add(padded)
            .cast::<[u64; 2]>()
            .write_unaligned([0, len as u64]);
        poly1305.update(data, padded + 16);
        poly1305_emit_avx(&poly1305.hash, data.add(len), key[16..].as_ptr());
    }
}
