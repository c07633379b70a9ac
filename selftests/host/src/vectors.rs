// SPDX-License-Identifier: GPL-2.0

//! Known answers.
//!
//! Those of primitives are published, where not said otherwise. They are constants, and [`check`]
//! neither allocates nor panics, so that an implementation in the kernel can be tested with them
//! too. The [transcript](INITIATION) of a handshake was computed with Python: `hashlib`, `hmac` and
//! `cryptography`.

use crate::crypto::Suite;

/// Input and output of BLAKE2s-256. First RFC 7693, appendix B, then Python's `hashlib`.
pub const HASH: [(&[u8], [u8; 32]); 3] = [
    (
        b"abc",
        hex("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"),
    ),
    (
        b"",
        hex("69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9"),
    ),
    (
        &COUNT,
        hex("5fdeb59f681d975f52c8e69c5502e02a12a3afcc5836ba58f42784c439228781"),
    ),
];

/// Key, input and output of keyed BLAKE2s-128; Python's `hashlib`.
pub const MAC: [(&[u8], &[u8], [u8; 16]); 3] = [
    (
        &count::<32>(0),
        b"abc",
        hex("61ba5f165c194692e09d12520cc4c74a"),
    ),
    (
        &count::<16>(0),
        b"",
        hex("af4e5d3bb230e9ff9096ca6f7c501f76"),
    ),
    (b"\x01", &COUNT, hex("a5b8b7d91eb9346edb2ced2c44718dea")),
];

/// Key of [`SEALED`]; RFC 8439, appendix A.5.
pub const SEAL_KEY: [u8; 32] =
    hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
/// Nonce of [`SEALED`].
pub const SEAL_NONCE: u64 = 0x0807_0605_0403_0201;
/// Additional data of [`SEALED`].
pub const SEAL_AD: [u8; 12] = hex("f33388860000000000004e91");
/// Plaintext of [`SEALED`].
pub const SEAL_TEXT: [u8; 265] =
    *b"Internet-Drafts are draft documents valid for a maximum of six \
    months and may be updated, replaced, or obsoleted by other documents at any time. It is \
    inappropriate to use Internet-Drafts as reference material or to cite them other than as \
    /\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
/// Ciphertext of ChaCha20-Poly1305.
pub const SEALED: [u8; 281] = hex("\
     64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2\
     4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf\
     332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855\
     9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4\
     b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e\
     af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a\
     0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10\
     49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29\
     a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38");

/// Key of [`XSEALED`]; draft-irtf-cfrg-xchacha-03, appendix A.3.1.
pub const XSEAL_KEY: [u8; 32] = count(0x80);
/// Nonce of [`XSEALED`].
pub const XSEAL_NONCE: [u8; 24] = count(0x40);
/// Additional data of [`XSEALED`].
pub const XSEAL_AD: [u8; 12] = hex("50515253c0c1c2c3c4c5c6c7");
/// Plaintext of [`XSEALED`].
pub const XSEAL_TEXT: [u8; 114] =
    *b"Ladies and Gentlemen of the class of '99: If I could offer you \
    only one tip for the future, sunscreen would be it.";
