// SPDX-License-Identifier: GPL-2.0

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

__rust_helper unsigned long rust_helper_wg_timer_expires(const struct timer_list *timer)
{
	return READ_ONCE(timer->expires);
}

__rust_helper unsigned int rust_helper_wg_timer_bucket(const struct timer_list *timer)
{
	return READ_ONCE(timer->flags) >> TIMER_ARRAYSHIFT;
}
