/* SPDX-License-Identifier: GPL-2.0 */
/*
 * C code of the module with logic of its own, as opposed to the helpers, which only make inline
 * functions callable.  Called only from wg_kernel.
 */
#ifndef _RUST_NET_H
#define _RUST_NET_H

#include <linux/netdevice.h>
#include <linux/netlink.h>
#include <linux/skbuff.h>
#include <net/dst.h>
#include <net/route.h>
#include <net/sock.h>

/* netfilter.c */
int wg_udp_tunnel_accept_large(struct sock *sk, void *encap_rcv, bool merge);
void wg_udp_tunnel_exit_net(struct net *net);

/* skbuff.c */
struct sk_buff *wg_skb_alloc(unsigned int headroom, unsigned int len);
struct sk_buff *wg_skb_alloc_inner(const struct sk_buff *outer, unsigned int len);
struct sk_buff *wg_skb_take(struct sk_buff *skb, struct net_device *dev);
void wg_skb_leave_sock(struct sk_buff *skb);
bool wg_skb_dst_mtu(const struct sk_buff *skb, u32 *mtu);
int wg_skb_prepare_seal(struct sk_buff *skb, unsigned int headroom, unsigned int tailroom,
			struct sk_buff **trailer);
void *wg_skb_contiguous(const struct sk_buff *skb, unsigned int offset, unsigned int before,
			unsigned int len);
void wg_skb_scrub(struct sk_buff *skb, bool encapsulating);
void wg_skb_set_sender_cpu(struct sk_buff *skb, unsigned int cpu);
bool wg_skb_plain_gso(struct sk_buff *skb, bool *tcp, bool *accecn, u32 *size, int *transport);
void wg_skb_set_udp_gso(struct sk_buff *skb, u16 size, u16 segs);
void wg_skb_set_tcp_gso(struct sk_buff *skb, bool v6, bool cwr, u16 size, u16 segs);
void wg_skb_set_tcp_partial(struct sk_buff *skb, unsigned int offset);
unsigned int wg_skb_datagram_size(const struct sk_buff *skb);
void wg_skb_copy_flow(struct sk_buff *to, const struct sk_buff *from);
void wg_skb_pass_owner(struct sk_buff *to, struct sk_buff *from, bool last);
bool wg_skb_append_page(struct sk_buff *skb, struct page *page, unsigned int offset,
			unsigned int len, unsigned int truesize);
void wg_gro_receive(struct napi_struct *napi, struct sk_buff *skb);

/* Header offsets have 16 bits, from the start of the memory: this is the maximum allowed here. */
#define WG_HEADERS_MAX_OFFSET 0x8000

/* Returns whether the offsets of headers at the data fit. */
static inline bool wg_skb_headers_fit(const struct sk_buff *skb)
{
	return skb_headroom(skb) <= WG_HEADERS_MAX_OFFSET;
}

/* Returns whether the checksum that is yet to be completed lies within the linear data. */
static inline bool wg_skb_csum_is_inside(const struct sk_buff *skb)
{
	const int start = skb_checksum_start_offset(skb);

	return start >= 0 && start + skb->csum_offset + sizeof(__sum16) <= skb_headlen(skb);
}

/* Forgets what is known of @skb and is not true of a packet that is within it, or around it. */
static inline void wg_skb_forget(struct sk_buff *skb)
{
	skb_ext_reset(skb);
	nf_reset_ct(skb);
	nf_reset_trace(skb);
	ipvs_reset(skb);
}

/* egress.c */

/* Where in a GSO packet the next datagram begins. */
struct wg_slice {
	unsigned int done;
	unsigned int frag;
	unsigned int offset;
};

/* The result of sending a GSO packet. */
struct wg_sent {
	bool whole;		/* sent unsegmented, or could have been */
	unsigned int packets;	/* datagrams that were sent */
	unsigned int bytes;	/* of their payload */
};

bool wg_egress_takes_large(const struct sk_buff *skb, struct dst_entry *dst, __be32 daddr);
bool wg_egress6_takes_large(const struct sk_buff *skb, struct dst_entry *dst,
			    const struct in6_addr *daddr);
struct wg_sent wg_egress_local_out(struct net *net, struct sock *sk, struct sk_buff *skb, bool v6);
struct sk_buff *wg_egress_slice(struct sk_buff *skb, struct wg_slice *at, unsigned int headroom);

/* genetlink.c */
void *wg_genlmsg_put_dump(struct sk_buff *skb, struct netlink_callback *cb, unsigned int seq,
			  u8 cmd);

/* net_namespace.c */
struct net *wg_get_net_by_cookie(u64 cookie);

/* netdevice.c */

/* The operations of a device, and its transmit function in Rust. */
struct wg_net_device_ops {
	const struct net_device_ops ops;
	int (*start_xmit)(struct sk_buff *skb, struct net_device *dev);
};

netdev_tx_t wg_start_xmit(struct sk_buff *skb, struct net_device *dev);
u32 wg_backlog_tail(void);
bool wg_backlog_is_pending(u32 tail);
bool wg_dev_is_outermost(const struct net_device *dev);
void wg_dev_rx_add(struct net_device *dev, u64 packets, u64 bytes);
void wg_in_dev_disable_redirects(struct net_device *dev);
void wg_in6_dev_disable_addr_gen(struct net_device *dev);

/* udp_tunnel.c */
void wg_udp_tunnel_set_sock_opts(struct sock *sk);
bool wg_udp_tunnel_xmit(struct rtable *rt, struct sock *sk, struct sk_buff *skb,
			struct net_device *dev, u32 mark, __be32 saddr, __be32 daddr, u8 ds,
			__be16 sport, __be16 dport);
bool wg_udp_tunnel6_xmit(struct dst_entry *dst, struct sock *sk, struct sk_buff *skb,
			 struct net_device *dev, u32 mark, const struct in6_addr *saddr,
			 const struct in6_addr *daddr, u8 ds, __be16 sport, __be16 dport);

#endif /* _RUST_NET_H */
