// SPDX-License-Identifier: GPL-2.0

#include <linux/rcupdate.h>

__rust_helper unsigned long rust_helper_get_state_synchronize_rcu(void)
{
	return get_state_synchronize_rcu();
}

__rust_helper void rust_helper_cond_synchronize_rcu(unsigned long cookie)
{
	cond_synchronize_rcu(cookie);
}
