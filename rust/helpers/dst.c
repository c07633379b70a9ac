// SPDX-License-Identifier: GPL-2.0

#include <net/dst.h>

__rust_helper unsigned int rust_helper_wg_dst_ifindex(const struct dst_entry *dst)
{
	unsigned int ifindex;

	/* Bottom halves being off is enough, but not all lockdep checks know that. */
	rcu_read_lock();
	ifindex = dst_dev_rcu(dst)->ifindex;
	rcu_read_unlock();
	return ifindex;
}
