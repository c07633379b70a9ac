// SPDX-License-Identifier: GPL-2.0

#include <linux/module.h>
#include <linux/printk.h>

/* Module information that the module! macro cannot express. */
#ifndef __BINDGEN__
MODULE_VERSION("1.0.0-rust");
#endif

/* Only C has THIS_MODULE and KBUILD_MODNAME. */
__rust_helper bool rust_helper_wg_within_this_module(const void *addr)
{
	return within_module((unsigned long)addr, THIS_MODULE);
}

__rust_helper void rust_helper_wg_warn_leaked(s64 count)
{
	pr_warn("%s: waiting for %lld objects to be freed\n", KBUILD_MODNAME, count);
}