/// Ciphertext of XChaCha20-Poly1305.
pub const XSEALED: [u8; 130] = hex("\
     bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb\
     731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452\
     2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
     21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780a\
     cf49");

/// Secret, point and result of X25519; RFC 7748, sections 5.2 and 6.1.
pub const X25519: [[[u8; 32]; 3]; 4] = [
    [
        hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
        hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
        hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"),
    ],
    [
        hex("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"),
        hex("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"),
        hex("95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"),
    ],
    [
        ALICE,
        BOB_PUBLIC,
        hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
    ],
    [
        BOB,
        ALICE_PUBLIC,
        hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
    ],
];

/// Result of X25519 applied to 9 and 9, and then to each result and the one before, a thousand
/// times in all; RFC 7748, section 5.2.
pub const X25519_THOUSAND: [u8; 32] =
    hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");

/// Secret and public keys; RFC 7748, section 6.1.
pub const X25519_PUBLIC: [[[u8; 32]; 2]; 2] = [[ALICE, ALICE_PUBLIC], [BOB, BOB_PUBLIC]];

const ALICE: [u8; 32] = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
const ALICE_PUBLIC: [u8; 32] =
    hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
const BOB: [u8; 32] = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
const BOB_PUBLIC: [u8; 32] =
    hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");

/// Points whose multiples are all zero: the seven, and the same with the bit set that is ignored.
///
/// See <https://cr.yp.to/ecdh.html#validate>. The fifth to the seventh are p - 1, and, not reduced
/// modulo p, p and p + 1.
pub const LOW_ORDER: [[u8; 32]; 14] = [
    hex("0000000000000000000000000000000000000000000000000000000000000000"),
    hex("0100000000000000000000000000000000000000000000000000000000000000"),
    hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    hex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    hex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    hex("0000000000000000000000000000000000000000000000000000000000000080"),
    hex("0100000000000000000000000000000000000000000000000000000000000080"),
    hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880"),
    hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7"),
    hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
    hex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
    hex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
];

/// Private key of the initiator, and so on, in the transcript of a handshake.
pub const INITIATOR: [u8; 32] = count(0x00);
/// Private key of the responder.
pub const RESPONDER: [u8; 32] = count(0x20);
/// Private ephemeral key of the initiator.
pub const INITIATOR_EPHEMERAL: [u8; 32] = count(0x40);
/// Private ephemeral key of the responder.
pub const RESPONDER_EPHEMERAL: [u8; 32] = count(0x60);
/// Preshared key.
pub const PRESHARED_KEY: [u8; 32] = count(0x80);
/// Index at the initiator.
pub const INITIATOR_INDEX: u32 = 0x0102_0304;
/// Index at the responder.
pub const RESPONDER_INDEX: u32 = 0x0506_0708;
/// Time of the initiation: seconds, and nanoseconds that are not rounded yet.
pub const TIME: (i64, u32) = (1_700_000_000, 0x1d12_3456);
/// Secret that cookies are made from.
pub const COOKIE_SECRET: [u8; 32] = count(0xa0);
/// Nonce of the cookie reply.
pub const COOKIE_NONCE: [u8; 24] = count(0xc0);
/// Address and port of the initiator: 192.0.2.1:12345.
pub const SOURCE: [u8; 6] = [192, 0, 2, 1, 0x30, 0x39];
/// Public key of the initiator.
pub const INITIATOR_PUBLIC: [u8; 32] =
    hex("8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f");

/// Public key of the responder.
pub const RESPONDER_PUBLIC: [u8; 32] =
    hex("358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254");

/// First message.
pub const INITIATION: [u8; 148] = hex("\
     010000000403020179a631eede1bf9c98f12032cdeadd0e7a079398fc786b88c\
     c846ec89af85a51af0225eb421886af8f54fb31289d49dcd82b0f6f3279d40d7\
     cff913fece0c64ad226eef3320755b393b72f16842c8d7ee78a74e937e3f2a82\
     92f4ecc1fe53bdc01ca5775c5621394b3b1b32fb1b832ba40a89878b068c94fc\
     aed42d7000000000000000000000000000000000");

/// Cookie for [`SOURCE`].
pub const COOKIE: [u8; 16] = hex("546dc99fad47e337a3a564a124a96af2");

/// Answer to the first message by a responder under load.
pub const COOKIE_REPLY: [u8; 64] = hex("\
     0300000004030201c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7\
     a032be62818809b13f90d50c1b0139e6ec04311bebb4bb2c65fde23ba7945d3e");

/// Second MAC of the first message, were it sent again with the cookie.
pub const INITIATION_MAC2: [u8; 16] = hex("9be6165ae908362cb732b289b5e15640");

/// Second message.
pub const RESPONSE: [u8; 92] = hex("\
     020000000807060504030201675dd574ed7789310b3d2e7681f3790b466c773b\
     1521fecf36577958371ea52fcd75e33cd4b373ffa6c25306d87c87f00752088a\
     373f2deab28a946157ac91cb00000000000000000000000000000000");

/// Key of what the initiator sends.
pub const INITIATOR_KEY: [u8; 32] =
    hex("f26d13be8f8fe7fe36805b47503285e73bcb2fc6fe3ef37834e5f6128ad8cf50");

/// Key of what the responder sends.
pub const RESPONDER_KEY: [u8; 32] =
    hex("083bdab92ffb8da7ab5063bb2d96de2b7e09008d8e07bcf96ac25c340a778665");

/// Data message 1 of the initiator, with [`DATA_TEXT`].
pub const DATA: [u8; 48] = hex("\
     04000000080706050100000000000000d755ef35ae92b69bc67f61c857febb54\
     80cff731d55fa5021ee9daac40351f16");
/// What it carries.
pub const DATA_TEXT: [u8; 16] = *b"hello, tunnel!\0\0";

/// Checks a suite against all vectors above, and says of what the first wrong answer is.
///
/// # Errors
///
/// Names the method of [`Suite`].
pub fn check<S: Suite>() -> Result<(), &'static str> {
    let must = |right: bool, what| if right { Ok(()) } else { Err(what) };

    for (input, output) in &HASH {
        let (head, tail) = input
            .split_at_checked(input.len() / 2)
            .unwrap_or((input, &[]));
        let mut hash = [0; 32];

        S::hash(&[input], &mut hash);
        must(hash == *output, "hash")?;
        S::hash(&[head, &[], tail], &mut hash);
        must(hash == *output, "hash, in parts")?;
    }

    for (key, input, output) in &MAC {
        let (head, tail) = input.split_at_checked(1).unwrap_or((input, &[]));
        let mut mac = [0; 16];

        S::mac(key, &[input], &mut mac);
        must(mac == *output, "mac")?;
        S::mac(key, &[head, tail], &mut mac);
        must(mac == *output, "mac, in parts")?;
    }

    let mut sealed = [0; SEALED.len()];
    let mut text = [0; SEAL_TEXT.len()];

    S::seal(&mut sealed, &SEAL_TEXT, &SEAL_AD, SEAL_NONCE, &SEAL_KEY);
    must(sealed == SEALED, "seal")?;
    let ok = S::open(&mut text, &SEALED, &SEAL_AD, SEAL_NONCE, &SEAL_KEY);
    must(ok && text == SEAL_TEXT, "open")?;
    let ok = S::open(&mut text, &SEALED, &SEAL_AD, SEAL_NONCE ^ 1, &SEAL_KEY);
    must(!ok, "open, other nonce")?;
    let ok = S::open(&mut text, &SEALED, &[], SEAL_NONCE, &SEAL_KEY);
    must(!ok, "open, no data")?;
    let ok = S::open(&mut [], &SEALED, &SEAL_AD, SEAL_NONCE, &SEAL_KEY);
    must(!ok, "open, no room")?;
    if let Some(last) = sealed.last_mut() {
        *last ^= 0x80;
    }
    let ok = S::open(&mut text, &sealed, &SEAL_AD, SEAL_NONCE, &SEAL_KEY);
    must(!ok, "open, other tag")?;
    let mut short = [0; 8];
    S::seal(&mut short, &SEAL_TEXT, &SEAL_AD, SEAL_NONCE, &SEAL_KEY);
    must(short == [0; 8], "seal, no room")?;

    let mut sealed = [0; XSEALED.len()];
    let mut text = [0; XSEAL_TEXT.len()];

    S::xseal(
        &mut sealed,
        &XSEAL_TEXT,
        &XSEAL_AD,
        &XSEAL_NONCE,
        &XSEAL_KEY,
    );
    must(sealed == XSEALED, "xseal")?;
    let ok = S::xopen(&mut text, &XSEALED, &XSEAL_AD, &XSEAL_NONCE, &XSEAL_KEY);
    must(ok && text == XSEAL_TEXT, "xopen")?;
    let ok = S::xopen(&mut text, &XSEALED, &[], &XSEAL_NONCE, &XSEAL_KEY);
    must(!ok, "xopen, no data")?;
    let ok = S::xopen(&mut [], &XSEALED, &XSEAL_AD, &XSEAL_NONCE, &XSEAL_KEY);
    must(!ok, "xopen, no room")?;

    let mut out = [0; 32];

    for [secret, point, result] in &X25519 {
        must(
            S::x25519(&mut out, secret, point) && out == *result,
            "x25519",
        )?;
    }
    for [secret, public] in &X25519_PUBLIC {
        must(
            S::x25519_public(&mut out, secret) && out == *public,
            "x25519_public",
        )?;
    }
    for point in &LOW_ORDER {
        must(!S::x25519(&mut out, &ALICE, point), "x25519, low order")?;
    }
    must(!S::x25519_public(&mut out, &[0; 32]), "x25519_public, zero")?;

    let mut secret = [0; 32];

    if let Some(first) = secret.first_mut() {
        *first = 9;
    }

    let mut point = secret;

    for _ in 0..1000 {
        must(S::x25519(&mut out, &secret, &point), "x25519, thousand")?;
        (secret, point) = (out, secret);
    }
    must(secret == X25519_THOUSAND, "x25519, thousand")?;

    must(S::eq(b"", b"") && S::eq(&ALICE, &ALICE), "eq")?;
    must(!S::eq(&ALICE, &BOB) && !S::eq(b"a", b"ab"), "eq, unequal")
}

/// The numbers from 0 to 255.
const COUNT: [u8; 256] = count(0);

/// Returns `N` numbers, from `first` up.
const fn count<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [0; N];
    let mut number = first;
    let mut i = 0;

    while i < N {
        bytes[i] = number;
        number = number.wrapping_add(1);
        i += 1;
    }
    bytes
}

/// Returns the bytes that `digits` stand for.
const fn hex<const N: usize>(digits: &str) -> [u8; N] {
    const fn nibble(digit: u8) -> u8 {
        match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!(),
        }
    }

    let digits = digits.as_bytes();
    let mut bytes = [0; N];
    let mut i = 0;

    assert!(digits.len() == 2 * N);
    while i < N {
        bytes[i] = nibble(digits[2 * i]) << 4 | nibble(digits[2 * i + 1]);
        i += 1;
    }
    bytes
}
