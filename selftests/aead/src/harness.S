/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls a function, and notes what it leaves in registers and on the stack.
 */

#include <linux/linkage.h>

#define PAINTED	8192

.text

/*
 * void wg_harness(function, messages, n, scratch, struct Left *left)
 */
SYM_FUNC_START(wg_harness)
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%r8
	movq	%rdi, %rax

	/* What is below the stack pointer. */
	leaq	-PAINTED(%rsp), %r9
0:	movq	$0x5a5a5a5a, (%r9)
	addq	$8, %r9
	cmpq	%rsp, %r9
	jne	0b

	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	$0x1111, %rbx
	movq	$0x2222, %rbp
	movq	$0x3333, %r12
	movq	$0x4444, %r13
	movq	$0x5555, %r14
	movq	$0x6666, %r15
	xorl	%ecx, %ecx
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	call	*%rax

	/* General registers, of which one is needed here. */
	xchgq	%rax, (%rsp)
	movq	%rbx, (%rax)
	movq	%rcx, 8(%rax)
	movq	%rdx, 16(%rax)
	movq	%rsi, 24(%rax)
	movq	%rdi, 32(%rax)
	movq	%rbp, 40(%rax)
	movq	%r8, 48(%rax)
	movq	%r9, 56(%rax)
	movq	%r10, 64(%rax)
	movq	%r11, 72(%rax)
	movq	%r12, 80(%rax)
	movq	%r13, 88(%rax)
	movq	%r14, 96(%rax)
	movq	%r15, 104(%rax)
	popq	%rcx
	movq	%rcx, 112(%rax)

	/* How many words of the stack were written, apart from the address of return. */
	xorl	%ecx, %ecx
	leaq	-8-PAINTED(%rsp), %r9
	leaq	-16(%rsp), %r10
1:	cmpq	$0x5a5a5a5a, (%r9)
	je	2f
	incq	%rcx
2:	addq	$8, %r9
	cmpq	%r10, %r9
	jne	1b
	movq	%rcx, 120(%rax)

	.irp i, 0, 1, 2, 3, 4, 5, 6, 7
	kmovq	%k\i, 128+8*\i(%rax)
	.endr
	.irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vmovdqu64 %zmm\i, 192+64*\i(%rax)
	.endr
	vzeroupper

	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	RET
SYM_FUNC_END(wg_harness)
