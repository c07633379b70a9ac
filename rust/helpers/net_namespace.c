// SPDX-License-Identifier: GPL-2.0

#include <linux/capability.h>
#include <net/net_namespace.h>

__rust_helper struct net *rust_helper_maybe_get_net(struct net *net)
{
	return maybe_get_net(net);
}

__rust_helper void rust_helper_put_net(struct net *net)
{
	put_net(net);
}

/* Not a field in Rust: `bindgen` misplaces it in some series. */
__rust_helper u64 rust_helper_net_cookie(const struct net *net)
{
	return net->net_cookie;
}

/*
 * Returns the living namespace whose cookie is @cookie, with a reference, or
 * NULL.  Cookies are never used twice.
 */
__rust_helper struct net *rust_helper_get_net_by_cookie(u64 cookie)
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

__rust_helper bool rust_helper_net_ns_capable(const struct net *net, int cap)
{
	return ns_capable(net->user_ns, cap);
}
