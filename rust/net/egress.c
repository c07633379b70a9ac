// SPDX-License-Identifier: GPL-2.0

#include "net.h"
#include <linux/if_arp.h>
#include <linux/if_vlan.h>
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>
#include <linux/netfilter_ipv4.h>
#include <linux/skbuff_ref.h>
#include <linux/udp.h>
#include <net/geneve.h>
#include <net/gre.h>
#include <net/sch_generic.h>
#include <net/vxlan.h>

/*
 * What lies between us and the wire, and whether a packet that stands for many datagrams may pass
 * it as one.
 *
 * It may where that is not to be told from as many packets of one datagram: where nobody judges,
 * changes or counts them on the way, where the device takes them apart, and where what waits for
 * the device is not counted in packets.  Elsewhere, each datagram leaves by itself.
 *
 * All is called under RCU with bottom halves off.
 */

#ifdef CONFIG_NETFILTER
/*
 * Returns whether a hook does with a packet for many datagrams what it does with the first of
 * them: connection tracking, address translation and security labels look at the flow alone.
 */
static bool wg_hook_sees_flow(const struct nf_hook_ops *ops)
{
	if (ops->hook_ops_type == NF_HOOK_OP_NF_TABLES || ops->hook_ops_type == NF_HOOK_OP_BPF)
		return false;
	/* These are the same for IPv6. */
	switch (ops->priority) {
	case NF_IP_PRI_CONNTRACK_DEFRAG:
	case NF_IP_PRI_CONNTRACK:
	case NF_IP_PRI_NAT_DST:
	case NF_IP_PRI_NAT_SRC:
	case NF_IP_PRI_CONNTRACK_HELPER:
	case NF_IP_PRI_CONNTRACK_CONFIRM:
	case NF_IP_PRI_SELINUX_FIRST:
	case NF_IP_PRI_SELINUX_LAST:
		return true;
	default:
		return false;
	}
}

static bool wg_hooks_see_flow(const struct nf_hook_entries *hooks)
{
	struct nf_hook_ops **ops;
	unsigned int i;

	if (!hooks)
		return true;
	ops = nf_hook_entries_get_hook_ops(hooks);
	for (i = 0; i < hooks->num_hook_entries; i++)
		if (!wg_hook_sees_flow(READ_ONCE(ops[i])))
			return false;
	return true;
}

/* Returns whether no hook on the way out of @net looks at single datagrams. */
static bool wg_net_is_plain(const struct net *net, bool v6)
{
	struct nf_hook_entries __rcu *const *heads = v6 ? net->nf.hooks_ipv6 : net->nf.hooks_ipv4;

	return wg_hooks_see_flow(rcu_dereference(heads[NF_INET_LOCAL_OUT])) &&
	       wg_hooks_see_flow(rcu_dereference(heads[NF_INET_POST_ROUTING]));
}
#else
static bool wg_net_is_plain(const struct net *net, bool v6)
{
	return true;
}
#endif

/* What is to be sent, as the devices that it passes are asked about. */
struct wg_large {
	unsigned int len;	/* with all headers, but those of the device */
	unsigned int segs;
	bool v6;
	bool limited;		/* by a socket, to what leaves soon, as no router is */
};

/* Returns whether neither netfilter nor traffic control looks at what @dev sends. */
static bool wg_dev_is_plain(const struct net_device *dev)
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

/*
 * Returns whether @dev shows all that lies below it.  Tunnels have devices below them that are
 * not among their lower ones, and what is enslaved to a VRF passes that.
 */
static bool wg_dev_is_open(const struct net_device *dev)
{
	if (dev->type != ARPHRD_ETHER && dev->type != ARPHRD_LOOPBACK)
		return false;
	return !netif_is_vxlan(dev) && !netif_is_geneve(dev) && !netif_is_gretap(dev) &&
	       !netif_is_ip6gretap(dev) && !netif_is_l3_slave(dev);
}

/* Returns whether a queue has no plan of its own of what leaves when, and takes nothing apart. */
static bool wg_queue_is_simple(const struct Qdisc *q)
{
	static const char *const simple[] = { "fq_codel", "fq", "pfifo_fast" };
	unsigned int i;

	if (!q->enqueue)
		return true;
	for (i = 0; i < ARRAY_SIZE(simple); i++)
		if (!strcmp(q->ops->id, simple[i]))
			return true;
	return false;
}

