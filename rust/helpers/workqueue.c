// SPDX-License-Identifier: GPL-2.0

#include <linux/workqueue.h>

/* The name is "@prefix-@name". */
__rust_helper struct workqueue_struct *rust_helper_wg_alloc_workqueue(const char *prefix,
								      const char *name,
								      unsigned int flags,
								      int max_active)
{
	return alloc_workqueue("%s-%s", flags, max_active, prefix, name);
}

__rust_helper void rust_helper_wg_flush_workqueue(struct workqueue_struct *wq)
{
	/* The macro refuses system-wide queues at build time; this one never is one. */
	__flush_workqueue(wq);
}
