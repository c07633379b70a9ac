// SPDX-License-Identifier: GPL-2.0

#include <net/sock.h>
#include <net/udp_tunnel.h>

/* Exists as an inline function if there is no IPv6. */
__rust_helper int rust_helper_udp_sock_create6(struct net *net, struct udp_port_cfg *cfg,
					       struct socket **sockp)
{
	return udp_sock_create6(net, cfg, sockp);
}

/*
 * A tunnel's socket belongs to no user: its send buffer does not limit packets,
 * and receiving may use memory reserves, as swapping may depend on it.
 */
__rust_helper void rust_helper_wg_udp_tunnel_set_sock_opts(struct sock *sk)
{
	sk->sk_allocation = GFP_ATOMIC;
	sk->sk_sndbuf = INT_MAX;
	sk_set_memalloc(sk);
}
