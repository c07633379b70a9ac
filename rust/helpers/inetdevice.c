// SPDX-License-Identifier: GPL-2.0

#include <linux/inetdevice.h>

/*
 * Tells IPv4 not to send redirects for packets that leave where they came in:
 * on @dev by its own setting, and, since either suffices to send them, by the
 * setting of its namespace too.  RTNL must be held.
 */
__rust_helper void rust_helper_in_dev_disable_redirects(struct net_device *dev)
{
	struct in_device *in_dev = __in_dev_get_rtnl(dev);

	if (!in_dev)
		return;
	IN_DEV_CONF_SET(in_dev, SEND_REDIRECTS, false);
	IPV4_DEVCONF_ALL(dev_net(dev), SEND_REDIRECTS) = false;
}
