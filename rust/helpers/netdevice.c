// SPDX-License-Identifier: GPL-2.0

#include <linux/if_arp.h>
#include <linux/netdevice.h>

__rust_helper void *rust_helper_netdev_priv(const struct net_device *dev)
{
	return netdev_priv(dev);
}

__rust_helper struct net *rust_helper_dev_net_rcu(const struct net_device *dev)
{
	return dev_net_rcu(dev);
}

__rust_helper void rust_helper_dev_put(struct net_device *dev)
{
	dev_put(dev);
}

__rust_helper void rust_helper_netdev_lock(struct net_device *dev)
{
	netdev_lock(dev);
}

__rust_helper void rust_helper_netdev_unlock(struct net_device *dev)
{
	netdev_unlock(dev);
}

__rust_helper bool rust_helper_wg_netdev_is_unregistering(const struct net_device *dev)
{
	return dev->reg_state == NETREG_UNREGISTERING;
}

/* Bit fields, which bindgen's accessors cannot set through a raw pointer. */

__rust_helper void rust_helper_wg_netdev_set_no_queue(struct net_device *dev)
{
	dev->priv_flags |= IFF_NO_QUEUE;
}

__rust_helper void rust_helper_wg_netdev_set_lltx(struct net_device *dev)
{
	dev->lltx = true;
}

__rust_helper void rust_helper_wg_netdev_set_tstats(struct net_device *dev)
{
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
}

__rust_helper void rust_helper_netif_keep_dst(struct net_device *dev)
{
	netif_keep_dst(dev);
}

__rust_helper bool rust_helper_wg_netif_merges_packets(const struct net_device *dev)
{
	return !netif_elide_gro(dev);
}

/* Statistics. */

__rust_helper void rust_helper_wg_dev_stats_tx_dropped_add(struct net_device *dev, unsigned long n)
{
	DEV_STATS_ADD(dev, tx_dropped, n);
}

__rust_helper void rust_helper_wg_dev_stats_tx_errors_inc(struct net_device *dev)
{
	DEV_STATS_INC(dev, tx_errors);
}

__rust_helper void rust_helper_wg_dev_stats_rx_errors_add(struct net_device *dev, unsigned long n)
{
	DEV_STATS_ADD(dev, rx_errors, n);
}

__rust_helper void rust_helper_wg_dev_stats_rx_frame_errors_add(struct net_device *dev,
								unsigned long n)
{
	DEV_STATS_ADD(dev, rx_frame_errors, n);
}

__rust_helper void rust_helper_wg_dev_stats_rx_length_errors_add(struct net_device *dev,
								 unsigned long n)
{
	DEV_STATS_ADD(dev, rx_length_errors, n);
}

/* NAPI. */

__rust_helper bool rust_helper_napi_schedule(struct napi_struct *napi)
{
	return napi_schedule(napi);
}

/*
 * Does a filter of traffic control have this CPU send to another device, perhaps with the lock of
 * the queue held that it is a filter of? Bottom halves must be off.
 */
__rust_helper bool rust_helper_wg_dev_is_mirred(void)
{
#if !IS_ENABLED(CONFIG_NET_ACT_MIRRED)
	return false;
#elif defined(CONFIG_PREEMPT_RT)
	return current->net_xmit.sched_mirred_nest;
#else
	return this_cpu_read(softnet_data.xmit.sched_mirred_nest);
#endif
}
