// SPDX-License-Identifier: GPL-2.0

#include <net/ip6_route.h>
#include <net/route.h>
#include <net/udp_tunnel.h>

/* What all senders of a tunnel want: the outer packet may be fragmented. */
static __always_inline void udp_tunnel_prepare(struct sk_buff *skb, struct net_device *dev,
					       u32 mark)
{
	skb->dev = dev;
	skb->mark = mark;
	skb->ignore_df = 1;
	skb_set_inner_network_header(skb, 0);
}

__rust_helper void rust_helper_udp_tunnel_xmit_skb(struct rtable *rt, struct sock *sk,
						   struct sk_buff *skb, struct net_device *dev,
						   u32 mark, __be32 saddr, __be32 daddr, u8 ds,
						   __be16 sport, __be16 dport)
{
	udp_tunnel_prepare(skb, dev, mark);
	udp_tunnel_xmit_skb(rt, sk, skb, saddr, daddr, ds, ip4_dst_hoplimit(&rt->dst), 0, sport,
			    dport, false, false, 0);
}

__rust_helper void rust_helper_udp_tunnel6_xmit_skb(struct dst_entry *dst, struct sock *sk,
						    struct sk_buff *skb, struct net_device *dev,
						    u32 mark, const struct in6_addr *saddr,
						    const struct in6_addr *daddr, u8 ds,
						    __be16 sport, __be16 dport)
{
#if IS_ENABLED(CONFIG_IPV6)
	udp_tunnel_prepare(skb, dev, mark);
	udp_tunnel6_xmit_skb(dst, sk, skb, dev, saddr, daddr, ds, ip6_dst_hoplimit(dst), 0, sport,
			     dport, false, 0);
#else
	dst_release(dst);
	kfree_skb(skb);
#endif
}

/* Exists as an inline function if there is no IPv6. */
__rust_helper int rust_helper_udp_sock_create6(struct net *net, struct udp_port_cfg *cfg,
					       struct socket **sockp)
{
	return udp_sock_create6(net, cfg, sockp);
}

/*
 * A tunnel's socket is no user's: its buffers do not limit what is sent, and
 * what it receives may dip into the reserves, as swapping may depend on it.
 */
__rust_helper void rust_helper_udp_tunnel_set_sock_opts(struct sock *sk)
{
	sk->sk_allocation = GFP_ATOMIC;
	sk->sk_sndbuf = INT_MAX;
	sk_set_memalloc(sk);
}
