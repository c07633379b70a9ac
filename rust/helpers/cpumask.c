// SPDX-License-Identifier: GPL-2.0

#include <linux/cpumask.h>
#include <linux/smp.h>

/* Returns the online CPU after @cpu, going round, or @nr_cpu_ids if there is none. */
__rust_helper unsigned int rust_helper_wg_next_online_cpu(unsigned int cpu)
{
	unsigned int next = cpumask_next(cpu, cpu_online_mask);

	return next < nr_cpu_ids ? next : cpumask_first(cpu_online_mask);
}

__rust_helper unsigned int rust_helper_wg_num_online_cpus(void)
{
	return num_online_cpus();
}

__rust_helper unsigned int rust_helper_wg_nr_cpu_ids(void)
{
	return nr_cpu_ids;
}

__rust_helper unsigned int rust_helper_wg_current_cpu(void)
{
	return raw_smp_processor_id();
}
