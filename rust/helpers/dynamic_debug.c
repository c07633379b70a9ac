// SPDX-License-Identifier: GPL-2.0

#include <linux/dynamic_debug.h>

/* The flags are a bit field, whose place only C knows. */
__rust_helper unsigned int rust_helper_wg_ddebug_flags(const struct _ddebug *descriptor)
{
	return descriptor->flags;
}
