// SPDX-License-Identifier: GPL-2.0

#include <net/sock.h>

__rust_helper struct net *rust_helper_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

__rust_helper void *rust_helper_rcu_dereference_sk_user_data(const struct sock *sk)
{
	return rcu_dereference_sk_user_data(sk);
}

__rust_helper void rust_helper_rcu_assign_sk_user_data(struct sock *sk, void *data)
{
	rcu_assign_sk_user_data(sk, data);
}
