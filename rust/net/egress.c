// SPDX-License-Identifier: GPL-2.0

#include "net.h"
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/skbuff_ref.h>
#include <linux/udp.h>
#include <net/sch_generic.h>

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
	return true;
}

/*
 * Returns whether the queue of @dev may be given large packets.  None, and one for each of the
 * queues that only fast hardware has, may.  One that is made of others is somebody's plan of what
 * leaves when, which may count packets, and may not.  Whether a single one may depends on whether
 * the sender is @limited to what leaves soon, as a local socket is, but no router.
 */
static bool wg_queue_takes_large(const struct net_device *dev, bool limited)
{
	const struct Qdisc *q = rcu_dereference(dev->qdisc);
	const struct Qdisc_class_ops *cl_ops;

	if (!q->enqueue || q->flags & TCQ_F_MQROOT)
		return true;
	cl_ops = q->ops->cl_ops;
	return limited && !(cl_ops && cl_ops->graft);
}

static bool wg_dev_takes_large(const struct net_device *dev, bool limited)
{
	return wg_dev_is_plain(dev) && wg_queue_takes_large(dev, limited);
}

static int wg_lower_dev_check(struct net_device *dev, struct netdev_nested_priv *priv)
{
	return !wg_dev_takes_large(dev, priv->flags);
}

/*
 * Returns whether @skb, which stands for many datagrams that are sent along @dst, may leave as it
 * is.
 */
bool wg_egress_takes_large(const struct sk_buff *skb, struct dst_entry *dst, bool v6)
{
	struct net_device *dev = READ_ONCE(dst->dev);
	struct netdev_nested_priv priv = {
		.flags = !!skb->sk,
	};
	const unsigned int headers_len = sizeof(struct udphdr) +
		(v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	const unsigned int max_size = v6 ? READ_ONCE(dev->gso_max_size) :
					   READ_ONCE(dev->gso_ipv4_max_size);

	if (dst_xfrm(dst) || dst->lwtstate)
		return false;
	if (!(dev->features & NETIF_F_GSO_UDP_L4) || skb->len + headers_len > max_size ||
	    skb_shinfo(skb)->gso_segs > READ_ONCE(dev->gso_max_segs))
		return false;
	return wg_net_is_plain(dev_net_rcu(dev), v6) && wg_dev_takes_large(dev, skb->sk) &&
	       !netdev_walk_all_lower_dev_rcu(dev, wg_lower_dev_check, &priv);
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
