// SPDX-License-Identifier: GPL-2.0

#include <linux/cpumask.h>

/* Returns the active CPU after @cpu, which may be -1, or at least @nr_cpu_ids if there is none. */
__rust_helper unsigned int rust_helper_wg_cpumask_next_active(int cpu)
{
	return cpumask_next(cpu, cpu_active_mask);
}

__rust_helper unsigned int rust_helper_wg_num_online_cpus(void)
{
	return num_online_cpus();
}
