// SPDX-License-Identifier: GPL-2.0

#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>

__rust_helper void rust_helper_cond_resched(void)
{
	cond_resched();
}

/* False on a stack that is not the task's, such as one of interrupts. */
__rust_helper bool rust_helper_wg_task_stack_is_short(void)
{
	const unsigned long top = IS_ENABLED(CONFIG_STACK_GROWSUP) ? THREAD_SIZE / 2 : 0;
	const unsigned long stack = (unsigned long)task_stack_page(current);

	/* Wraps around below it. */
	return (unsigned long)__builtin_frame_address(0) - stack - top < THREAD_SIZE / 2;
}
