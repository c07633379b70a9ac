// SPDX-License-Identifier: GPL-2.0

#include "net.h"
#include <net/ip6_checksum.h>
#include <net/ip6_route.h>
#include <net/ip_tunnels.h>
#include <net/udp.h>
#include <net/udp_tunnel.h>

/*
 * Sets what a tunnel's socket has that belongs to no user: its send buffer does not limit packets,
 * and receiving may use memory reserves, as swapping may depend on it.  @sk is new, so that nothing
 * else refers to it.
 */
void wg_udp_tunnel_set_sock_opts(struct sock *sk)
{
	sk->sk_allocation = GFP_ATOMIC;
	sk->sk_sndbuf = INT_MAX;
	sk_set_memalloc(sk);
}

/*
 * Transmission of a tunnel's UDP datagrams.
 *
 * All functions are called with bottom halves off, under RCU, with a route (whose reference is
 * given away, as that of the packet is) in the namespace of the socket, and a device that is
 * alive, or none.
 *
 * The kernel's functions push headers into the headroom without checking that there is any, and
 * that it is not shared with a clone.  So do the functions for GSO packets here.
 * wg_udp_tunnel_prepare() has ensured both: for packets that have the room and no clones, as
 * drivers should send them, that is a test of two fields.
 */

/*
 * Returns whether @skb is one datagram, with any checksum that is yet to be computed inside of it,
 * or a consistent UDP GSO packet, with the checksum in the header that is about to be pushed and
 * all data in fragments, whose pages are mapped and reference-counted.
 */
static __always_inline bool wg_udp_tunnel_is_sound(const struct sk_buff *skb)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);
	const unsigned int most = (unsigned int)shinfo->gso_segs * shinfo->gso_size;

	if (!shinfo->gso_size)
		return skb->ip_summed != CHECKSUM_PARTIAL || wg_skb_csum_is_inside(skb);
	return shinfo->gso_type == SKB_GSO_UDP_L4 && skb->ip_summed == CHECKSUM_PARTIAL &&
	       skb->len <= most && skb->len + shinfo->gso_size > most && !skb_headlen(skb) &&
	       !skb_has_frag_list(skb) && !skb->pp_recycle && skb_frags_readable(skb) &&
	       skb_checksum_start_offset(skb) == -(int)sizeof(struct udphdr);
}

/*
 * Prepares @skb for all functions that send it: the outer packet may be fragmented.  Returns false,
 * with @skb dropped, if there is no room for its headers or it is not sound.
 */
static __always_inline bool wg_udp_tunnel_prepare(struct sk_buff *skb, struct net_device *dev,
						  u32 mark, unsigned int headers_len)
{
	if (unlikely(!wg_skb_headers_fit(skb) || skb_cow_head(skb, headers_len) ||
		     !wg_udp_tunnel_is_sound(skb))) {
		if (dev)
			DEV_STATS_INC(dev, tx_dropped);
		kfree_skb(skb);
		return false;
	}
	wg_skb_forget(skb);
	skb->dev = dev;
	skb->mark = mark;
	skb->ignore_df = 1;
	skb_set_inner_network_header(skb, 0);
	return true;
}

/* Begins to send @skb, unless transmissions are nested too deep. */
static bool wg_udp_tunnel_enter(struct sk_buff *skb, struct net_device *dev)
{
	if (unlikely(dev_recursion_level() > IP_TUNNEL_RECURSION_LIMIT)) {
		if (dev) {
			net_crit_ratelimited("Dead loop on virtual device %s, fix it urgently!\n",
					     dev->name);
			DEV_STATS_ADD(dev, tx_errors, skb_shinfo(skb)->gso_segs);
		}
		kfree_skb_reason(skb, SKB_DROP_REASON_RECURSION_LIMIT);
		return false;
	}
	dev_xmit_recursion_inc();
	return true;
}

static void wg_udp_tunnel_push_header(struct sk_buff *skb, __be16 sport, __be16 dport)
{
	struct udphdr *uh;

	__skb_push(skb, sizeof(*uh));
	skb_reset_transport_header(skb);
	uh = udp_hdr(skb);
	uh->source = sport;
	uh->dest = dport;
	uh->len = htons(skb->len);
}

/* Counts the datagrams that were sent for @dev, and returns how many of @segs were not. */
static unsigned int wg_udp_tunnel_count(struct net_device *dev, unsigned int segs,
					const struct wg_sent *sent)
{
	struct pcpu_sw_netstats *tstats = this_cpu_ptr(dev->tstats);

	u64_stats_update_begin(&tstats->syncp);
	u64_stats_add(&tstats->tx_packets, sent->packets);
	u64_stats_add(&tstats->tx_bytes, sent->bytes);
	u64_stats_update_end(&tstats->syncp);
	return segs - sent->packets;
}

