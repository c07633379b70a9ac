// SPDX-License-Identifier: GPL-2.0

#include "egress.h"
#include "net.h"
#include <linux/ipv6.h>
#include <linux/mutex.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/slab.h>
#include <net/ip.h>
#include <net/udp.h>

/*
 * Netfilter hooks that let a tunnel's sockets receive UDP GSO packets unsegmented.
 *
 * A hook is in the list, and registered, from when the first socket of its family and namespace
 * with its callback is opened until the namespace or the module ends, which is after the last
 * socket was closed.  It is not unregistered with that, because then the kernel drops whatever
 * waits for a verdict in a queue (NFQUEUE) of the namespace.  The mutex protects the list.
 *
 * For a grace period after a hook was unregistered, readers of a namespace's hooks may access it,
 * and a packet may still be in its function: it is freed after that, and the end of the module
 * waits for a grace period.
 */
#ifdef CONFIG_NETFILTER
/* The hook for all sockets of one family in a namespace that have the same callback. */
struct wg_udp_tunnel_hook {
	struct nf_hook_ops ops;
	struct list_head list;
	struct net *net;
};

static DEFINE_MUTEX(wg_udp_tunnel_hooks_lock);
static LIST_HEAD(wg_udp_tunnel_hooks);

/* Returns whether @skb is a UDP GSO packet whose fields can be relied on. */
static bool wg_udp_tunnel_is_large(const struct sk_buff *skb)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);

	return shinfo->gso_type == SKB_GSO_UDP_L4 && shinfo->gso_segs <= UDP_MAX_SEGMENTS &&
	       skb->ip_summed == CHECKSUM_PARTIAL && !skb->encapsulation && !skb->sk;
}

/* Returns the socket that will receive @skb, if the UDP header follows that of IP. */
static struct sock *wg_udp_tunnel_find_socket(struct sk_buff *skb,
					      const struct nf_hook_state *state)
{
	const bool v4 = state->pf == NFPROTO_IPV4;
	const struct udphdr *uh;

	if ((v4 ? ip_hdr(skb)->protocol : ipv6_hdr(skb)->nexthdr) != IPPROTO_UDP ||
	    !pskb_may_pull(skb, skb_transport_offset(skb) + sizeof(*uh)))
		return NULL;
	uh = udp_hdr(skb);
	if (v4)
		return __udp4_lib_lookup(state->net, ip_hdr(skb)->saddr, uh->source,
					 ip_hdr(skb)->daddr, uh->dest, inet_iif(skb),
					 inet_sdif(skb), NULL);
#if IS_ENABLED(CONFIG_IPV6)
	return __udp6_lib_lookup(state->net, &ipv6_hdr(skb)->saddr, uh->source,
				 &ipv6_hdr(skb)->daddr, uh->dest, inet6_iif(skb),
				 inet6_sdif(skb), NULL);
#else
	return NULL;
#endif
}

/*
 * UDP segments a GSO packet before it calls a tunnel's socket, unless GRO has
 * marked it as made by the tunnel's own callbacks.  So this sets that mark, with the
 * last of priorities.  Hooks that share it, as that which confirms connections does, may
 * still see the packet, and another socket may get it after all: the bit means nothing
 * to a packet that is not encapsulated.
 */
static unsigned int wg_udp_tunnel_local_in(void *encap_rcv, struct sk_buff *skb,
					   const struct nf_hook_state *state)
{
	struct sock *sk;

	if (!skb_is_gso(skb) || !wg_udp_tunnel_is_large(skb))
		return NF_ACCEPT;
	sk = wg_udp_tunnel_find_socket(skb, state);
	if (sk && READ_ONCE(udp_sk(sk)->encap_rcv) == encap_rcv && !skb_unclone(skb, GFP_ATOMIC))
		skb_shinfo(skb)->gso_type |= SKB_GSO_UDP_TUNNEL_CSUM;
	return NF_ACCEPT;
}

static u8 wg_udp_tunnel_family(const struct sock *sk)
{
	return sk->sk_family == AF_INET6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
}

static struct wg_udp_tunnel_hook *wg_udp_tunnel_find_hook(const struct sock *sk, void *encap_rcv)
{
	struct wg_udp_tunnel_hook *hook;

	list_for_each_entry(hook, &wg_udp_tunnel_hooks, list)
		if (hook->net == sock_net(sk) && hook->ops.pf == wg_udp_tunnel_family(sk) &&
		    hook->ops.priv == encap_rcv)
			return hook;
	return NULL;
}

static int wg_udp_tunnel_add_hook(const struct sock *sk, void *encap_rcv)
{
	struct wg_udp_tunnel_hook *hook = kzalloc(sizeof(*hook), GFP_KERNEL);
	int err;

	if (!hook)
		return -ENOMEM;
	hook->ops.hook = wg_udp_tunnel_local_in;
	hook->ops.priv = encap_rcv;
	hook->ops.pf = wg_udp_tunnel_family(sk);
	hook->ops.hooknum = NF_INET_LOCAL_IN;
	hook->ops.priority = NF_IP_PRI_LAST;
	hook->net = sock_net(sk);
	err = nf_register_net_hook(hook->net, &hook->ops);
	if (err)
		kfree(hook);
	else
		list_add(&hook->list, &wg_udp_tunnel_hooks);
	return err;
}

/*
 * Lets @encap_rcv, the callback of @sk, receive UDP GSO packets unsegmented, and has GRO make them
 * of the datagrams that devices receive if @merge is true.
 */
int wg_udp_tunnel_accept_large(struct sock *sk, void *encap_rcv, bool merge)
{
	int err = 0;

	mutex_lock(&wg_udp_tunnel_hooks_lock);
	if (!wg_udp_tunnel_find_hook(sk, encap_rcv))
		err = wg_udp_tunnel_add_hook(sk, encap_rcv);
	mutex_unlock(&wg_udp_tunnel_hooks_lock);
	if (err)
		return err;
	udp_set_bit(ACCEPT_L4, sk);
	if (merge)
		udp_set_bit(GRO_ENABLED, sk);
	return 0;
}

/* Unregisters the hooks of @net, where all sockets that have called that are closed. */
void wg_udp_tunnel_exit_net(struct net *net)
{
	struct wg_udp_tunnel_hook *hook, *next;

	mutex_lock(&wg_udp_tunnel_hooks_lock);
	list_for_each_entry_safe(hook, next, &wg_udp_tunnel_hooks, list) {
		if (hook->net != net)
			continue;
		list_del(&hook->list);
		nf_unregister_net_hook(net, &hook->ops);
		kfree_rcu(hook, ops.rcu);
	}
	mutex_unlock(&wg_udp_tunnel_hooks_lock);
}

/* Returns whether @ops is one of these hooks. */
bool wg_udp_tunnel_is_hook(const struct nf_hook_ops *ops)
{
	return ops->hook == wg_udp_tunnel_local_in;
}
#else
int wg_udp_tunnel_accept_large(struct sock *sk, void *encap_rcv, bool merge)
{
	return -EOPNOTSUPP;
}

void wg_udp_tunnel_exit_net(struct net *net)
{
}
#endif
