// SPDX-License-Identifier: GPL-2.0

#include <linux/timekeeping.h>

__rust_helper u64 rust_helper_ktime_get_coarse_boottime_ns(void)
{
	return ktime_get_coarse_boottime_ns();
}
