// SPDX-License-Identifier: GPL-2.0

#include <linux/suspend.h>

__rust_helper int rust_helper_register_pm_notifier(struct notifier_block *nb)
{
	return register_pm_notifier(nb);
}

__rust_helper int rust_helper_unregister_pm_notifier(struct notifier_block *nb)
{
	return unregister_pm_notifier(nb);
}
