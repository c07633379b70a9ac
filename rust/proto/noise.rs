// SPDX-License-Identifier: GPL-2.0

//! Noise's symmetric state.
//!
//! Methods have the names that the [specification](https://noiseprotocol.org/noise.html) gives
//! them in section 5.2; [`crate::handshake`] expresses the tokens of a message pattern (`e`, `es`,
//! ...) in terms of them. A CipherState is reduced to its key, which lives while one message is
//! processed: each key encrypts once, so its nonce is always 0.

use crate::{
    crypto::Suite,
    secret::Secret, //
};

/// BLAKE2s of `"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"`.
const INITIAL_CHAINING_KEY: [u8; 32] = [
    0x60, 0xe2, 0x6d, 0xae, 0xf3, 0x27, 0xef, 0xc0, 0x2e, 0xc3, 0x35, 0xe2, 0xa0, 0x25, 0xd2, 0xd0,
    0x16, 0xeb, 0x42, 0x06, 0xf8, 0x72, 0x77, 0xf5, 0x2d, 0x38, 0xd1, 0x98, 0x8b, 0x78, 0xcd, 0x36,
];

/// BLAKE2s of the above and the prologue, `"WireGuard v1 zx2c4 Jason@zx2c4.com"`.
const INITIAL_HASH: [u8; 32] = [
    0x22, 0x11, 0xb3, 0x61, 0x08, 0x1a, 0xc5, 0x66, 0x69, 0x12, 0x43, 0xdb, 0x45, 0x8a, 0xd5, 0x32,
    0x2d, 0x9c, 0x6c, 0x66, 0x22, 0x93, 0xe8, 0xb7, 0x0e, 0xe1, 0x9c, 0x65, 0xba, 0x07, 0x9e, 0xf3,
];

/// SymmetricState: the state that both parties share in the course of a handshake.
pub struct SymmetricState {
    /// The chaining key (`ck`), from which keys are derived.
    chaining_key: Secret<32>,
    /// The transcript hash (`h`) of the handshake so far.
    hash: Secret<32>,
}

impl SymmetricState {
    /// Returns a zero state, to be [initialized](Self::initialize).
    pub const fn zero() -> Self {
        Self {
            chaining_key: Secret::zero(),
            hash: Secret::zero(),
        }
    }

    /// InitializeSymmetric, MixHash(prologue), and the pre-message `<- s`: begins a handshake with
    /// the peer whose static public key is `responder`.
    pub fn initialize<S: Suite>(&mut self, responder: &[u8; 32]) {
        *self.chaining_key.as_mut_bytes() = INITIAL_CHAINING_KEY;
        *self.hash.as_mut_bytes() = INITIAL_HASH;
        self.mix_hash::<S>(responder);
    }

    /// Overwrites this state with `other`.
    pub fn copy_from(&mut self, other: &Self) {
        self.chaining_key.copy_from(&other.chaining_key);
        self.hash.copy_from(&other.hash);
    }

    /// Overwrites this state with zeros.
    pub fn wipe(&mut self) {
        self.chaining_key.wipe();
        self.hash.wipe();
    }

    /// MixHash: mixes `data` into the transcript hash.
    pub fn mix_hash<S: Suite>(&mut self, data: &[u8]) {
        let mut hash = Secret::zero();

        S::hash(&[self.hash.as_bytes(), data], hash.as_mut_bytes());
        self.hash.copy_from(&hash);
    }

    /// MixKey: mixes `input` into the chaining key, and derives `key`.
    pub fn mix_key<S: Suite>(&mut self, input: &[u8], key: &mut Secret<32>) {
        let mut secret = Secret::zero();

        extract::<S>(&self.chaining_key, input, &mut secret);
        expand::<S, 2>(&secret, [&mut self.chaining_key, key]);
    }

    /// MixKey without deriving a key, where it would not be used.
    pub fn mix_chaining_key<S: Suite>(&mut self, input: &[u8]) {
        let mut secret = Secret::zero();

        extract::<S>(&self.chaining_key, input, &mut secret);
        expand::<S, 1>(&secret, [&mut self.chaining_key]);
    }

