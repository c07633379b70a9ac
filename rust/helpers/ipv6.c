// SPDX-License-Identifier: GPL-2.0

#include <linux/ipv6.h>
#include <net/addrconf.h>
#include <net/ipv6.h>

__rust_helper bool rust_helper_ipv6_mod_enabled(void)
{
	return ipv6_mod_enabled();
}

__rust_helper bool rust_helper_ipv6_chk_addr(struct net *net, const struct in6_addr *addr)
{
#if IS_ENABLED(CONFIG_IPV6)
	return ipv6_chk_addr(net, addr, NULL, 0);
#else
	return false;
#endif
}

__rust_helper struct dst_entry *rust_helper_ip6_dst_lookup_flow(struct net *net,
								const struct sock *sk,
								struct flowi6 *fl)
{
#if IS_ENABLED(CONFIG_IPV6)
	return ip6_dst_lookup_flow(net, sk, fl, NULL);
#else
	return ERR_PTR(-EAFNOSUPPORT);
#endif
}
