// SPDX-License-Identifier: GPL-2.0
/*
 * When loaded, has the kernel believe that its virtual machine was forked: does what the driver of
 * the generation ID does when a hypervisor tells it. That function is for drivers in the kernel's
 * image only, so a probe is asked where it is.
 */

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/uuid.h>

static int __init vmfork_init(void)
{
	struct kprobe probe = { .symbol_name = "add_vmfork_randomness" };
	void (*fork)(const void *unique_vm_id, size_t len);
	uuid_t id;
	int ret;

	ret = register_kprobe(&probe);
	if (ret)
		return ret;
	fork = (void *)probe.addr;
	unregister_kprobe(&probe);
	uuid_gen(&id);
	fork(&id, sizeof(id));
	return 0;
}

static void __exit vmfork_exit(void)
{
}

module_init(vmfork_init);
module_exit(vmfork_exit);
MODULE_DESCRIPTION("Pretends that the virtual machine was forked");
MODULE_LICENSE("GPL");