/*
 * As udp_tunnel_xmit_skb(), for the GSO packet @skb, whose datagrams are counted.  Returns whether
 * it was sent unsegmented.
 */
static bool wg_udp_tunnel_xmit_gso(struct rtable *rt, struct sock *sk, struct sk_buff *skb,
				   __be32 saddr, __be32 daddr, u8 ds, __be16 sport, __be16 dport)
{
	const unsigned int segs = skb_shinfo(skb)->gso_segs;
	struct net *net = dev_net_rcu(rt->dst.dev);
	struct net_device *dev = skb->dev;
	struct wg_sent sent;
	unsigned int lost;
	struct iphdr *iph;

	if (!wg_udp_tunnel_enter(skb, dev)) {
		ip_rt_put(rt);
		return true;
	}
	wg_udp_tunnel_push_header(skb, sport, dport);
	udp_set_csum(false, skb, saddr, daddr, skb->len);

	skb_clear_hash_if_not_l4(skb);
	skb_dst_set(skb, &rt->dst);
	memset(IPCB(skb), 0, sizeof(*IPCB(skb)));

	__skb_push(skb, sizeof(*iph));
	skb_reset_network_header(skb);
	iph = ip_hdr(skb);
	iph->version = 4;
	iph->ihl = sizeof(*iph) / 4;
	iph->tos = ds;
	iph->frag_off = 0;
	iph->ttl = ip4_dst_hoplimit(&rt->dst);
	iph->protocol = IPPROTO_UDP;
	iph->saddr = saddr;
	iph->daddr = daddr;
	iph_set_totlen(iph, skb->len);
	__ip_select_ident(net, iph, segs);
	ip_send_check(iph);
	skb->protocol = htons(ETH_P_IP);

	IP_INC_STATS(net, IPSTATS_MIB_OUTREQUESTS);
	sent = wg_egress_local_out(net, sk, skb, false);
	lost = dev ? wg_udp_tunnel_count(dev, segs, &sent) : 0;
	if (unlikely(lost))
		DEV_STATS_ADD(dev, tx_dropped, lost);
	dev_xmit_recursion_dec();
	return sent.whole;
}

/* Takes the next datagram off the GSO packet @skb, and prepares it for being sent along @dst. */
static struct sk_buff *wg_udp_tunnel_slice(struct sk_buff *skb, struct wg_slice *at,
					   struct dst_entry *dst, u32 mark,
					   unsigned int headers_len)
{
	const unsigned int headroom = LL_RESERVED_SPACE(READ_ONCE(dst->dev)) + headers_len;
	struct sk_buff *datagram = wg_egress_slice(skb, at, headroom);

	if (!datagram || !wg_udp_tunnel_prepare(datagram, skb->dev, mark, headers_len))
		return NULL;
	return datagram;
}

/* Frees @skb, of which all data before @at have been sent, and counts the rest as dropped. */
static void wg_udp_tunnel_end_slices(struct sk_buff *skb, const struct wg_slice *at)
{
	if (likely(at->done == skb->len)) {
		consume_skb(skb);
		return;
	}
	if (skb->dev)
		DEV_STATS_ADD(skb->dev, tx_dropped,
			      DIV_ROUND_UP(skb->len - at->done, skb_shinfo(skb)->gso_size));
	kfree_skb(skb);
}

/* Sends the datagrams of the GSO packet @skb one by one. */
static void wg_udp_tunnel_xmit_slices(struct rtable *rt, struct sock *sk, struct sk_buff *skb,
				      __be32 saddr, __be32 daddr, u8 ds, __be16 sport, __be16 dport)
{
	const unsigned int headers_len = sizeof(struct udphdr) + sizeof(struct iphdr);
	struct wg_slice at = {};
	struct sk_buff *datagram;

	while (at.done < skb->len) {
		datagram = wg_udp_tunnel_slice(skb, &at, &rt->dst, skb->mark, headers_len);
		if (unlikely(!datagram))
			break;
		dst_hold(&rt->dst);
		udp_tunnel_xmit_skb(rt, sk, datagram, saddr, daddr, ds, ip4_dst_hoplimit(&rt->dst),
				    0, sport, dport, false, false, 0);
	}
	wg_udp_tunnel_end_slices(skb, &at);
	ip_rt_put(rt);
}

/*
 * Sends @skb, which is the payload, along @rt, and counts it for @dev.  Returns whether @skb was
 * sent as it is, rather than segmented into its datagrams.
 */
