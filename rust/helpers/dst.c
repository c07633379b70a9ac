// SPDX-License-Identifier: GPL-2.0

#include <net/dst.h>

__rust_helper struct net_device *rust_helper_dst_dev_rcu(const struct dst_entry *dst)
{
	return dst_dev_rcu(dst);
}
