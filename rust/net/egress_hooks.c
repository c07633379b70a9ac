// SPDX-License-Identifier: GPL-2.0
/*
 * Netfilter hooks that packets pass, and whether they look at single datagrams.
 *
 * All functions are called under RCU.
 */

#include "egress.h"
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>

#ifdef CONFIG_NETFILTER
/* What treats a GSO packet like the first of its datagrams, as it looks only at the flow. */
#define WG_HOOK_DEFRAG		BIT(0)
#define WG_HOOK_CONNTRACK	BIT(1)
#define WG_HOOK_NAT_DST		BIT(2)
#define WG_HOOK_NAT_SRC		BIT(3)
#define WG_HOOK_HELPER		BIT(4)
#define WG_HOOK_CONFIRM		BIT(5)
#define WG_HOOK_LABEL_FIRST	BIT(6)
#define WG_HOOK_LABEL_LAST	BIT(7)
/* All others. */
#define WG_HOOK_UNKNOWN		BIT(8)

/*
 * Returns which of these a hook is, going by its priority: connection tracking, address
 * translation and security labels have their own.  Nothing keeps others from taking the same, above
 * all the last.
 */
static unsigned int wg_hook_kind(const struct nf_hook_ops *ops)
{
	if (ops->hook_ops_type == NF_HOOK_OP_NF_TABLES || ops->hook_ops_type == NF_HOOK_OP_BPF)
		return WG_HOOK_UNKNOWN;
	/* These are the same for IPv6. */
	switch (ops->priority) {
	case NF_IP_PRI_CONNTRACK_DEFRAG:
		return WG_HOOK_DEFRAG;
	case NF_IP_PRI_CONNTRACK:
		return WG_HOOK_CONNTRACK;
	case NF_IP_PRI_NAT_DST:
		return WG_HOOK_NAT_DST;
	case NF_IP_PRI_NAT_SRC:
		return WG_HOOK_NAT_SRC;
	case NF_IP_PRI_CONNTRACK_HELPER:
		return WG_HOOK_HELPER;
	case NF_IP_PRI_CONNTRACK_CONFIRM:
		return WG_HOOK_CONFIRM;
	case NF_IP_PRI_SELINUX_FIRST:
		return WG_HOOK_LABEL_FIRST;
	case NF_IP_PRI_SELINUX_LAST:
		return WG_HOOK_LABEL_LAST;
	default:
		return WG_HOOK_UNKNOWN;
	}
}

/* Returns which hooks @net has at @place, save ours; of two with one priority, one is unknown. */
static unsigned int wg_hook_kinds(const struct net *net, bool v6, unsigned int place)
{
	struct nf_hook_entries __rcu *const *heads = v6 ? net->nf.hooks_ipv6 : net->nf.hooks_ipv4;
	const struct nf_hook_entries *hooks = rcu_dereference(heads[place]);
	struct nf_hook_ops **ops;
	unsigned int kinds = 0;
	unsigned int i;

	if (!hooks)
		return 0;
	ops = nf_hook_entries_get_hook_ops(hooks);
	for (i = 0; i < hooks->num_hook_entries; i++) {
		const struct nf_hook_ops *op = READ_ONCE(ops[i]);
		const unsigned int kind = wg_hook_kind(op);

		if (!wg_udp_tunnel_is_hook(op))
			kinds |= kinds & kind ? WG_HOOK_UNKNOWN : kind;
	}
	return kinds;
}

/*
 * Returns whether the hooks at two places, one after the other, look only at the flow.  A
 * connection is confirmed at the second, where it is tracked from the first on.
 */
static bool wg_hooks_see_flow(unsigned int first, unsigned int second)
{
	return !(first & (WG_HOOK_UNKNOWN | WG_HOOK_CONFIRM)) && !(second & WG_HOOK_UNKNOWN) &&
	       (first & WG_HOOK_CONNTRACK || !(second & WG_HOOK_CONFIRM));
}

/* Returns whether no hook on the way out of @net looks at single datagrams. */
bool wg_net_sends_plain(const struct net *net, bool v6)
{
	return wg_hooks_see_flow(wg_hook_kinds(net, v6, NF_INET_LOCAL_OUT),
				 wg_hook_kinds(net, v6, NF_INET_POST_ROUTING));
}

/*
 * Returns whether no hook on the way to a socket of @net looks at single datagrams, or sends a
 * packet for an address of @net elsewhere.
 */
bool wg_net_delivers_plain(const struct net *net, bool v6)
{
	const unsigned int first = wg_hook_kinds(net, v6, NF_INET_PRE_ROUTING);

	return !(first & WG_HOOK_NAT_DST) &&
	       wg_hooks_see_flow(first, wg_hook_kinds(net, v6, NF_INET_LOCAL_IN));
}
#else
bool wg_net_sends_plain(const struct net *net, bool v6)
{
	return true;
}

bool wg_net_delivers_plain(const struct net *net, bool v6)
{
	return true;
}
#endif
