// SPDX-License-Identifier: GPL-2.0

#include <net/rtnetlink.h>

__rust_helper
struct net *rust_helper_rtnl_newlink_link_net(struct rtnl_newlink_params *params)
{
	return rtnl_newlink_link_net(params);
}