/*
 * Returns whether the queue of @dev may be given large packets.  None may, and one for each of the
 * queues that only fast hardware has, if they are simple.  A single one that is may if a socket
 * limits what waits there: a router would fill it, and it is counted in packets.
 */
static bool wg_dev_queues_large(struct net_device *dev, bool limited)
{
	const struct Qdisc *q = rcu_dereference(dev->qdisc);
	unsigned int i;

	if (!q->enqueue)
		return true;
	if (strcmp(q->ops->id, "mq"))
		return limited && wg_queue_is_simple(q);
	for (i = 0; i < READ_ONCE(dev->real_num_tx_queues); i++)
		if (!wg_queue_is_simple(rcu_dereference(netdev_get_tx_queue(dev, i)->qdisc)))
			return false;
	return true;
}

/* Returns whether @dev can take apart what @large is, not much of it being left to the kernel. */
static bool wg_dev_segments(const struct net_device *dev, const struct wg_large *large)
{
	const unsigned int len = large->len + dev->hard_header_len + VLAN_HLEN;
	const unsigned int max_size = large->v6 ? READ_ONCE(dev->gso_max_size) :
						  READ_ONCE(dev->gso_ipv4_max_size);

	return dev->features & ~dev->gso_partial_features & NETIF_F_GSO_UDP_L4 &&
	       len < max_size && large->segs <= READ_ONCE(dev->gso_max_segs);
}

static bool wg_dev_takes_large(struct net_device *dev, const struct wg_large *large)
{
	return wg_dev_segments(dev, large) && wg_dev_is_open(dev) && wg_dev_is_plain(dev) &&
	       wg_dev_queues_large(dev, large->limited);
}

static int wg_lower_dev_check(struct net_device *dev, struct netdev_nested_priv *priv)
{
	return !wg_dev_takes_large(dev, priv->data);
}

/*
 * Returns whether @skb, which stands for many datagrams that are sent along @dst, may leave as it
 * is.
 */
bool wg_egress_takes_large(const struct sk_buff *skb, struct dst_entry *dst, bool v6)
{
	struct wg_large large = {
		.len = skb->len + sizeof(struct udphdr) +
		       (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)),
		.segs = skb_shinfo(skb)->gso_segs,
		.v6 = v6,
		.limited = skb->sk,
	};
	struct netdev_nested_priv priv = {
		.data = &large,
	};
	struct net_device *dev;
	bool takes;

	if (dst_xfrm(dst) || dst->lwtstate)
		return false;
	/* Bottom halves that are off are enough, but lockdep does not know that of all readers. */
	rcu_read_lock();
	dev = dst_dev_rcu(dst);
	takes = wg_net_is_plain(dev_net_rcu(dev), v6) && wg_dev_takes_large(dev, &large) &&
		!netdev_walk_all_lower_dev_rcu(dev, wg_lower_dev_check, &priv);
	rcu_read_unlock();
	return takes;
}

/*
 * Returns the next datagram of @skb, of which all data are in fragments, and which is charged for
 * it no longer if it is the last.  @at is where it begins, and is moved on.  Returns NULL if there
 * is no memory.
 */
struct sk_buff *wg_egress_slice(struct sk_buff *skb, struct wg_slice *at, unsigned int headroom)
{
	const struct skb_shared_info *from = skb_shinfo(skb);
	unsigned int left = min_t(unsigned int, from->gso_size, skb->len - at->done);
	struct sk_buff *datagram = wg_skb_alloc(headroom, 0);
	struct skb_shared_info *to;

	if (!datagram)
		return NULL;
	to = skb_shinfo(datagram);
	to->flags |= from->flags & SKBFL_SHARED_FRAG;
	at->done += left;
	while (left) {
		const skb_frag_t *frag = &from->frags[at->frag];
		const unsigned int len = min(left, skb_frag_size(frag) - at->offset);
		skb_frag_t *new = &to->frags[to->nr_frags++];

		*new = *frag;
		skb_frag_off_add(new, at->offset);
		skb_frag_size_set(new, len);
		__skb_frag_ref(new);
		datagram->len += len;
		datagram->data_len += len;
		datagram->truesize += len;
		left -= len;
		at->offset += len;
		if (at->offset == skb_frag_size(frag)) {
			at->frag++;
			at->offset = 0;
		}
	}
	wg_skb_copy_flow(datagram, skb);
	wg_skb_pass_owner(datagram, skb, at->done == skb->len);
	return datagram;
}
