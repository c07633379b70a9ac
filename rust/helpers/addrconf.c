// SPDX-License-Identifier: GPL-2.0

#include <linux/inetdevice.h>
#include <net/addrconf.h>

/*
 * Tells IPv6 not to make up a link-local address for @dev.  RTNL must be held.
 */
__rust_helper void rust_helper_in6_dev_disable_addr_gen(struct net_device *dev)
{
#if IS_ENABLED(CONFIG_IPV6)
	struct inet6_dev *in6_dev = __in6_dev_get(dev);

	if (in6_dev)
		in6_dev->cnf.addr_gen_mode = IN6_ADDR_GEN_MODE_NONE;
#endif
}
