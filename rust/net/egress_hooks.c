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
/*
 * Returns whether a hook treats a GSO packet like the first of its datagrams: connection tracking,
 * address translation and security labels look only at the flow.
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

/*
 * Returns whether all hooks of @net at @place look only at the flow, and, if it is to @stay here,
 * none can send it elsewhere.
 */
static bool wg_hooks_see_flow(const struct net *net, bool v6, unsigned int place, bool stay)
{
	struct nf_hook_entries __rcu *const *heads = v6 ? net->nf.hooks_ipv6 : net->nf.hooks_ipv4;
	const struct nf_hook_entries *hooks = rcu_dereference(heads[place]);
	struct nf_hook_ops **ops;
	unsigned int i;

	if (!hooks)
		return true;
	ops = nf_hook_entries_get_hook_ops(hooks);
	for (i = 0; i < hooks->num_hook_entries; i++) {
		const struct nf_hook_ops *op = READ_ONCE(ops[i]);

		if (!wg_hook_sees_flow(op) || (stay && op->priority == NF_IP_PRI_NAT_DST))
			return false;
	}
	return true;
}

/* Returns whether no hook on the way out of @net looks at single datagrams. */
bool wg_net_sends_plain(const struct net *net, bool v6)
{
	return wg_hooks_see_flow(net, v6, NF_INET_LOCAL_OUT, false) &&
	       wg_hooks_see_flow(net, v6, NF_INET_POST_ROUTING, false);
}

/*
 * Returns whether no hook on the way to a socket of @net looks at single datagrams, or sends a
 * packet for an address of @net elsewhere.
 */
bool wg_net_delivers_plain(const struct net *net, bool v6)
{
	return wg_hooks_see_flow(net, v6, NF_INET_PRE_ROUTING, true) &&
	       wg_hooks_see_flow(net, v6, NF_INET_LOCAL_IN, false);
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
