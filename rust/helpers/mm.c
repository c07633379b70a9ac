// SPDX-License-Identifier: GPL-2.0

#include <linux/mm.h>

/* Returns the bytes of memory that the machine has. */
__rust_helper u64 rust_helper_wg_total_ram(void)
{
	return (u64)totalram_pages() << PAGE_SHIFT;
}
