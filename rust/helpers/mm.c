// SPDX-License-Identifier: GPL-2.0

#include <linux/gfp.h>
#include <linux/mm.h>

/* Returns the bytes of memory that the machine has. */
__rust_helper u64 rust_helper_wg_total_ram(void)
{
	return (u64)totalram_pages() << PAGE_SHIFT;
}

/* Allocates 2^@order pages on any node; does not try hard if memory is scarce. */
__rust_helper struct page *rust_helper_wg_alloc_pages(unsigned int order)
{
	return alloc_pages(GFP_ATOMIC | __GFP_COMP | __GFP_NOWARN | __GFP_NORETRY, order);
}

__rust_helper void *rust_helper_wg_page_address(const struct page *page)
{
	return page_address(page);
}

__rust_helper void rust_helper_put_page(struct page *page)
{
	put_page(page);
}
