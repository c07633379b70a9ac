// SPDX-License-Identifier: GPL-2.0

//! No secrets are left on the stack.
//!
//! A handshake is done on a stack of our own, which is then searched. The suite is a toy, because
//! one worth its name leaves things of its own behind.

use std::{
    cell::RefCell,
    sync::Arc, //
};

use wg_proto::{
    crypto::Suite,
    handshake::{
        Claim,
        Handshake, //
    },
    identity::Identity,
    secret::{
        wipe_stack,
        Secret, //
    },
    tai64n::Timestamp,
    wire::Index, //
};

/// No cryptography whatever, except that both sides come to the same keys.
struct Toy;

thread_local! {
    /// All that [`Toy`] computed.
    static COMPUTED: RefCell<Vec<[u8; 32]>> = const { RefCell::new(Vec::new()) };
}

impl Toy {
    fn mix(out: &mut [u8], parts: &[&[u8]]) {
        let mut state = 0x6a09_e667_f3bc_c908u64;

        for byte in parts.iter().flat_map(|part| part.iter()) {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            state ^= state >> 29;
        }
        for byte in out {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            *byte = state.to_be_bytes()[0];
        }
    }
}

impl Suite for Toy {
    #[inline(never)]
    fn hash(parts: &[&[u8]], out: &mut [u8; 32]) {
        Self::mix(out, parts);
        COMPUTED.with_borrow_mut(|computed| {
            computed.push([0; 32]);
            computed.last_mut().unwrap().copy_from_slice(out);
        });
    }

    fn mac(_: &[u8], _: &[&[u8]], _: &mut [u8; 16]) {}

    #[inline(never)]
    fn seal(dst: &mut [u8], src: &[u8], _: &[u8], _: u64, _: &[u8; 32]) {
        dst[..src.len()].copy_from_slice(src);
    }

    #[inline(never)]
    fn open(dst: &mut [u8], src: &[u8], _: &[u8], _: u64, _: &[u8; 32]) -> bool {
        dst.copy_from_slice(&src[..dst.len()]);
        true
    }

    fn xseal(_: &mut [u8], _: &[u8], _: &[u8], _: &[u8; 24], _: &[u8; 32]) {}

    fn xopen(_: &mut [u8], _: &[u8], _: &[u8], _: &[u8; 24], _: &[u8; 32]) -> bool {
        false
    }

    #[inline(never)]
    fn x25519(out: &mut [u8; 32], secret: &[u8; 32], public: &[u8; 32]) -> bool {
        for (out, (secret, public)) in out.iter_mut().zip(secret.iter().zip(public)) {
            *out = secret.wrapping_mul(*public);
        }
        true
    }

    #[inline(never)]
    fn x25519_public(out: &mut [u8; 32], secret: &[u8; 32]) -> bool {
        for (out, secret) in out.iter_mut().zip(secret) {
            *out = secret.wrapping_mul(3);
        }
        true
    }

    fn eq(a: &[u8], b: &[u8]) -> bool {
        a == b
    }
}

/// Runs `step` on a stack of its own, and asserts that none of `secrets` is left there.
fn leaves_nothing<R>(secrets: &[[u8; 32]], step: impl FnOnce() -> R) -> R {
    const SIZE: usize = 1 << 17;

    let mut stack = vec![0xeeu8; SIZE];

    COMPUTED.take();

    // SAFETY: The memory is large enough, and nothing else uses it. Unwinding out of it does not
    // happen, unless the test fails anyway.
    let result = unsafe {
        psm::on_stack(stack.as_mut_ptr(), SIZE, || {
            let result = step();

            // In the driver, what `step` stands for is not inlined into what wipes. Here it may
            // be: nothing is left even of what would be in the wiper's own frame.
            wipe_stack();
            result
        })
    };
    let computed = COMPUTED.take();

    for part in secrets
        .iter()
        .chain(&computed)
        .flat_map(|secret| secret.chunks(8))
    {
        assert!(
            !stack.windows(8).any(|window| window == part),
            "{part:02x?} is left"
        );
    }
    result
}