    /// The token `e` in a pattern with a preshared key: MixHash and MixKey of an ephemeral public
    /// key.
    pub fn mix_ephemeral<S: Suite>(&mut self, public: &[u8; 32]) {
        self.mix_hash::<S>(public);
        self.mix_chaining_key::<S>(public);
    }

    /// MixKey(DH(`private`, `public`)): derives `key` if one is wanted.
    ///
    /// Returns `None`, and leaves the state as it was, if `public` has a low order.
    pub fn mix_dh<S: Suite>(
        &mut self,
        private: &Secret<32>,
        public: &[u8; 32],
        key: Option<&mut Secret<32>>,
    ) -> Option<()> {
        let mut shared = Secret::<32>::zero();

        if !S::x25519(shared.as_mut_bytes(), private.as_bytes(), public) {
            return None;
        }
        match key {
            Some(key) => self.mix_key::<S>(shared.as_bytes(), key),
            None => self.mix_chaining_key::<S>(shared.as_bytes()),
        }
        Some(())
    }

    /// [`mix_dh`](Self::mix_dh) with a precomputed result, which is zero if that Diffie-Hellman failed.
    pub fn mix_precomputed_dh<S: Suite>(
        &mut self,
        shared: &Secret<32>,
        key: &mut Secret<32>,
    ) -> Option<()> {
        if shared.is_zero::<S>() {
            return None;
        }
        self.mix_key::<S>(shared.as_bytes(), key);
        Some(())
    }

    /// MixKeyAndHash: mixes `input`, the preshared key, into the chaining key and the transcript
    /// hash, and derives `key`.
    pub fn mix_key_and_hash<S: Suite>(&mut self, input: &Secret<32>, key: &mut Secret<32>) {
        let mut secret = Secret::zero();
        let mut hash = Secret::zero();

        extract::<S>(&self.chaining_key, input.as_bytes(), &mut secret);
        expand::<S, 3>(&secret, [&mut self.chaining_key, &mut hash, key]);
        self.mix_hash::<S>(hash.as_bytes());
    }

    /// EncryptAndHash: encrypts `plaintext` with `key`, with the transcript hash as associated data,
    /// and mixes the ciphertext into the transcript hash.
    ///
    /// `ciphertext` must be 16 bytes longer.
    pub fn encrypt_and_hash<S: Suite>(
        &mut self,
        key: &Secret<32>,
        plaintext: &[u8],
        ciphertext: &mut [u8],
    ) {
        S::seal(
            ciphertext,
            plaintext,
            self.hash.as_bytes(),
            0,
            key.as_bytes(),
        );
        self.mix_hash::<S>(ciphertext);
    }

    /// DecryptAndHash: decrypts `ciphertext` with `key`, with the transcript hash as associated data,
    /// and mixes the ciphertext into the transcript hash.
    ///
    /// `plaintext` must be 16 bytes shorter. Returns `None`, and leaves the state as it was, if the
    /// ciphertext is not authentic.
    pub fn decrypt_and_hash<S: Suite>(
        &mut self,
        key: &Secret<32>,
        ciphertext: &[u8],
        plaintext: &mut [u8],
    ) -> Option<()> {
        if !S::open(
            plaintext,
            ciphertext,
            self.hash.as_bytes(),
            0,
            key.as_bytes(),
        ) {
            return None;
        }
        self.mix_hash::<S>(ciphertext);
        Some(())
    }

    /// Split: derives the keys of a session, the one with which the initiator sends and the one with
    /// which the responder sends.
    pub fn split<S: Suite>(&self, initiator: &mut Secret<32>, responder: &mut Secret<32>) {
        let mut secret = Secret::zero();

        extract::<S>(&self.chaining_key, &[], &mut secret);
        expand::<S, 2>(&secret, [initiator, responder]);
    }
}

