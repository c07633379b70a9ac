// SPDX-License-Identifier: GPL-2.0

#include <net/icmp.h>

__rust_helper void rust_helper_icmp_ndo_send(struct sk_buff *skb, int type, int code)
{
	icmp_ndo_send(skb, type, code, 0);
}