bool wg_udp_tunnel_xmit(struct rtable *rt, struct sock *sk, struct sk_buff *skb,
			struct net_device *dev, u32 mark, __be32 saddr, __be32 daddr, u8 ds,
			__be16 sport, __be16 dport)
{
	if (!wg_udp_tunnel_prepare(skb, dev, mark, sizeof(struct udphdr) + sizeof(struct iphdr))) {
		ip_rt_put(rt);
		return true;
	}
	if (!skb_is_gso(skb)) {
		udp_tunnel_xmit_skb(rt, sk, skb, saddr, daddr, ds, ip4_dst_hoplimit(&rt->dst), 0,
				    sport, dport, false, false, 0);
		return true;
	}
	if (wg_egress_takes_large(skb, &rt->dst, daddr))
		return wg_udp_tunnel_xmit_gso(rt, sk, skb, saddr, daddr, ds, sport, dport);

	wg_udp_tunnel_xmit_slices(rt, sk, skb, saddr, daddr, ds, sport, dport);
	return false;
}

#if IS_ENABLED(CONFIG_IPV6)
/* wg_udp_tunnel_xmit_gso() for IPv6. */
static bool wg_udp_tunnel6_xmit_gso(struct dst_entry *dst, struct sock *sk, struct sk_buff *skb,
				    const struct in6_addr *saddr, const struct in6_addr *daddr,
				    u8 ds, __be16 sport, __be16 dport)
{
	const unsigned int segs = skb_shinfo(skb)->gso_segs;
	struct net_device *dev = skb->dev;
	struct ipv6hdr *ip6h;
	struct wg_sent sent;
	unsigned int lost;

	skb_dst_set(skb, dst);
	if (!wg_udp_tunnel_enter(skb, dev))
		return true;
	wg_udp_tunnel_push_header(skb, sport, dport);
	udp6_set_csum(false, skb, saddr, daddr, skb->len);

	__skb_push(skb, sizeof(*ip6h));
	skb_reset_network_header(skb);
	ip6h = ipv6_hdr(skb);
	ip6_flow_hdr(ip6h, ds, 0);
	ip6h->payload_len = htons(skb->len - sizeof(*ip6h));
	ip6h->nexthdr = IPPROTO_UDP;
	ip6h->hop_limit = ip6_dst_hoplimit(dst);
	ip6h->saddr = *saddr;
	ip6h->daddr = *daddr;
	memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));

	IP6CB(skb)->nhoff = offsetof(struct ipv6hdr, nexthdr);
	skb->protocol = htons(ETH_P_IPV6);

	sent = wg_egress_local_out(dev_net_rcu(dst->dev), sk, skb, true);
	lost = dev ? wg_udp_tunnel_count(dev, segs, &sent) : 0;
	if (unlikely(lost)) {
		DEV_STATS_ADD(dev, tx_errors, lost);
		DEV_STATS_ADD(dev, tx_aborted_errors, lost);
	}
	dev_xmit_recursion_dec();
	return sent.whole;
}

/* wg_udp_tunnel_xmit_slices() for IPv6. */
static void wg_udp_tunnel6_xmit_slices(struct dst_entry *dst, struct sock *sk, struct sk_buff *skb,
				       const struct in6_addr *saddr, const struct in6_addr *daddr,
				       u8 ds, __be16 sport, __be16 dport)
{
	const unsigned int headers_len = sizeof(struct udphdr) + sizeof(struct ipv6hdr);
	struct net_device *dev = skb->dev;
	struct wg_slice at = {};
	struct sk_buff *datagram;

	while (at.done < skb->len) {
		datagram = wg_udp_tunnel_slice(skb, &at, dst, skb->mark, headers_len);
		if (unlikely(!datagram))
			break;
		dst_hold(dst);
		udp_tunnel6_xmit_skb(dst, sk, datagram, dev, saddr, daddr, ds,
				     ip6_dst_hoplimit(dst), 0, sport, dport, false, 0);
	}
	wg_udp_tunnel_end_slices(skb, &at);
	dst_release(dst);
}
#endif

/* wg_udp_tunnel_xmit() for IPv6. */
bool wg_udp_tunnel6_xmit(struct dst_entry *dst, struct sock *sk, struct sk_buff *skb,
			 struct net_device *dev, u32 mark, const struct in6_addr *saddr,
			 const struct in6_addr *daddr, u8 ds, __be16 sport, __be16 dport)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (!wg_udp_tunnel_prepare(skb, dev, mark,
				   sizeof(struct udphdr) + sizeof(struct ipv6hdr))) {
		dst_release(dst);
		return true;
	}
	if (!skb_is_gso(skb)) {
		udp_tunnel6_xmit_skb(dst, sk, skb, dev, saddr, daddr, ds, ip6_dst_hoplimit(dst), 0,
				     sport, dport, false, 0);
		return true;
	}
	if (wg_egress6_takes_large(skb, dst, daddr))
		return wg_udp_tunnel6_xmit_gso(dst, sk, skb, saddr, daddr, ds, sport, dport);

	wg_udp_tunnel6_xmit_slices(dst, sk, skb, saddr, daddr, ds, sport, dport);
	return false;
#else
	dst_release(dst);
	kfree_skb(skb);
	return true;
#endif
}

