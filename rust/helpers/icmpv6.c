// SPDX-License-Identifier: GPL-2.0

#include <linux/icmpv6.h>

__rust_helper void rust_helper_icmpv6_ndo_send(struct sk_buff *skb, u8 type, u8 code)
{
	icmpv6_ndo_send(skb, type, code, 0);
}
