// SPDX-License-Identifier: GPL-2.0

#include <linux/sched.h>
#include <linux/sched/task_stack.h>

__rust_helper void rust_helper_cond_resched(void)
{
	cond_resched();
}

/* Returns the lowest address of the stack of the current task. */
__rust_helper void *rust_helper_wg_current_stack_page(void)
{
	return task_stack_page(current);
}
