// SPDX-License-Identifier: GPL-2.0

#include <net/inet_ecn.h>

__rust_helper int rust_helper_INET_ECN_decapsulate(struct sk_buff *skb, u8 outer, u8 inner)
{
	return INET_ECN_decapsulate(skb, outer, inner);
}
