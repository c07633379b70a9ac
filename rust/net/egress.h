/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is asked about the way of a packet that stands for many datagrams.
 */
#ifndef _RUST_NET_EGRESS_H
#define _RUST_NET_EGRESS_H

#include "net.h"

/* What is to be sent, as the devices that it passes are asked about. */
struct wg_large {
	unsigned int len;	/* with all headers, but those of the device */
	unsigned int segs;
	bool v6;
	bool limited;		/* by TCP, to what leaves soon, as no router or sender of UDP is */
	union {
		__be32 daddr;
		const struct in6_addr *daddr6;
	};

	/* What was met on the way. */
	unsigned int tags;	/* of VLANs, that there may be */
	struct net_device *vlan;
};

/* egress_hooks.c */
bool wg_net_sends_plain(const struct net *net, bool v6);
bool wg_net_delivers_plain(const struct net *net, bool v6);

/* egress_dev.c */
bool wg_dev_takes_large(struct net_device *dev, struct wg_large *large);

#endif /* _RUST_NET_EGRESS_H */
