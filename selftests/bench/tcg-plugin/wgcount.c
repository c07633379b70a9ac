// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU's TCG that counts what the guest executes, for each block of its code.
 *
 *	qemu-system-x86_64 -accel tcg ... -plugin ./libwgcount.so,out=FILE
 *
 * The guest says when, by an instruction that does nothing: 0f 1f 80 TT TT 47 57, a nopl with a
 * displacement whose lower half is a tag. Tag 0 sets all counts to zero; another tag has them
 * written to FILE: a line "mark TAG", and then for each block that was executed
 *
 *	ADDRESS EXECUTIONS INSTRUCTIONS LOCKED SIMD WRMSR
 *
 * in which all but the address are sums over all CPUs: the instructions in the block, those of them
 * that are locked (a LOCK prefix, or XCHG with memory), encoded as AVX, and writes of MSRs. What
 * halted CPUs do costs nothing and is not counted.
 *
 * QEMU's package has no header for plugins. This is what is used of version 4 of the interface.
 */

#include <linux/types.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;

struct qemu_plugin_u64 {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
};

enum { INLINE_ADD = 0, NO_REGISTERS = 0 };

int qemu_plugin_version = 4;

int qemu_plugin_install(__u64 id, const void *info, int argc, char **argv);
void qemu_plugin_register_vcpu_tb_trans_cb(__u64 id, void (*callback)(__u64 id,
								      struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
__u64 qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *bytes, size_t length);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb, int operation,
						       struct qemu_plugin_u64 counter,
						       __u64 operand);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*callback)(unsigned int cpu, void *data),
					    int flags, void *data);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
__u64 qemu_plugin_u64_sum(struct qemu_plugin_u64 counter);
void qemu_plugin_u64_set(struct qemu_plugin_u64 counter, unsigned int cpu, __u64 value);
int qemu_plugin_num_vcpus(void);
void qemu_plugin_outs(const char *text);

/* A block of code, and what there is in it. Blocks are translated again; they then are the same. */
struct block {
	__u64 address;
	__u32 insns;
	__u32 locked;
	__u32 simd;
	__u32 wrmsr;
	__u32 next;
};

enum { MAX_BLOCKS = 1 << 19, BUCKETS = 1 << 16 };

static struct block blocks[MAX_BLOCKS];
/* Indices of blocks; 0 is none. */
static __u32 buckets[BUCKETS];
static __u32 count = 1;
static struct qemu_plugin_scoreboard *executions;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *out;

static struct qemu_plugin_u64 counter_of(__u32 index)
{
	struct qemu_plugin_u64 counter = { executions, index * sizeof(__u64) };

	return counter;
}

static void reset(void)
{
	for (__u32 i = 1; i < count; i++)
		for (int cpu = 0; cpu < qemu_plugin_num_vcpus(); cpu++)
			qemu_plugin_u64_set(counter_of(i), cpu, 0);
}

static void dump(unsigned int tag)
{
	fprintf(out, "mark %u\n", tag);
	for (__u32 i = 1; i < count; i++) {
		const struct block *block = &blocks[i];
		unsigned long long times = qemu_plugin_u64_sum(counter_of(i));

		if (times)
			fprintf(out, "%llx %llu %llu %llu %llu %llu\n",
				block->address, times, times * block->insns,
				times * block->locked, times * block->simd,
				times * block->wrmsr);
	}
	fflush(out);
}

static void on_mark(unsigned int cpu, void *data)
{
	unsigned int tag = (uintptr_t)data & 0xffff;

	pthread_mutex_lock(&lock);
	if (tag)
		dump(tag);
	else
		reset();
	pthread_mutex_unlock(&lock);
}

static bool is_prefix(__u8 byte)
{
	switch (byte) {
	case 0xf0: case 0xf2: case 0xf3: case 0x66: case 0x67:
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
		return true;
	default:
		return false;
	}
}

/* Counts an instruction, and has it call back if it is a mark. */
static void classify(struct qemu_plugin_insn *insn, struct block *block)
{
	/* Zeros behind a short one, so that there is something to look at. */
	__u8 code[18] = { 0 };
	size_t length = qemu_plugin_insn_data(insn, code, 16);
	const __u8 *opcode = code;
	bool locked = false;
	__u32 tag;

	for (; is_prefix(*opcode) && opcode < code + length; opcode++)
		locked |= *opcode == 0xf0;
	block->simd += *opcode == 0xc4 || *opcode == 0xc5 || *opcode == 0x62;
	if ((*opcode & 0xf0) == 0x40)
		opcode++;
	locked |= (*opcode == 0x86 || *opcode == 0x87) && opcode[1] >> 6 != 3;
	block->locked += locked;
	block->wrmsr += opcode[0] == 0x0f && opcode[1] == 0x30;
	if (length == 7 && !memcmp(code, "\x0f\x1f\x80", 3)) {
		memcpy(&tag, code + 3, sizeof(tag));
		if (tag >> 16 == 0x5747)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, NO_REGISTERS,
							       (void *)(uintptr_t)tag);
	}
}

/* Finds the block, or adds it; 0 if there is no more room. */
static __u32 find(const struct block *wanted)
{
	__u32 *bucket = &buckets[(wanted->address ^ wanted->address >> 16) % BUCKETS];
	__u32 index;

	for (index = *bucket; index; index = blocks[index].next) {
		const struct block *block = &blocks[index];

		if (block->address == wanted->address && block->insns == wanted->insns &&
		    block->locked == wanted->locked && block->simd == wanted->simd &&
		    block->wrmsr == wanted->wrmsr)
			return index;
	}
	if (count == MAX_BLOCKS)
		return 0;
	index = count;
	blocks[index] = *wanted;
	blocks[index].next = *bucket;
	*bucket = index;
	count++;
	return index;
}

static void on_translation(__u64 id, struct qemu_plugin_tb *tb)
{
	struct block block = { .address = qemu_plugin_tb_vaddr(tb) };
	__u32 index;

	block.insns = qemu_plugin_tb_n_insns(tb);
	for (size_t i = 0; i < block.insns; i++)
		classify(qemu_plugin_tb_get_insn(tb, i), &block);
	pthread_mutex_lock(&lock);
	index = find(&block);
	pthread_mutex_unlock(&lock);
	if (index)
		qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, INLINE_ADD,
								  counter_of(index), 1);
	else
		qemu_plugin_outs("wgcount: too many blocks, counts are too low\n");
}

int qemu_plugin_install(__u64 id, const void *info, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
	if (!out) {
		qemu_plugin_outs("wgcount: out=FILE is missing or cannot be written\n");
		return -1;
	}
	executions = qemu_plugin_scoreboard_new(MAX_BLOCKS * sizeof(__u64));
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