#[test]
fn a_handshake_leaves_nothing_on_the_stack() {
    let [ours, theirs, our_ephemeral, their_ephemeral, preshared]: [[u8; 32]; 5] =
        [1u8, 2, 3, 4, 5].map(|number| {
            let mut key = [0; 32];

            Toy::mix(&mut key, &[&[number]]);
            key[0] &= 248;
            key[31] = key[31] & 127 | 64;
            key
        });

    // As the driver does it: all is made where it is to stay, and only then filled.
    let identity = |private: &[u8; 32]| {
        let mut identity = Arc::new(Identity::zero());

        Arc::get_mut(&mut identity)
            .unwrap()
            .initialize::<Toy>(private)
            .unwrap();
        identity
    };
    let us = leaves_nothing(&[ours], || identity(&ours));
    let them = leaves_nothing(&[theirs], || identity(&theirs));
    let mut static_static = [0; 32];

    Toy::x25519(&mut static_static, &ours, them.public());

    let handshake = |local: &Arc<Identity>, remote: &Arc<Identity>| {
        let mut handshake = Box::new(Handshake::new::<Toy>(remote.public(), &[0; 32], None));

        handshake.set_preshared_key(&preshared);
        handshake.set_identity::<Toy>(Some(local.clone()));
        handshake
    };
    let secrets = [static_static, preshared, ours, theirs];
    let mut initiator = leaves_nothing(&secrets, || handshake(&us, &them));
    let mut responder = leaves_nothing(&secrets, || handshake(&them, &us));

    let initiation = leaves_nothing(&[our_ephemeral, static_static, preshared], || {
        let mut ephemeral = Secret::zero();

        *ephemeral.as_mut_bytes() = our_ephemeral;
        initiator
            .create_initiation::<Toy>(&mut ephemeral, Index(1), Timestamp::from_unix(1, 0))
            .unwrap()
    });

    leaves_nothing(&secrets, || {
        let mut claim = Claim::new(&them, &initiation);

        claim.open::<Toy>().unwrap();

        responder.consume_initiation::<Toy>(&mut claim, 0).unwrap();
    });

    // If it is the first one, it comes before there is a handshake.
    leaves_nothing(&secrets, || {
        let mut claim = Claim::new(&them, &initiation);

        claim.open::<Toy>().unwrap();
        claim.prove_alone::<Toy>().unwrap();

        let mut responder = Box::new(Handshake::new::<Toy>(us.public(), &[0; 32], None));

        responder.set_identity_for::<Toy>(them.clone(), &claim);
        responder.consume_initiation::<Toy>(&mut claim, 0).unwrap();
    });

    let response = leaves_nothing(&[their_ephemeral, preshared], || {
        let mut ephemeral = Secret::zero();

        *ephemeral.as_mut_bytes() = their_ephemeral;
        responder
            .create_response::<Toy>(&mut ephemeral, Index(2))
            .unwrap()
    });

    leaves_nothing(&[our_ephemeral, static_static, preshared], || {
        initiator.consume_response::<Toy>(&response).unwrap();
    });

    let begin = |handshake: &mut Handshake<_>| {
        let mut keys = Box::new([Secret::zero(), Secret::zero()]);
        let [sending, receiving] = &mut *keys;

        handshake.begin_session::<Toy>(sending, receiving).unwrap();
        keys
    };
    let ours = leaves_nothing(&secrets, || begin(&mut initiator));
    let theirs = leaves_nothing(&secrets, || begin(&mut responder));

    // The toy works, which is what makes all this mean something.
    assert_eq!(ours[0].as_bytes(), theirs[1].as_bytes());
    assert_eq!(ours[1].as_bytes(), theirs[0].as_bytes());
    assert_ne!(ours[0].as_bytes(), ours[1].as_bytes());
}

#[test]
#[should_panic(expected = "is left")]
fn the_search_finds_what_is_left() {
    let secret = core::array::from_fn(|i| 0x80 | i as u8);

    leaves_nothing(&[secret], || {
        // Deeper than is wiped.
        #[inline(never)]
        fn deep(secret: &[u8; 32]) {
            let mut far = [0; 8192];
            let copy = *secret;

            far[..32].copy_from_slice(&copy);
            core::hint::black_box(&mut far);
        }

        deep(&secret);
    });
}
#[test]
fn wiping_the_stack_does_not_overflow_it() {
    const SIZE: usize = 1 << 16;

    let mut stack = vec![0xeeu8; SIZE];

    // SAFETY: As above.
    unsafe { psm::on_stack(stack.as_mut_ptr(), SIZE, wipe_stack) };

    let unused = stack.iter().take_while(|&&byte| byte == 0xee).count();

    // The kernel's is of 16 KiB.
    assert!((4096..6144).contains(&(SIZE - unused)));
}
