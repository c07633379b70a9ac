// SPDX-License-Identifier: GPL-2.0

#include "net.h"

/*
 * ndo_start_xmit of devices of which the operations are a struct wg_net_device_ops.
 *
 * Where the kernel compares the type of a function with that of the pointer that it is called by
 * (CONFIG_CFI), it has to return the enumeration that C wants: for Rust it is a number, as devices
 * may return negative ones, too.
 */
netdev_tx_t wg_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	const struct wg_net_device_ops *ops =
		container_of(dev->netdev_ops, struct wg_net_device_ops, ops);

	return (__force netdev_tx_t)ops->start_xmit(skb, dev);
}
