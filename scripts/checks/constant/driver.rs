// SPDX-License-Identifier: GPL-2.0
//
// What the driver has the protocol do with secrets, behind functions that C can call: constant.sh
// compiles this as the driver, with the driver's own `Suite`. `early` is that with a comparison
// that ends at the first difference, which has to be noticed.

#![no_std]

#[path = "../../../rust/wireguard/crypto.rs"]
mod crypto;

use crypto::Kernel;
use wg_proto::{
    admission::{
        admit,
        Admission,
        Host, //
    },
    cookie::{
        Checker,
        Maker,
        Source, //
    },
    crypto::Suite,
    handshake::{
        Claim,
        Handshake, //
    },
    identity::Identity,
    mac::FirstMac,
    secret::Secret,
    tai64n::Timestamp,
    wire::{
        Index,
        Initiation,
        Response, //
    }, //
};

/// [`Kernel`], but for the comparison.
struct Early;

impl Suite for Early {
    fn hash(parts: &[&[u8]], out: &mut [u8; 32]) {
        Kernel::hash(parts, out);
    }

    fn mac(key: &[u8], parts: &[&[u8]], out: &mut [u8; 16]) {
        Kernel::mac(key, parts, out);
    }

    fn seal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; 32]) {
        Kernel::seal(dst, src, ad, nonce, key);
    }

    fn open(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: u64, key: &[u8; 32]) -> bool {
        Kernel::open(dst, src, ad, nonce, key)
    }

    fn xseal(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8; 24], key: &[u8; 32]) {
        Kernel::xseal(dst, src, ad, nonce, key);
    }

    fn xopen(dst: &mut [u8], src: &[u8], ad: &[u8], nonce: &[u8; 24], key: &[u8; 32]) -> bool {
        Kernel::xopen(dst, src, ad, nonce, key)
    }

    fn x25519(out: &mut [u8; 32], secret: &[u8; 32], public: &[u8; 32]) -> bool {
        Kernel::x25519(out, secret, public)
    }

    fn x25519_public(out: &mut [u8; 32], secret: &[u8; 32]) -> bool {
        Kernel::x25519_public(out, secret)
    }

    fn eq(a: &[u8], b: &[u8]) -> bool {
        a.iter().zip(b).all(|(a, b)| a == b)
    }
}

/// A host with load, whose secret of cookies is given.
struct Loaded<'a>(&'a [u8; 32]);

impl Host for Loaded<'_> {
    fn is_under_load(&mut self) -> bool {
        true
    }

    fn copy_checker(&mut self, copy: &mut Checker) {
        copy.refresh(|secret| *secret = *self.0, 1);
    }

    fn allows(&mut self) -> bool {
        true
    }

    fn fill(&mut self, _nonce: &mut [u8; 24]) {}
}

fn mac1_is_right<S: Suite>(public: &[u8; 32], message: &[u8; 148]) -> bool {
    FirstMac::new::<S>(public).is_right::<S>(message)
}

fn mac2_is_right<S: Suite>(private: &[u8; 32], message: &[u8; 148], secret: &[u8; 32]) -> bool {
    let mut identity = Identity::zero();

    if identity.initialize::<S>(private).is_none() {
        return false;
    }
    let source = Source::v4(&[192, 0, 2, 1], 51820);
    let admission = admit::<S>(&identity, message, Index(1), &source, &mut Loaded(secret));
    matches!(admission, Admission::Process)
}

/// Checks the first MAC of a message.
#[no_mangle]
pub extern "C" fn mac1(public: &[u8; 32], message: &[u8; 148]) -> bool {
    mac1_is_right::<Kernel>(public, message)
}

/// Checks the second, made with a cookie from `secret`, or answers with a cookie.
#[no_mangle]
pub extern "C" fn mac2(private: &[u8; 32], message: &[u8; 148], secret: &[u8; 32]) -> bool {
    mac2_is_right::<Kernel>(private, message, secret)
}

/// As [`mac1`].
#[no_mangle]
pub extern "C" fn early_mac1(public: &[u8; 32], message: &[u8; 148]) -> bool {
    mac1_is_right::<Early>(public, message)
}

/// As [`mac2`].
#[no_mangle]
pub extern "C" fn early_mac2(private: &[u8; 32], message: &[u8; 148], secret: &[u8; 32]) -> bool {
    mac2_is_right::<Early>(private, message, secret)
}

/// Compares keys as what is no secret is compared.
#[no_mangle]
pub extern "C" fn early_key(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a == b
}

/// Writes the MACs of a message.
#[no_mangle]
pub extern "C" fn add_macs(public: &[u8; 32], message: &mut [u8; 148]) {
    Maker::new::<Kernel>(public).add_macs::<Kernel>(message, 1);
}

/// Creates an initiation, and accepts `response` to it.
#[no_mangle]
pub extern "C" fn initiate(
    private: &[u8; 32],
    remote: &[u8; 32],
    psk: &[u8; 32],
    ephemeral: &[u8; 32],
    response: &[u8; 92],
    keys: &mut [[u8; 32]; 2],
) -> bool {
    let Some(response) = Response::from_bytes(response) else {
        return false;
    };
    let mut ephemeral = Secret::from(ephemeral);
    shake_hands(private, remote, psk, keys, |_, handshake| {
        let created =
            handshake.create_initiation::<Kernel>(&mut ephemeral, Index(1), Timestamp([1; 12]));
        created.is_some() && handshake.consume_response::<Kernel>(&response).is_some()
    })
}

/// Accepts an initiation, and creates the response.
#[no_mangle]
pub extern "C" fn respond(
    private: &[u8; 32],
    remote: &[u8; 32],
    psk: &[u8; 32],
    ephemeral: &[u8; 32],
    initiation: &[u8; 148],
    keys: &mut [[u8; 32]; 2],
) -> bool {
    let Some(message) = Initiation::from_bytes(initiation) else {
        return false;
    };
    let mut ephemeral = Secret::from(ephemeral);
    shake_hands(private, remote, psk, keys, |identity, handshake| {
        let mut claim = Claim::new(&identity, &message);
        claim.open::<Kernel>().is_some()
            && handshake
                .consume_initiation::<Kernel>(&mut claim, 1)
                .is_ok()
            && handshake
                .create_response::<Kernel>(&mut ephemeral, Index(2))
                .is_some()
    })
}

/// Begins a session after the handshake that `messages` does, which returns whether it came to its end.
fn shake_hands(
    private: &[u8; 32],
    remote: &[u8; 32],
    psk: &[u8; 32],
    keys: &mut [[u8; 32]; 2],
    messages: impl for<'a> FnOnce(&'a Identity, &mut Handshake<&'a Identity>) -> bool,
) -> bool {
    let mut identity = Identity::zero();

    if identity.initialize::<Kernel>(private).is_none() {
        return false;
    }
    let mut handshake = Handshake::new::<Kernel>(remote, psk, Some(&identity));
    if !messages(&identity, &mut handshake) {
        return false;
    }
    let (mut sending, mut receiving) = (Secret::zero(), Secret::zero());
    let begun = handshake.begin_session::<Kernel>(&mut sending, &mut receiving);
    *keys = [*sending.as_bytes(), *receiving.as_bytes()];
    begun.is_some()
}
