// SPDX-License-Identifier: GPL-2.0

#include <net/udp_tunnel.h>

/* Exists as an inline function if there is no IPv6. */
__rust_helper int rust_helper_udp_sock_create6(struct net *net, struct udp_port_cfg *cfg,
					       struct socket **sockp)
{
	return udp_sock_create6(net, cfg, sockp);
}
