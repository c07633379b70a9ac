// SPDX-License-Identifier: GPL-2.0

#include "egress.h"
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/skbuff_ref.h>
#include <linux/udp.h>
#include <net/gso.h>
#include <net/ipv6.h>
#include <net/tcp.h>

/*
 * The path from us to the wire, and whether a UDP GSO packet may take it unsegmented.
 *
 * It may where that cannot be told from as many packets of one datagram: where no hook filters,
 * changes or counts them on the way, where the device segments them, and where the device's queue
 * is not limited in packets.  Elsewhere, each datagram is sent by itself.
 *
 * All functions are called under RCU with bottom halves off.
 */

static int wg_lower_dev_check(struct net_device *dev, struct netdev_nested_priv *priv)
{
	return !wg_dev_takes_large(dev, priv->data);
}

/* Returns whether @large, whose datagrams have @size bytes with headers, may be sent along @dst. */
static bool wg_dst_takes_large(struct dst_entry *dst, struct wg_large *large, unsigned int size)
{
	struct netdev_nested_priv priv = {
		.data = large,
	};
	struct net_device *dev;
	bool takes;

	if (dst_xfrm(dst) || dst->lwtstate || size > dst_mtu(dst))
		return false;
	/* Bottom halves being off is enough, but not all lockdep checks know that. */
	rcu_read_lock();
	dev = dst_dev_rcu(dst);
	takes = wg_net_sends_plain(dev_net_rcu(dev), large->v6) && wg_dev_takes_large(dev, large) &&
		!netdev_walk_all_lower_dev_rcu(dev, wg_lower_dev_check, &priv);
	rcu_read_unlock();
	return takes;
}

/* Describes the GSO packet @skb, to which @left bytes of headers are yet to be added. */
static struct wg_large wg_large_of(const struct sk_buff *skb, unsigned int left, bool v6)
{
	return (struct wg_large){
		.len = skb->len + left,
		.segs = skb_shinfo(skb)->gso_segs,
		.v6 = v6,
		.limited = skb->sk && skb->destructor == tcp_wfree,
	};
}

/*
 * Returns whether @skb, a UDP GSO packet to @daddr along @dst that has no headers yet, may be sent
 * unsegmented.
 */
bool wg_egress_takes_large(const struct sk_buff *skb, struct dst_entry *dst, __be32 daddr)
{
	const unsigned int headers_len = sizeof(struct iphdr) + sizeof(struct udphdr);
	struct wg_large large = wg_large_of(skb, headers_len, false);

	large.daddr = daddr;
	return wg_dst_takes_large(dst, &large, headers_len + skb_shinfo(skb)->gso_size);
}

/* wg_egress_takes_large() for IPv6. */
bool wg_egress6_takes_large(const struct sk_buff *skb, struct dst_entry *dst,
			    const struct in6_addr *daddr)
{
	const unsigned int headers_len = sizeof(struct ipv6hdr) + sizeof(struct udphdr);
	struct wg_large large = wg_large_of(skb, headers_len, true);

	large.daddr6 = daddr;
	return wg_dst_takes_large(dst, &large, headers_len + skb_shinfo(skb)->gso_size);
}

/* Returns the length of the headers of @skb, which has all of them. */
static unsigned int wg_headers_len(const struct sk_buff *skb)
{
	return skb_transport_offset(skb) + sizeof(struct udphdr);
}

/* Segments @skb, which has all its headers, and sends its datagrams one by one. */
static struct wg_sent wg_egress_output_cut(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	const unsigned int headers_len = wg_headers_len(skb);
	struct sk_buff *segs, *next;
	struct wg_sent sent = {};

	segs = skb_gso_segment(skb, NETIF_F_SG | NETIF_F_HW_CSUM);
	if (IS_ERR_OR_NULL(segs)) {
		kfree_skb(skb);
		return sent;
	}
	skb_list_walk_safe(segs, segs, next) {
		const unsigned int bytes = segs->len - headers_len;
		int err;

		skb_mark_not_on_list(segs);
		wg_skb_pass_owner(segs, skb, !next);
		err = dst_output(net, sk, segs);
		if (likely(!net_xmit_eval(err))) {
			sent.packets++;
			sent.bytes += bytes;
		}
	}
	consume_skb(skb);
	return sent;
}

static struct in6_addr wg_destination(const struct sk_buff *skb, bool v6)
{
	struct in6_addr daddr = {};

	if (v6)
		daddr = ipv6_hdr(skb)->daddr;
	else
		daddr.s6_addr32[0] = ip_hdr(skb)->daddr;
	return daddr;
}

/*
 * As ip_local_out() and ip6_local_out(), for @skb whose path was checked, with all its headers
 * complete.  If its destination is translated, it takes another path, even if the route is the
 * same, which has to be checked then.
 */
struct wg_sent wg_egress_local_out(struct net *net, struct sock *sk, struct sk_buff *skb, bool v6)
{
	/* Only its address is compared, which is not reused as long as RCU is held. */
	const struct dst_entry *asked = skb_dst(skb);
	const struct in6_addr daddr = wg_destination(skb, v6);
	struct wg_sent sent = {
		.whole = true,
		.packets = skb_shinfo(skb)->gso_segs,
		.bytes = skb->len - wg_headers_len(skb),
	};
	struct dst_entry *dst;
	struct wg_large large;
	struct in6_addr now;
	int err;

	err = nf_hook(v6 ? NFPROTO_IPV6 : NFPROTO_IPV4, NF_INET_LOCAL_OUT, net, sk, skb, NULL,
		      skb_dst_dev_rcu(skb), dst_output);
	if (err != 1)
		goto out;
	dst = skb_dst(skb);
	now = wg_destination(skb, v6);
	if (unlikely(dst != asked || !ipv6_addr_equal(&now, &daddr))) {
		large = wg_large_of(skb, 0, v6);
		if (v6)
			large.daddr6 = &ipv6_hdr(skb)->daddr;
		else
			large.daddr = ip_hdr(skb)->daddr;
		if (!wg_dst_takes_large(dst, &large,
					wg_headers_len(skb) + skb_shinfo(skb)->gso_size))
			return wg_egress_output_cut(net, sk, skb);
	}
	err = dst_output(net, sk, skb);
out:
	if (unlikely(net_xmit_eval(err))) {
		sent.packets = 0;
		sent.bytes = 0;
	}
	return sent;
}

/*
 * Returns the next datagram of @skb, whose data are all in fragments.  The last datagram is charged
 * in place of @skb.  @at is where it begins, and is advanced.  Returns NULL if there is no memory.
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
#ifdef CONFIG_XPS
	datagram->sender_cpu = skb->sender_cpu;
#endif
	wg_skb_pass_owner(datagram, skb, at->done == skb->len);
	return datagram;
}
