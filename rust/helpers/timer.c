// SPDX-License-Identifier: GPL-2.0

#include <linux/jiffies.h>
#include <linux/timer.h>

__rust_helper void rust_helper_timer_setup(struct timer_list *timer,
					   void (*function)(struct timer_list *))
{
	timer_setup(timer, function, 0);
}

__rust_helper bool rust_helper_timer_pending(const struct timer_list *timer)
{
	return timer_pending(timer);
}

/* Arms @timer to expire @delay jiffies from now. */
__rust_helper void rust_helper_timer_arm(struct timer_list *timer, unsigned long delay)
{
	mod_timer(timer, jiffies + delay);
}
