/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checks of the path of a UDP GSO packet.
 */
#ifndef _RUST_NET_EGRESS_H
#define _RUST_NET_EGRESS_H

#include "net.h"
#include <linux/netfilter.h>

/* A GSO packet to be sent, for the checks of the devices that it passes. */
struct wg_large {
	unsigned int len;	/* with all headers except those of the device */
	unsigned int segs;
	bool v6;
	bool limited;		/* by TCP (TSQ), unlike forwarded packets and UDP */
	union {
		__be32 daddr;
		const struct in6_addr *daddr6;
	};

	/* Found on the path. */
	unsigned int tags;	/* VLAN tags that may be added */
	struct net_device *vlan;
};

/* egress_hooks.c */
bool wg_net_sends_plain(const struct net *net, bool v6);
bool wg_net_delivers_plain(const struct net *net, bool v6);

/* netfilter.c */
bool wg_udp_tunnel_is_hook(const struct nf_hook_ops *ops);

/* egress_dev.c */
bool wg_dev_takes_large(struct net_device *dev, struct wg_large *large);

#endif /* _RUST_NET_EGRESS_H */
