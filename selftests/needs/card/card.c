// SPDX-License-Identifier: GPL-2.0
/*
 * Two network cards, card0 and card1, with a cable between them.  What the stack can tell of them
 * is as with a real one: they have a parent, several queues, and take large packets of TCP and
 * UDP, which they segment by themselves.
 */

#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/platform_device.h>
#include <linux/rtnetlink.h>
#include <net/gso.h>

#define CARD_QUEUES 2
#define CARD_FEATURES (NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_HIGHDMA | NETIF_F_GSO_SOFTWARE)

static struct platform_device *parent;
static struct net_device *cards[2];

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
	return 0;
}
module_init(card_init);
module_exit(card_remove);
MODULE_DESCRIPTION("Network cards for tests");
MODULE_LICENSE("GPL");
