// SPDX-License-Identifier: GPL-2.0

#include <net/dst_cache.h>

__rust_helper struct dst_entry *rust_helper_dst_cache_get_ip6(struct dst_cache *cache,
							      struct in6_addr *saddr)
{
#if IS_ENABLED(CONFIG_IPV6)
	return dst_cache_get_ip6(cache, saddr);
#else
	return NULL;
#endif
}

__rust_helper void rust_helper_dst_cache_set_ip6(struct dst_cache *cache, struct dst_entry *dst,
						 const struct in6_addr *saddr)
{
#if IS_ENABLED(CONFIG_IPV6)
	dst_cache_set_ip6(cache, dst, saddr);
#endif
}
