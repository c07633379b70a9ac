// SPDX-License-Identifier: GPL-2.0

#include <linux/jiffies.h>
#include <linux/timer.h>

__rust_helper void rust_helper_timer_setup(struct timer_list *timer,
					   void (*function)(struct timer_list *))
{
	timer_setup(timer, function, 0);
}

/*
 * Sets @deadline to @delay jiffies from now, never 0, and has @timer expire then unless it
 * expires earlier.
 */
__rust_helper void rust_helper_wg_timer_arm(struct timer_list *timer, u32 *deadline,
					    unsigned long delay)
{
	unsigned long expires = jiffies + delay;

	WRITE_ONCE(*deadline, (u32)expires ?: 1);
	/*
	 * Either the function of the timer sees the deadline, or we see that the timer is not
	 * pending. Pairs with the barrier in expired_callback() of timer.rs.
	 */
	smp_mb();
	timer_reduce(timer, expires);
}

/* Has @timer expire @delay jiffies from now unless it expires earlier. */
__rust_helper void rust_helper_wg_timer_expire_in(struct timer_list *timer, unsigned long delay)
{
	timer_reduce(timer, jiffies + delay);
}

__rust_helper u32 rust_helper_wg_timer_now(void)
{
	return jiffies;
}
