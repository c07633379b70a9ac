// SPDX-License-Identifier: GPL-2.0

#include <net/inet_sock.h>

__rust_helper __be16 rust_helper_wg_inet_sport(const struct sock *sk)
{
	return inet_sk(sk)->inet_sport;
}

__rust_helper void rust_helper_inet_dec_convert_csum(struct sock *sk)
{
	inet_dec_convert_csum(sk);
}
