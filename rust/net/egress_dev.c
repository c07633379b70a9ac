// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that packets pass on their way out, and whether they take a UDP GSO packet unsegmented.
 *
 * All functions are called under RCU.
 */

#include "egress.h"
#include <linux/if_arp.h>
#include <linux/if_vlan.h>
#include <linux/inetdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>
#include <net/addrconf.h>
#include <net/rtnetlink.h>
#include <net/sch_generic.h>

/* Returns whether neither netfilter nor traffic control sees the packets that @dev sends. */
static bool wg_dev_sends_plain(const struct net_device *dev)
{
#ifdef CONFIG_NETFILTER_EGRESS
	if (rcu_access_pointer(dev->nf_hooks_egress))
		return false;
#endif
#ifdef CONFIG_NET_XGRESS
	if (rcu_access_pointer(dev->tcx_egress))
		return false;
#endif
#ifdef CONFIG_NETFILTER_FAMILY_BRIDGE
	if (netif_is_bridge_master(dev)) {
		const struct net *net = dev_net_rcu(dev);

		if (rcu_access_pointer(net->nf.hooks_bridge[NF_BR_LOCAL_OUT]) ||
		    rcu_access_pointer(net->nf.hooks_bridge[NF_BR_POST_ROUTING]))
			return false;
	}
#endif
	return true;
}

/* Returns whether nothing handles the packets that @dev receives before IP does. */
static bool wg_dev_receives_plain(const struct net_device *dev)
{
#ifdef CONFIG_NETFILTER_INGRESS
	if (rcu_access_pointer(dev->nf_hooks_ingress))
		return false;
#endif
#ifdef CONFIG_NET_XGRESS
	if (rcu_access_pointer(dev->tcx_ingress))
		return false;
#endif
	/* A bridge's, datapath's, bond's or macvlan's takes packets elsewhere, as a VRF may. */
	return !rcu_access_pointer(dev->rx_handler) && !rcu_access_pointer(dev->xdp_prog) &&
	       !netif_is_l3_slave(dev);
}

/* Returns whether the destination of @large is an address of the namespace of @dev. */
static bool wg_dev_is_destination(const struct net_device *dev, const struct wg_large *large)
{
	struct net *net = dev_net_rcu(dev);

	if (!large->v6)
		return inet_addr_type_dev_table(net, dev, large->daddr) == RTN_LOCAL;
#if IS_ENABLED(CONFIG_IPV6)
	return ipv6_chk_addr(net, large->daddr6, dev, 0);
#else
	return false;
#endif
}

/*
 * Returns whether @dev delivers @large to a socket directly: it is one end of a virtual cable
 * within this machine, and the other end has the destination of @large.  A namespace that only
 * forwards it has rules, queues and devices of its own, which cannot be checked here.
 */
static bool wg_dev_delivers(struct net_device *dev, const struct wg_large *large)
{
	const struct rtnl_link_ops *link = dev->rtnl_link_ops;
	struct net_device *peer = dev;

	if (!(dev->flags & IFF_LOOPBACK)) {
		if (!link || strcmp(link->kind, "veth") || !dev->netdev_ops->ndo_get_peer_dev)
			return false;
		peer = dev->netdev_ops->ndo_get_peer_dev(dev);
	}
	if (!peer || !wg_dev_receives_plain(peer))
		return false;
#if IS_ENABLED(CONFIG_VLAN_8021Q)
	if (large->vlan) {
		peer = __vlan_find_dev_deep_rcu(peer, vlan_dev_vlan_proto(large->vlan),
						vlan_dev_vlan_id(large->vlan));
		if (!peer || !wg_dev_receives_plain(peer))
			return false;
	}
#endif
	return wg_net_delivers_plain(dev_net_rcu(peer), large->v6) &&
	       wg_dev_is_destination(peer, large);
}

/*
 * Returns whether it is known where @large goes from @dev: a NIC puts it on the wire, a VLAN, a
 * bond, a team or a bridge passes it to its lower devices, which are checked, too, and veth
 * delivers it.  All others - tunnels, taps, the ports of a datapath, netkit, ipvlan, macvlan, a
 * VRF - may have anything behind them.
 */
static bool wg_dev_is_open(struct net_device *dev, struct wg_large *large)
{
	if ((dev->type != ARPHRD_ETHER && dev->type != ARPHRD_LOOPBACK) || netif_is_l3_slave(dev))
		return false;
	if (is_vlan_dev(dev)) {
		large->vlan = dev;
		return ++large->tags == 1;
	}
	/* It may tag packets that leave by one of its ports. */
	if (netif_is_bridge_master(dev))
		return ++large->tags == 1;
	return dev->dev.parent || netif_is_lag_master(dev) || wg_dev_delivers(dev, large);
}

/* Returns whether @q has filters, which may do anything with packets. */
static bool wg_queue_has_filters(struct Qdisc *q)
{
#ifdef CONFIG_NET_CLS
	const struct Qdisc_class_ops *ops = q->ops->cl_ops;
	const struct tcf_block *block = ops && ops->tcf_block ? ops->tcf_block(q, 0, NULL) : NULL;

	/* Freed a grace period after the last user of the queue could find it. */
	return block && !list_empty(&block->chain_list);
#else
	return false;
#endif
}

/*
 * Returns whether @q limits its backlog by time rather than by packets, does not schedule when
 * packets are sent, and lets other flows pass.
 */
static bool wg_queue_is_simple(struct Qdisc *q)
{
	return !strcmp(q->ops->id, "fq_codel") && !wg_queue_has_filters(q);
}

/*
 * Returns whether the qdisc of @dev may be given GSO packets: it has none, being a virtual device
 * (what a card has no room for is dropped, all datagrams at once), or, if TCP limits the backlog
 * (TSQ), a simple one, or a simple one for each hardware queue.
 */
static bool wg_dev_queues_large(struct net_device *dev, bool limited)
{
	struct Qdisc *q = rcu_dereference(dev->qdisc);
	unsigned int i;

	if (!strcmp(q->ops->id, "noqueue"))
		return !dev->dev.parent;
	if (!limited)
		return false;
	if (strcmp(q->ops->id, "mq"))
		return wg_queue_is_simple(q);
	for (i = 0; i < READ_ONCE(dev->real_num_tx_queues); i++)
		if (!wg_queue_is_simple(rcu_dereference(netdev_get_tx_queue(dev, i)->qdisc)))
			return false;
	return true;
}

/* Returns whether @dev can segment @large itself, with not much of it left to the kernel. */
static bool wg_dev_segments(const struct net_device *dev, const struct wg_large *large)
{
	const unsigned int len = large->len + dev->hard_header_len + VLAN_HLEN;
	const unsigned int max_size = large->v6 ? READ_ONCE(dev->gso_max_size) :
						  READ_ONCE(dev->gso_ipv4_max_size);
	netdev_features_t features = dev->features & ~dev->gso_partial_features;

	if (large->tags)
		features &= dev->vlan_features;
	return features & NETIF_F_GSO_UDP_L4 && len < max_size &&
	       large->segs <= READ_ONCE(dev->gso_max_segs);
}

/* Returns whether @dev takes @large unsegmented; the devices above it were checked before. */
bool wg_dev_takes_large(struct net_device *dev, struct wg_large *large)
{
	return wg_dev_segments(dev, large) && wg_dev_sends_plain(dev) &&
	       wg_dev_queues_large(dev, large->limited) && wg_dev_is_open(dev, large);
}
