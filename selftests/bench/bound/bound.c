// SPDX-License-Identifier: GPL-2.0
/*
 * The bounds of a tunnel on this very kernel: what encrypting or copying a packet costs by itself.
 *
 * Each reading of /sys/kernel/debug/wireguard-bound measures anew, on the CPU that the reader is
 * on. It has a line for each length: the length in bytes, and for each operation in the order of
 * the table below, picoseconds a call.
 */

#include <crypto/chacha20poly1305.h>
#include <linux/bottom_half.h>
#include <linux/debugfs.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <net/checksum.h>

/* Together they fit in the second level of cache and not in the first, as packets on their way. */
#define BUFFERS 64
#define MAX_LENGTH 16384
/* How long a measurement lasts at least, and how much of it passes between looks at the clock. */
#define DURATION (20 * NSEC_PER_MSEC)
#define BURST 64

static const size_t lengths[] = { 64, 128, 256, 512, 1024, 1360, 1420, 4096, MAX_LENGTH };

static u8 key[CHACHA20POLY1305_KEY_SIZE];
static u8 *buffers[BUFFERS];
static u8 *target;
static struct dentry *file;

/* As the in-tree driver encrypts: in place, through a scatterlist. */
static void seal_in_place(u8 *buffer, size_t length, u64 nonce)
{
	struct scatterlist sg;

	sg_init_one(&sg, buffer, length + CHACHA20POLY1305_AUTHTAG_SIZE);
	chacha20poly1305_encrypt_sg_inplace(&sg, length, NULL, 0, nonce, key);
}

static void seal_to_target(u8 *buffer, size_t length, u64 nonce)
{
	chacha20poly1305_encrypt(target, buffer, length, NULL, 0, nonce, key);
}

static void copy(u8 *buffer, size_t length, u64 nonce)
{
	memcpy(target, buffer, length);
	OPTIMIZER_HIDE_VAR(target);
}

static void copy_and_sum(u8 *buffer, size_t length, u64 nonce)
{
	__wsum sum = csum_partial_copy_nocheck(buffer, target, length);

	OPTIMIZER_HIDE_VAR(sum);
}

static void (*const operations[])(u8 *buffer, size_t length, u64 nonce) = {
	seal_in_place,
	seal_to_target,
	copy,
	copy_and_sum,
};

static u64 measure(void (*operation)(u8 *buffer, size_t length, u64 nonce), size_t length)
{
	u64 calls = 0, spent = 0, start;
	unsigned int i;

	while (spent < DURATION) {
		local_bh_disable();
		start = ktime_get_ns();
		for (i = 0; i < BURST; i++, calls++)
			operation(buffers[calls % BUFFERS], length, calls);
		spent += ktime_get_ns() - start;
		local_bh_enable();
		cond_resched();
	}
	return div64_u64(spent * 1000, calls);
}

static int bound_show(struct seq_file *seq, void *unused)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		seq_printf(seq, "%zu", lengths[i]);
		for (j = 0; j < ARRAY_SIZE(operations); j++)
			seq_printf(seq, " %llu", measure(operations[j], lengths[i]));
		seq_putc(seq, '\n');
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(bound);

static void free_buffers(void)
{
	unsigned int i;

	for (i = 0; i < BUFFERS; i++)
		kfree(buffers[i]);
	kfree(target);
}

static int __init bound_init(void)
{
	const size_t size = MAX_LENGTH + CHACHA20POLY1305_AUTHTAG_SIZE;
	unsigned int i;

	target = kzalloc(size, GFP_KERNEL);
	for (i = 0; i < BUFFERS; i++)
		buffers[i] = kzalloc(size, GFP_KERNEL);
	for (i = 0; i < BUFFERS; i++) {
		if (!target || !buffers[i]) {
			free_buffers();
			return -ENOMEM;
		}
	}
	file = debugfs_create_file("wireguard-bound", 0400, NULL, NULL, &bound_fops);
	return 0;
}

static void __exit bound_exit(void)
{
	debugfs_remove(file);
	free_buffers();
}

module_init(bound_init);
module_exit(bound_exit);
MODULE_DESCRIPTION("Times what a tunnel cannot do without");
MODULE_LICENSE("GPL");
