// SPDX-License-Identifier: GPL-2.0

#include "net.h"
#include <linux/inetdevice.h>
#include <net/addrconf.h>
#include <net/sch_generic.h>

/*
 * ndo_start_xmit of devices whose operations are a struct wg_net_device_ops.
 *
 * Where the kernel checks the type of a function against that of the pointer through which it is
 * called (CONFIG_CFI), it has to return the enumeration that C expects: in Rust it is an integer,
 * as devices may return negative values, too.
 */
netdev_tx_t wg_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	const struct wg_net_device_ops *ops =
		container_of(dev->netdev_ops, struct wg_net_device_ops, ops);

	return (__force netdev_tx_t)ops->start_xmit(skb, dev);
}

/*
 * Returns the number of the last packet that virtual devices were given on this CPU for its
 * softirq.  Preemption must be off.
 */
u32 wg_backlog_tail(void)
{
#ifdef CONFIG_RPS
	return READ_ONCE(this_cpu_ptr(&softnet_data)->input_queue_tail);
#else
	return 0;
#endif
}

/*
 * Returns whether packets up to the one that was the last when wg_backlog_tail() returned @tail
 * wait for the softirq of this CPU; where they are not numbered, whether any do.  Preemption must
 * be off, and have been since.
 */
bool wg_backlog_is_pending(u32 tail)
{
	struct softnet_data *sd = this_cpu_ptr(&softnet_data);

#ifdef CONFIG_RPS
	if ((s32)(READ_ONCE(sd->input_queue_head) - tail) >= 0)
		return false;
#endif
	return !skb_queue_empty_lockless(&sd->input_pkt_queue) ||
	       !skb_queue_empty_lockless(&sd->process_queue);
}

/*
 * Returns whether nothing on this CPU transmits by way of @dev, but itself. A device without a
 * queue counts while it transmits; one with a queue does not, whichever of its queues a packet
 * came by. Bottom halves must be off.
 */
bool wg_dev_is_outermost(const struct net_device *dev)
{
	const int depth = dev_recursion_level();
	unsigned int i;

	if (depth != 1)
		return !depth;
	for (i = 0; i < dev->num_tx_queues; i++)
		if (rcu_dereference_bh(netdev_get_tx_queue(dev, i)->qdisc)->enqueue)
			return false;
	return true;
}

/*
 * Counts packets that @dev, which has statistics of kind NETDEV_PCPU_STAT_TSTATS, has received.
 * Bottom halves must be off.
 */
void wg_dev_rx_add(struct net_device *dev, u64 packets, u64 bytes)
{
	struct pcpu_sw_netstats *tstats = this_cpu_ptr(dev->tstats);

	u64_stats_update_begin(&tstats->syncp);
	u64_stats_add(&tstats->rx_packets, packets);
	u64_stats_add(&tstats->rx_bytes, bytes);
	u64_stats_update_end(&tstats->syncp);
}

/*
 * Keeps IPv4 from sending redirects for packets that leave by the device that
 * they came in by: by the setting of @dev, and, since either setting enables
 * them, by that of its namespace too.  RTNL must be held.
 */
void wg_in_dev_disable_redirects(struct net_device *dev)
{
	struct in_device *in_dev = __in_dev_get_rtnl(dev);

	if (!in_dev)
		return;
	IN_DEV_CONF_SET(in_dev, SEND_REDIRECTS, false);
	IPV4_DEVCONF_ALL(dev_net(dev), SEND_REDIRECTS) = false;
}

/*
 * Keeps IPv6 from generating a link-local address for @dev.  RTNL must be held.
 */
void wg_in6_dev_disable_addr_gen(struct net_device *dev)
{
#if IS_ENABLED(CONFIG_IPV6)
	struct inet6_dev *in6_dev = __in6_dev_get(dev);

	if (in6_dev)
		in6_dev->cnf.addr_gen_mode = IN6_ADDR_GEN_MODE_NONE;
#endif
}
