// SPDX-License-Identifier: GPL-2.0

#include "net.h"
#include <net/genetlink.h>

/*
 * Begins a message of a dump, marked as inconsistent with the one before if
 * @seq has changed.
 */
void *wg_genlmsg_put_dump(struct sk_buff *skb, struct netlink_callback *cb, unsigned int seq,
			  u8 cmd)
{
	const struct genl_info *info = genl_info_dump(cb);
	void *hdr;

	hdr = genlmsg_put(skb, info->snd_portid, info->snd_seq, info->family, NLM_F_MULTI, cmd);
	if (hdr) {
		cb->seq = seq;
		genl_dump_check_consistent(cb, hdr);
	}
	return hdr;
}
