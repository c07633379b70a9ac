// SPDX-License-Identifier: GPL-2.0
/*
 * GSO packets that are forwarded in the namespace of whoever loads the module, and have come in by
 * a device whose name begins with "trusted", are as if the kernel had made them: it says how many
 * segments each has, and no more that a program did.
 *
 * What only the kernel can ask for, headers do here: accurate ECN is that a TCP header has the flag
 * AE, and an identification that all segments share is 0xf1ed.
 */

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/nsproxy.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/net_namespace.h>

#define TRUSTED "trusted"
#define TRUSTED_FIXED_ID 0xf1ed

static struct net *trusted_net;

static unsigned int trusted_forward(void *priv, struct sk_buff *skb,
				    const struct nf_hook_state *state)
{
	struct skb_shared_info *shinfo = skb_shinfo(skb);
	unsigned int start, headers;
	const struct tcphdr *th;

	if (!skb_is_gso(skb) || skb->ip_summed != CHECKSUM_PARTIAL ||
	    strncmp(state->in->name, TRUSTED, strlen(TRUSTED)))
		return NF_ACCEPT;
	start = skb_checksum_start_offset(skb);
	headers = start + sizeof(struct udphdr);
	if (shinfo->gso_type & (SKB_GSO_TCPV4 | SKB_GSO_TCPV6)) {
		if (!pskb_may_pull(skb, start + sizeof(*th)))
			return NF_DROP;
		th = (const struct tcphdr *)(skb->data + start);
		headers = start + th->doff * 4;
		if (th->ae)
			shinfo->gso_type |= SKB_GSO_TCP_ACCECN;
		if (state->pf == NFPROTO_IPV4 && ip_hdr(skb)->id == htons(TRUSTED_FIXED_ID))
			shinfo->gso_type |= SKB_GSO_TCP_FIXEDID;
	}
	if (headers >= skb->len || !pskb_may_pull(skb, headers))
		return NF_DROP;
	shinfo->gso_segs = DIV_ROUND_UP(skb->len - headers, shinfo->gso_size);
	shinfo->gso_type &= ~SKB_GSO_DODGY;
	return NF_ACCEPT;
}

static const struct nf_hook_ops trusted_ops[] = {
	{
		.hook = trusted_forward,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_FORWARD,
		.priority = NF_IP_PRI_LAST,
	},
	{
		.hook = trusted_forward,
		.pf = NFPROTO_IPV6,
		.hooknum = NF_INET_FORWARD,
		.priority = NF_IP_PRI_LAST,
	},
};

static int __init trusted_init(void)
{
	int ret;

	trusted_net = get_net(current->nsproxy->net_ns);
	ret = nf_register_net_hooks(trusted_net, trusted_ops, ARRAY_SIZE(trusted_ops));
	if (ret)
		put_net(trusted_net);
	return ret;
}

static void __exit trusted_exit(void)
{
	nf_unregister_net_hooks(trusted_net, trusted_ops, ARRAY_SIZE(trusted_ops));
	put_net(trusted_net);
}

module_init(trusted_init);
module_exit(trusted_exit);
MODULE_DESCRIPTION("GSO packets of programs, as if the kernel had made them");
MODULE_LICENSE("GPL");
