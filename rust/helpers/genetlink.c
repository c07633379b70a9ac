// SPDX-License-Identifier: GPL-2.0

#include <net/genetlink.h>

__rust_helper struct net *rust_helper_genl_info_net(const struct genl_info *info)
{
	return genl_info_net(info);
}

__rust_helper const struct genl_info *rust_helper_genl_info_dump(struct netlink_callback *cb)
{
	return genl_info_dump(cb);
}

/*
 * Begins a message of a dump, marked as inconsistent with the one before if
 * @seq has changed.
 */
__rust_helper void *rust_helper_genlmsg_put_dump(struct sk_buff *skb, struct netlink_callback *cb,
						 unsigned int seq, u8 cmd)
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

__rust_helper void rust_helper_genlmsg_end(struct sk_buff *skb, void *hdr)
{
	genlmsg_end(skb, hdr);
}

__rust_helper void rust_helper_genlmsg_cancel(struct sk_buff *skb, void *hdr)
{
	genlmsg_cancel(skb, hdr);
}
