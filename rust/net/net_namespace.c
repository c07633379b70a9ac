// SPDX-License-Identifier: GPL-2.0

#include "net.h"
#include <net/net_namespace.h>

/*
 * Returns the living namespace whose cookie is @cookie, with a reference, or
 * NULL.  Cookies are never used twice.
 */
struct net *wg_get_net_by_cookie(u64 cookie)
{
	struct net *net, *found = NULL;

	rcu_read_lock();
	for_each_net_rcu(net) {
		if (net->net_cookie != cookie)
			continue;
		found = maybe_get_net(net);
		break;
	}
	rcu_read_unlock();
	return found;
}
