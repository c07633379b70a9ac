// SPDX-License-Identifier: GPL-2.0

#include <net/inet_sock.h>

__rust_helper __be16 rust_helper_inet_sport(const struct sock *sk)
{
	return inet_sk(sk)->inet_sport;
}
