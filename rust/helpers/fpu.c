// SPDX-License-Identifier: GPL-2.0

#include <linux/types.h>

#ifdef CONFIG_X86_64
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>

/* Whether there is, and may be used, what chacha20poly1305/x8-x86_64.S needs. */
__rust_helper bool rust_helper_wg_has_avx512_ifma(void)
{
	if (!boot_cpu_has(X86_FEATURE_BMI2) || !boot_cpu_has(X86_FEATURE_AVX512F) ||
	    !boot_cpu_has(X86_FEATURE_AVX512VL) || !boot_cpu_has(X86_FEATURE_AVX512BW) ||
	    !boot_cpu_has(X86_FEATURE_AVX512DQ) || !boot_cpu_has(X86_FEATURE_AVX512IFMA) ||
	    !boot_cpu_has(X86_FEATURE_AVX512_VBMI2))
		return false;
#ifdef CONFIG_UML
	/* The flags are the host's, of /proc/cpuinfo, without what the host does not enable. */
	return true;
#else
	return !boot_cpu_has(X86_FEATURE_PREFER_YMM) &&
	       cpu_has_xfeatures(XFEATURE_MASK_SSE | XFEATURE_MASK_YMM |
				 XFEATURE_MASK_AVX512, NULL);
#endif
}

/* User-mode Linux has nothing to save: its host does so whenever it interrupts this. */
__rust_helper bool rust_helper_wg_fpu_begin(void)
{
	if (!irq_fpu_usable())
		return false;
	kernel_fpu_begin();
	return true;
}

__rust_helper void rust_helper_wg_fpu_end(void)
{
	kernel_fpu_end();
}
#else
__rust_helper bool rust_helper_wg_has_avx512_ifma(void)
{
	return false;
}

__rust_helper bool rust_helper_wg_fpu_begin(void)
{
	return false;
}

__rust_helper void rust_helper_wg_fpu_end(void)
{
}
#endif
