// SPDX-License-Identifier: GPL-2.0

//! Assembles what is tested, copies of it with a fault each, and what a benchmark compares it with.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::Command, //
};

/// What is tested.
const SOURCE: &str = "../../rust/kernel/crypto/chacha20poly1305/x8-x86_64.S";

/// What assembly needs of the kernel's headers, in user space.
const HEADERS: [(&str, &str); 2] = [
    (
        "linux/linkage.h",
        "#define SYM_FUNC_START(name) .globl name; .type name, @function; .p2align 4; name:\n\
         #define SYM_FUNC_START_LOCAL(name) .type name, @function; .p2align 4; name:\n\
         #define SYM_FUNC_END(name) .size name, . - name\n\
         #define RET ret\n",
    ),
    ("asm/frame.h", "#define FRAME_BEGIN\n#define FRAME_END\n"),
];

/// Faults: a name, what is replaced by what, and how often it occurs.
const FAULTS: &[(&str, &str, &str, usize)] = &[
    ("carry", "$2, HI2, HI2", "$3, HI2, HI2", 1),
    ("square", "multiply2\tH2, SQUARE", "multiply2\tH2, R", 1),
    ("prime", "movl\t\t$5, %eax", "movl\t\t$0, %eax", 1),
    ("sum", "vpsubq\t\tTMP, H1, H1{%k1}", "", 1),
    (
        "nonce",
        "vpsrlq\t\t$32, %zmm0, %zmm1",
        "vpxorq\t\t%zmm1, %zmm1, %zmm1",
        1,
    ),
    ("key", "shufi32x4\t$0xd8, LO1", "shufi32x4\t$0x00, LO1", 1),
    (
        "first_key",
        "movq\t\tM_KEY(%rax), %rax",
        "movq\t\tM_KEY(MESSAGES), %rax",
        1,
    ),
    ("masked", "vmovdqa64\tM2, H2{%k1}", "vmovdqa64\tM2, H2", 1),
    (
        "half_tag",
        "vporq\t\t%zmm2, %zmm3, %zmm3",
        "vmovdqa64\t%zmm2, %zmm3",
        1,
    ),
    (
        "read_past",
        "\\disp(%rax), %zmm\\t{%k1}{z}",
        "\\disp(%rax), %zmm\\t",
        1,
    ),
    (
        "write_past",
        "%zmm\\z, \\disp(%r10){%k1}",
        "%zmm\\z, \\disp(%r10)",
        1,
    ),
    ("dummies", "cmovbeq\t\t%r10, %rax", "", 1),
    ("registers", "vzeroall", "", 1),
    (
        "high_registers",
        "vpxorq\t\t%zmm\\i, %zmm\\i, %zmm\\i",
        "",
        1,
    ),
    ("scratch", ".rept SCRATCH / 64", ".rept R / 64", 1),
    ("stack", "vzeroall", "vzeroall\n\tmovq %rdi, -16(%rsp)", 1),
    ("preserved", "vzeroall", "vzeroall\n\txorl %ebx, %ebx", 1),
];

fn run(command: &mut Command) -> Vec<u8> {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));

    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Assembles `source` to an object that all targets are linked with.
fn assemble(source: &Path, object: &str, options: &[String]) {
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    let object = out.join(object);

    run(Command::new(compiler)
        .args(["-c", "-x", "assembler-with-cpp", "-Wa,--noexecstack", "-o"])
        .args([object.as_os_str(), source.as_os_str()])
        .arg("-I")
        .arg(out.join("include"))
        .args(options));
    println!("cargo:rustc-link-arg={}", object.display());
}

/// Assembles a copy of what is tested that has a fault.
fn plant(text: &str, (name, from, to, count): (&str, &str, &str, usize)) {
    assert_eq!(text.matches(from).count(), count, "{name}: {from}");

    let file = PathBuf::from(env::var_os("OUT_DIR").unwrap()).join(format!("{name}.S"));
    let rename = |what| format!("-Dwg_chacha20poly1305_{what}_x8=wg_{name}_{what}");

    fs::write(&file, text.replace(from, to)).unwrap();
    assemble(
        &file,
        &format!("{name}.o"),
        &[rename("seal"), rename("open")],
    );
}

/// Assembles what the kernel itself has.
fn kernel(linux: &Path) {
    let here = linux.join("lib/crypto/x86");
    let poly1305 = PathBuf::from(env::var_os("OUT_DIR").unwrap()).join("poly1305.S");

    for name in ["ssse3", "avx2", "avx512vl"] {
        assemble(
            &here.join(format!("chacha-{name}-x86_64.S")),
            &format!("{name}.o"),
            &[],
        );
    }
    let script = here.join("poly1305-x86_64-cryptogams.pl");
    fs::write(&poly1305, run(Command::new("perl").arg(script))).unwrap();
    assemble(&poly1305, "poly1305.o", &["-D__KERNEL__".into()]);
    println!("cargo:rustc-cfg=kernel");
}

fn main() {
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-changed=src/harness.S");
    println!("cargo:rerun-if-env-changed=WG_LINUX");
    println!("cargo:rustc-check-cfg=cfg(kernel)");
    if env::var_os("CARGO_CFG_TARGET_ARCH").as_deref() != Some(OsStr::new("x86_64")) {
        return;
    }

    let include = PathBuf::from(env::var_os("OUT_DIR").unwrap()).join("include");
    for (name, text) in HEADERS {
        let file = include.join(name);

        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    assemble(Path::new(SOURCE), "x8.o", &[]);
    assemble(Path::new("src/harness.S"), "harness.o", &[]);

    let text = fs::read_to_string(SOURCE).unwrap();
    for fault in FAULTS {
        plant(&text, *fault);
    }
    if let Some(linux) = env::var_os("WG_LINUX") {
        kernel(Path::new(&linux));
    }
}
