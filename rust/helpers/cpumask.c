// SPDX-License-Identifier: GPL-2.0

#include <linux/cpumask.h>
#include <linux/smp.h>

/* Returns the online CPU after @cpu, which may be -1, or at least @nr_cpu_ids if there is none. */
__rust_helper unsigned int rust_helper_wg_cpumask_next_online(int cpu)
{
	return cpumask_next(cpu, cpu_online_mask);
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
