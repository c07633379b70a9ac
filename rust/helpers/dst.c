// SPDX-License-Identifier: GPL-2.0

#include <net/dst.h>

__rust_helper unsigned int rust_helper_dst_ifindex(const struct dst_entry *dst)
{
	return dst_dev_rcu(dst)->ifindex;
}
