// SPDX-License-Identifier: GPL-2.0

#ifdef CONFIG_X86_64
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>

__rust_helper bool rust_helper_boot_cpu_has(unsigned int feature)
{
	return boot_cpu_has(feature);
}

/* But for User-mode Linux, this and kernel_fpu_end() are functions. */
__rust_helper bool rust_helper_irq_fpu_usable(void)
{
	return irq_fpu_usable();
}

__rust_helper void rust_helper_kernel_fpu_begin(void)
{
	kernel_fpu_begin();
}

__rust_helper void rust_helper_kernel_fpu_end(void)
{
	kernel_fpu_end();
}
#endif