/// Computes HMAC-BLAKE2s of the concatenation of `first` and `second` (RFC 2104).
fn hmac<S: Suite>(key: &Secret<32>, first: &[u8], second: &[u8], out: &mut Secret<32>) {
    let mut pad = Secret::<64>::zero();
    let mut inner = Secret::<32>::zero();

    fill(&mut pad, key, 0x36);
    S::hash(&[pad.as_bytes(), first, second], inner.as_mut_bytes());
    fill(&mut pad, key, 0x5c);
    S::hash(&[pad.as_bytes(), inner.as_bytes()], out.as_mut_bytes());
}

/// Fills a block of the hash with the zero-padded `key`, XORed with `byte`.
fn fill(pad: &mut Secret<64>, key: &Secret<32>, byte: u8) {
    let pad = pad.as_mut_bytes();

    *pad = [byte; 64];
    for (to, from) in pad.iter_mut().zip(key.as_bytes()) {
        *to ^= from;
    }
}

/// HKDF-Extract (RFC 5869): derives `secret` from `input`.
fn extract<S: Suite>(chaining_key: &Secret<32>, input: &[u8], secret: &mut Secret<32>) {
    hmac::<S>(chaining_key, input, &[], secret);
}

/// HKDF-Expand: derives `outputs` from `secret`.
fn expand<S: Suite, const N: usize>(secret: &Secret<32>, outputs: [&mut Secret<32>; N]) {
    let mut previous: &[u8] = &[];
    let mut number = 0u8;

    for output in outputs {
        number = number.wrapping_add(1);
        hmac::<S>(secret, previous, &[number], output);
        previous = output.as_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        suite::RustCrypto,
        vectors, //
    };

    fn hash(parts: &[&[u8]]) -> [u8; 32] {
        let mut out = [0; 32];

        RustCrypto::hash(parts, &mut out);
        out
    }

    /// Returns a state that is not trivial.
    fn state() -> SymmetricState {
        let mut state = SymmetricState::zero();

        state.initialize::<RustCrypto>(&vectors::RESPONDER_PUBLIC);
        state
    }

    #[test]
    fn constants_are_hashes_of_the_names() {
        let name = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
        let prologue = b"WireGuard v1 zx2c4 Jason@zx2c4.com";

        assert_eq!(INITIAL_CHAINING_KEY, hash(&[name]));
        assert_eq!(INITIAL_HASH, hash(&[&INITIAL_CHAINING_KEY, prologue]));
    }

    // The answers are those of Python's `hmac` and `hashlib`.
    #[test]
    fn hmac_gives_known_answers() {
        let key = Secret::from(&vectors::INITIATOR);
        let mut out = Secret::zero();

        hmac::<RustCrypto>(&key, b"", b"", &mut out);
        assert_eq!(
            out.as_bytes(),
            &[
                0xe2, 0x64, 0x1d, 0x24, 0xdf, 0xa8, 0xdd, 0x89, 0xe8, 0xcb, 0x77, 0xf1, 0xcd, 0xc7,
                0x7d, 0x8c, 0x00, 0x6e, 0x5b, 0xeb, 0xdf, 0xc4, 0xd6, 0xa3, 0xa3, 0xa6, 0xf8, 0xd5,
                0xb7, 0x58, 0x6f, 0xb0
            ]
        );
        hmac::<RustCrypto>(&key, b"what do ya want ", b"for nothing?", &mut out);
        assert_eq!(
            out.as_bytes(),
            &[
                0x14, 0x22, 0x9d, 0xde, 0x9c, 0xdb, 0xd4, 0xdd, 0x31, 0xb1, 0xa7, 0x03, 0xac, 0x36,
                0x83, 0x2e, 0xcc, 0x91, 0x77, 0xe0, 0xba, 0x0d, 0x46, 0x32, 0x56, 0x85, 0x15, 0xaa,
                0xec, 0x7e, 0x40, 0x1f
            ]
        );
    }

    #[test]
    fn fewer_keys_are_the_first_of_more() {
        let mut one = state();
        let mut two = state();
        let mut three = state();
        let mut key = Secret::zero();
        let input = Secret::from(&vectors::PRESHARED_KEY);

        one.mix_chaining_key::<RustCrypto>(input.as_bytes());
        two.mix_key::<RustCrypto>(input.as_bytes(), &mut key);
        assert_eq!(one.chaining_key.as_bytes(), two.chaining_key.as_bytes());
        assert_eq!(one.hash.as_bytes(), two.hash.as_bytes());

        // Of three, the second is not a key, but what is hashed.
        three.mix_key_and_hash::<RustCrypto>(&input, &mut Secret::zero());
        assert_eq!(one.chaining_key.as_bytes(), three.chaining_key.as_bytes());
        two.mix_hash::<RustCrypto>(key.as_bytes());
        assert_eq!(two.hash.as_bytes(), three.hash.as_bytes());
    }

    #[test]
    fn decrypts_what_it_encrypts() {
        let key = Secret::from(&vectors::PRESHARED_KEY);
        let (mut ours, mut theirs) = (state(), state());
        let mut ciphertext = [0; 21];
        let mut plaintext = [0; 5];

        ours.encrypt_and_hash::<RustCrypto>(&key, b"hello", &mut ciphertext);
        assert!(theirs
            .decrypt_and_hash::<RustCrypto>(&key, &ciphertext, &mut plaintext)
            .is_some());
        assert_eq!(&plaintext, b"hello");
        assert_eq!(ours.hash.as_bytes(), theirs.hash.as_bytes());

        // Both went on, so that the same is not accepted twice.
        assert!(theirs
            .decrypt_and_hash::<RustCrypto>(&key, &ciphertext, &mut plaintext)
            .is_none());
        assert_eq!(ours.hash.as_bytes(), theirs.hash.as_bytes());
    }

    #[test]
    fn refuses_points_of_low_order() {
        let private = Secret::from(&vectors::INITIATOR);

        for point in &vectors::LOW_ORDER {
            let mut refused = state();
            let mut key = Secret::zero();

            for key in [None, Some(&mut key)] {
                assert!(refused.mix_dh::<RustCrypto>(&private, point, key).is_none());
            }
            assert!(key.is_zero::<RustCrypto>());
            assert_eq!(refused.chaining_key.as_bytes(), &INITIAL_CHAINING_KEY);
        }
        assert!(state()
            .mix_precomputed_dh::<RustCrypto>(&Secret::zero(), &mut Secret::zero())
            .is_none());
    }

    #[test]
    fn precomputed_or_not_is_the_same() {
        let private = Secret::from(&vectors::INITIATOR);
        let public = &vectors::RESPONDER_PUBLIC;
        let (mut now, mut before) = (state(), state());
        let (mut key, mut precomputed_key) = (Secret::zero(), Secret::zero());
        let mut shared = Secret::zero();

        assert!(RustCrypto::x25519(
            shared.as_mut_bytes(),
            private.as_bytes(),
            public
        ));
        now.mix_dh::<RustCrypto>(&private, public, Some(&mut key))
            .unwrap();
        before
            .mix_precomputed_dh::<RustCrypto>(&shared, &mut precomputed_key)
            .unwrap();
        assert_eq!(key.as_bytes(), precomputed_key.as_bytes());
        assert_eq!(now.chaining_key.as_bytes(), before.chaining_key.as_bytes());
    }

    #[test]
    fn is_zero_when_wiped() {
        let mut state = state();
        let mut copy = SymmetricState::zero();

        copy.copy_from(&state);
        assert_eq!(copy.hash.as_bytes(), state.hash.as_bytes());
        assert_eq!(copy.chaining_key.as_bytes(), &INITIAL_CHAINING_KEY);
        state.wipe();
        assert!(state.hash.is_zero::<RustCrypto>());
        assert!(state.chaining_key.is_zero::<RustCrypto>());
    }
}
