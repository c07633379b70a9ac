// SPDX-License-Identifier: GPL-2.0

//! What is tested, and how to call it.

/// A message, as the assembly knows it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Where it is.
    pub src: *const u8,
    /// Where it goes: the same place, or one apart from all others.
    pub dst: *mut u8,
    /// Its length without the tag.
    pub len: usize,
    /// Its nonce.
    pub nonce: u64,
    /// Its key.
    pub key: *const [u8; 32],
}

/// Memory that the assembly works in.
#[repr(C, align(64))]
pub struct Scratch(pub [u8; Scratch::LEN]);

impl Scratch {
    /// How much it needs.
    pub const LEN: usize = 3392;

    /// Returns some that holds what the assembly must not rely on.
    pub fn new() -> Box<Self> {
        Box::new(Self([0xaa; Self::LEN]))
    }
}

/// What a function leaves behind.
#[repr(C)]
pub struct Left {
    /// `rbx`, `rcx`, `rdx`, `rsi`, `rdi`, `rbp`, `r8` to `r15`, `rax`.
    pub general: [u64; 15],
    /// How many words of the stack were written.
    pub stack: u64,
    /// `k0` to `k7`.
    pub masks: [u64; 8],
    /// `zmm0` to `zmm31`.
    pub vectors: [[u8; 64]; 32],
}

/// Takes messages, how many they are, and scratch memory.
type Function = unsafe extern "C" fn(*const Message, u32, *mut Scratch) -> u32;

extern "C" {
    fn wg_harness(
        function: Function,
        messages: *const Message,
        n: u32,
        scratch: *mut Scratch,
        left: *mut Left,
    );
}

/// The two functions.
#[derive(Clone, Copy)]
pub struct Code {
    seal: Function,
    open: Function,
}

impl Code {
    /// Encrypts.
    ///
    /// # Safety
    ///
    /// There must be 1 to 8 messages, valid, and the processor must be able to run this.
    pub unsafe fn seal(&self, messages: &[Message], scratch: *mut Scratch) {
        // SAFETY: As above.
        unsafe { (self.seal)(messages.as_ptr(), messages.len() as u32, scratch) };
    }

    /// Decrypts, and returns a mask of the messages that are authentic.
    ///
    /// # Safety
    ///
    /// As for [`Self::seal`].
    pub unsafe fn open(&self, messages: &[Message], scratch: *mut Scratch) -> u32 {
        // SAFETY: As above.
        unsafe { (self.open)(messages.as_ptr(), messages.len() as u32, scratch) }
    }

    /// Encrypts or decrypts, and returns what that leaves behind.
    ///
    /// # Safety
    ///
    /// As for [`Self::seal`].
    pub unsafe fn left(
        &self,
        open: bool,
        messages: &[Message],
        scratch: *mut Scratch,
    ) -> Box<Left> {
        let function = if open { self.open } else { self.seal };
        let mut left = Box::new(Left {
            general: [0; 15],
            stack: 0,
            masks: [0; 8],
            vectors: [[0xff; 64]; 32],
        });

        // SAFETY: As above.
        unsafe {
            wg_harness(
                function,
                messages.as_ptr(),
                messages.len() as u32,
                scratch,
                &mut *left,
            )
        };
        left
    }
}

macro_rules! functions {
    ($($seal:ident $open:ident)*) => {
        extern "C" {
            $(
                fn $seal(messages: *const Message, n: u32, scratch: *mut Scratch) -> u32;
                fn $open(messages: *const Message, n: u32, scratch: *mut Scratch) -> u32;
            )*
        }
    };
}

functions!(wg_chacha20poly1305_seal_x8 wg_chacha20poly1305_open_x8);

/// What the kernel has.
pub const REAL: Code = Code {
    seal: wg_chacha20poly1305_seal_x8,
    open: wg_chacha20poly1305_open_x8,
};

/// Defines [`planted`] by the names that `build.rs` gives to faults.
macro_rules! faults {
    ($($name:literal $seal:ident $open:ident)*) => {
        functions!($($seal $open)*);

        /// Returns the same with a fault.
        pub fn planted(name: &str) -> Code {
            match name {
                $($name => Code { seal: $seal, open: $open },)*
                _ => panic!("there is no fault {name}"),
            }
        }
    };
}

faults! {
    "carry" wg_carry_seal wg_carry_open
    "square" wg_square_seal wg_square_open
    "prime" wg_prime_seal wg_prime_open
    "sum" wg_sum_seal wg_sum_open
    "nonce" wg_nonce_seal wg_nonce_open
    "key" wg_key_seal wg_key_open
    "first_key" wg_first_key_seal wg_first_key_open
    "masked" wg_masked_seal wg_masked_open
    "half_tag" wg_half_tag_seal wg_half_tag_open
    "read_past" wg_read_past_seal wg_read_past_open
    "write_past" wg_write_past_seal wg_write_past_open
    "dummies" wg_dummies_seal wg_dummies_open
    "registers" wg_registers_seal wg_registers_open
    "high_registers" wg_high_registers_seal wg_high_registers_open
    "scratch" wg_scratch_seal wg_scratch_open
    "stack" wg_stack_seal wg_stack_open
    "preserved" wg_preserved_seal wg_preserved_open
}

/// Returns what the processor lacks of what the assembly needs.
pub(crate) fn missing() -> Option<&'static str> {
    macro_rules! first_missing {
        ($($feature:tt)*) => {
            $(if !is_x86_feature_detected!($feature) {
                return Some($feature);
            })*
        };
    }

    first_missing!("bmi2" "avx512f" "avx512vl" "avx512bw" "avx512dq" "avx512ifma" "avx512vbmi2");
    None
}
