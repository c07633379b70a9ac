// SPDX-License-Identifier: GPL-2.0

#include <linux/bottom_half.h>
#include <linux/netdevice.h>
#include <linux/preempt.h>
#include <linux/sched.h>

__rust_helper void rust_helper_local_bh_disable(void)
{
	local_bh_disable();
}

__rust_helper void rust_helper_local_bh_enable(void)
{
	local_bh_enable();
}

__rust_helper bool rust_helper_wg_in_serving_softirq(void)
{
	return in_serving_softirq();
}

__rust_helper bool rust_helper_wg_in_napi_threaded_poll(void)
{
	return this_cpu_read(softnet_data.in_napi_threaded_poll);
}

__rust_helper void rust_helper_preempt_disable(void)
{
	preempt_disable();
}

__rust_helper void rust_helper_preempt_enable(void)
{
	preempt_enable();
}
