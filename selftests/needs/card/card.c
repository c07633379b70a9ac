// SPDX-License-Identifier: GPL-2.0
/*
 * Two network cards, card0 and card1, with a cable between them.  What the stack can tell of them
 * is as with a real one: they have a parent, several queues, and take large packets of TCP and
 * UDP, which they segment by themselves.
 *
 * With the parameter watched=1, the last of netfilter's hooks at POST_ROUTING, in the namespace of
 * whoever loads the module, counts the IPv4 packets of UDP with more than 1600 bytes, in the
 * parameter large.  It has the priority of the one that confirms connections.
 */

#include <linux/etherdevice.h>
#include <linux/ip.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/netfilter_ipv4.h>
#include <linux/nsproxy.h>
#include <linux/platform_device.h>
#include <linux/rtnetlink.h>
#include <net/gso.h>
#include <net/net_namespace.h>

#define CARD_QUEUES 2
#define CARD_FEATURES (NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_HIGHDMA | NETIF_F_GSO_SOFTWARE)

static struct platform_device *parent;
static struct net_device *cards[2];

static bool watched;
module_param(watched, bool, 0444);

static unsigned int large;
module_param(large, uint, 0444);

static struct net *watched_net;

static unsigned int card_watch(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	if (ip_hdr(skb)->protocol == IPPROTO_UDP && skb->len > 1600)
		WRITE_ONCE(large, large + 1);
	return NF_ACCEPT;
}

static const struct nf_hook_ops watch = {
	.hook = card_watch,
	.pf = NFPROTO_IPV4,
	.hooknum = NF_INET_POST_ROUTING,
	.priority = NF_IP_PRI_LAST,
};

static struct net_device *card_peer(const struct net_device *dev)
{
	return dev == cards[0] ? cards[1] : cards[0];
}

/* Has @skb, which is one frame, received at the other end. */
static void card_wire(struct sk_buff *skb, struct net_device *peer)
{
	if (skb->ip_summed == CHECKSUM_PARTIAL && skb_checksum_help(skb)) {
		kfree_skb(skb);
		return;
	}
	dev_forward_skb(peer, skb);
}

static netdev_tx_t card_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct sk_buff *segs = skb, *next;

	dev_sw_netstats_tx_add(dev, 1, skb->len);
	if (skb_is_gso(skb)) {
		segs = skb_gso_segment(skb, NETIF_F_SG | NETIF_F_HW_CSUM);
		if (IS_ERR_OR_NULL(segs)) {
			kfree_skb(skb);
			return NETDEV_TX_OK;
		}
		consume_skb(skb);
	}
	skb_list_walk_safe(segs, segs, next) {
		skb_mark_not_on_list(segs);
		card_wire(segs, card_peer(dev));
	}
	return NETDEV_TX_OK;
}

static const struct net_device_ops card_ops = {
	.ndo_start_xmit = card_xmit,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

static struct net_device *card_alloc(void)
{
	struct net_device *dev = alloc_etherdev_mq(0, CARD_QUEUES);

	if (!dev)
		return NULL;
	SET_NETDEV_DEV(dev, &parent->dev);
	strscpy(dev->name, "card%d");
	dev->netdev_ops = &card_ops;
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
	dev->hw_features = CARD_FEATURES;
	dev->features = CARD_FEATURES;
	dev->vlan_features = CARD_FEATURES;
	dev->max_mtu = ETH_MAX_MTU;
	eth_hw_addr_random(dev);
	return dev;
}

static void card_remove(void)
{
	int i;

	if (watched_net) {
		nf_unregister_net_hook(watched_net, &watch);
		put_net(watched_net);
	}
	/* None sends to one that is gone. */
	rtnl_lock();
	for (i = 0; i < 2; i++)
		if (cards[i] && cards[i]->reg_state == NETREG_REGISTERED)
			dev_close(cards[i]);
	rtnl_unlock();
	for (i = 0; i < 2; i++) {
		if (!cards[i])
			continue;
		if (cards[i]->reg_state == NETREG_REGISTERED)
			unregister_netdev(cards[i]);
		free_netdev(cards[i]);
	}
	platform_device_unregister(parent);
}

static int __init card_init(void)
{
	int i, ret;

	parent = platform_device_register_simple("card", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(parent))
		return PTR_ERR(parent);
	for (i = 0; i < 2; i++) {
		cards[i] = card_alloc();
		if (!cards[i]) {
			card_remove();
			return -ENOMEM;
		}
	}
	for (i = 0; i < 2; i++) {
		ret = register_netdev(cards[i]);
		if (ret) {
			card_remove();
			return ret;
		}
	}
	if (!watched)
		return 0;
	ret = nf_register_net_hook(current->nsproxy->net_ns, &watch);
	if (ret) {
		card_remove();
		return ret;
	}
	watched_net = get_net(current->nsproxy->net_ns);
	return 0;
}
module_init(card_init);
module_exit(card_remove);
MODULE_DESCRIPTION("Network cards for tests");
MODULE_LICENSE("GPL");
