// SPDX-License-Identifier: GPL-2.0

#include <linux/security.h>

__rust_helper void rust_helper_security_sk_classify_flow(const struct sock *sk,
							 struct flowi_common *common)
{
	security_sk_classify_flow(sk, common);
}
