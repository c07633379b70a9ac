// SPDX-License-Identifier: GPL-2.0

#include <net/dst.h>

__rust_helper unsigned int rust_helper_dst_ifindex(const struct dst_entry *dst)
{
	unsigned int ifindex;

	/* Bottom halves that are off are enough, but lockdep does not know that of all readers. */
	rcu_read_lock();
	ifindex = dst_dev_rcu(dst)->ifindex;
	rcu_read_unlock();
	return ifindex;
}
