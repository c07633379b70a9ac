// SPDX-License-Identifier: GPL-2.0

//! Vectors of x86-64: whether there are some, and their registers.
//!
//! C headers: [`arch/x86/include/asm/cpufeature.h`](srctree/arch/x86/include/asm/cpufeature.h),
//! [`arch/x86/include/asm/fpu/api.h`](srctree/arch/x86/include/asm/fpu/api.h)

use wg_bindings as bindings;

/// What [`has_avx512_ifma`] looks for.
const FEATURES: [u32; 7] = [
    bindings::X86_FEATURE_BMI2,
    bindings::X86_FEATURE_AVX512F,
    bindings::X86_FEATURE_AVX512VL,
    bindings::X86_FEATURE_AVX512BW,
    bindings::X86_FEATURE_AVX512DQ,
    bindings::X86_FEATURE_AVX512IFMA,
    bindings::X86_FEATURE_AVX512_VBMI2,
];

/// Returns whether the processor has BMI2 and AVX-512 with VL, BW, DQ, IFMA and VBMI2, and may use vectors of
/// 512 bits.
pub(crate) fn has_avx512_ifma() -> bool {
    FEATURES.into_iter().all(has) && are_long_vectors_enabled()
}

/// Returns whether the processor that the kernel was booted on has a feature.
fn has(feature: u32) -> bool {
    // SAFETY: May be called from any context, with the number of any feature.
    unsafe { bindings::boot_cpu_has(feature) }
}

/// Returns whether the kernel saves the registers of vectors of 512 bits, and does not shun them.
#[cfg(not(CONFIG_UML))]
fn are_long_vectors_enabled() -> bool {
    const REGISTERS: u64 = bindings::RUST_CONST_HELPER_XFEATURE_MASK_SSE
        | bindings::RUST_CONST_HELPER_XFEATURE_MASK_YMM
        | bindings::RUST_CONST_HELPER_XFEATURE_MASK_AVX512;
    // SAFETY: May be called from any context. What is missing is not asked for.
    let saved = unsafe { bindings::cpu_has_xfeatures(REGISTERS, core::ptr::null_mut()) };
    saved != 0 && !has(bindings::X86_FEATURE_PREFER_YMM)
}

/// The features are the host's, of `/proc/cpuinfo`, without what the host does not enable.
#[cfg(CONFIG_UML)]
fn are_long_vectors_enabled() -> bool {
    true
}

/// Calls `f`, which may use the registers of vectors and must not sleep, if they may be used here.
///
/// User-mode Linux has nothing to save: its host does so whenever it interrupts this.
#[inline]
pub(crate) fn with_vectors<R>(f: impl FnOnce() -> R) -> Option<R> {
    // SAFETY: May be called from any context.
    if !unsafe { bindings::irq_fpu_usable() } {
        return None;
    }
    // SAFETY: They may be used here, and this is ended below. Should `f` come here again, they may not.
    unsafe { bindings::kernel_fpu_begin() };
    let result = f();
    // SAFETY: This was begun above.
    unsafe { bindings::kernel_fpu_end() };
    Some(result)
}
