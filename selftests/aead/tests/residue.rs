// SPDX-License-Identifier: GPL-2.0

//! Nothing secret is left in registers, on the stack, and in scratch memory, and what functions must
//! preserve is preserved.

use wg_aead::{
    available,
    key_stream,
    planted,
    reference,
    Code,
    Left,
    Message,
    Random,
    Scratch,
    LANES,
    REAL,
    TAG_LEN, //
};

/// What is secret, to be searched for.
fn secrets(key: &[u8; 32], n: usize, plain: &[Vec<u8>]) -> Vec<u8> {
    let mut secrets = key.to_vec();

    for (lane, plain) in plain.iter().enumerate().take(n) {
        secrets.extend(key_stream(key, lane as u64, 192));
        secrets.extend(plain);
    }
    secrets
}

/// Says what was left that should not be.
fn residue(left: &Left, scratch: &Scratch, secrets: &[u8]) -> Result<(), String> {
    let [rbx, _, _, _, _, rbp, _, _, _, _, r12, r13, r14, r15, _] = left.general;

    if [rbx, rbp, r12, r13, r14, r15] != [0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666] {
        return Err(format!(
            "general registers are not preserved: {:x?}",
            left.general
        ));
    }
    if left.stack != 0 {
        return Err(format!("{} words were written on the stack", left.stack));
    }
    if let Some(i) = left.vectors.iter().position(|vector| *vector != [0; 64]) {
        return Err(format!("zmm{i} is {:x?}", left.vectors[i]));
    }
    if scratch.0.iter().any(|byte| *byte != 0) {
        return Err("the scratch memory is not wiped".into());
    }
    for value in left.general.iter().chain(&left.masks) {
        let bytes = (*value as u32).to_le_bytes();
        if *value > 0xffff && secrets.windows(4).any(|window| window == bytes) {
            return Err(format!("{value:x} is part of a secret"));
        }
    }
    Ok(())
}

/// Encrypts and decrypts, and says what is left of it.
fn leaves(code: &Code) -> Result<(), String> {
    let mut random = Random::new(40);

    for len in [0, 1, 64, 65, 192, 200, 1420] {
        for n in 1..=LANES {
            for open in [false, true] {
                let key = random.key();
                let plain: Vec<_> = (0..n).map(|lane| random.bytes(len + lane % 2)).collect();
                let mut places: Vec<_> = plain
                    .iter()
                    .enumerate()
                    .map(|(lane, plain)| match open {
                        true => reference(&key, lane as u64, plain),
                        false => [&plain[..], &[0; TAG_LEN]].concat(),
                    })
                    .collect();
                let messages: Vec<_> = places
                    .iter_mut()
                    .enumerate()
                    .map(|(lane, place)| Message {
                        src: place.as_ptr(),
                        dst: place.as_mut_ptr(),
                        len: place.len() - TAG_LEN,
                        nonce: lane as u64,
                        key: &key,
                    })
                    .collect();
                let mut scratch = Scratch::new();

                // SAFETY: The messages are valid, and the processor was asked.
                let left = unsafe { code.left(open, &messages, &mut *scratch) };
                residue(&left, &scratch, &secrets(&key, n, &plain))?;
            }
        }
    }
    Ok(())
}

#[test]
fn nothing_is_left() {
    if available("nothing_is_left") {
        assert_eq!(leaves(&REAL), Ok(()));
    }
}

/// What this would not notice.
#[test]
fn faults_are_noticed() {
    if !available("faults_are_noticed") {
        return;
    }
    for name in [
        "registers",
        "high_registers",
        "scratch",
        "stack",
        "preserved",
    ] {
        assert!(leaves(&planted(name)).is_err(), "{name}");
    }
}
