/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ChaCha20-Poly1305 of up to eight messages at a time, for x86-64 with AVX-512 (F, VL, BW, DQ, IFMA, VBMI2).
 *
 * Each message has a key, a nonce and a length of its own, and no associated data. Branches and addresses
 * depend on nothing but lengths, pointers and the number of messages.
 *
 * ChaCha20: the 16 lanes of 32 bits are one block of each message (lanes 0 to 7) and the next block of each
 * (8 to 15). The first pass makes block 0, which holds the key of Poly1305, and block 1, with which data
 * begin; each pass after it makes 128 bytes of key stream for each message.
 *
 * Poly1305: the eight lanes of 64 bits are the messages. Numbers have limbs of 44, 44 and 42 bits. Two blocks
 * are absorbed in one step, h = (h + m) r^2 + m' r, which needs no other power of r and no sum over lanes.
 * What is absorbed is the ciphertext of the pass before, transposed. The steps stand between the rounds of
 * ChaCha20, each of which waits for the one before, and leaves multipliers idle.
 *
 * If there are fewer than eight messages, the lanes above encrypt a dummy as long as the first of them.
 *
 * Memory outside of the messages is not accessed: what is shorter than a block is read and written under
 * masks. The stack is not used. All that is secret is in vector and mask registers and in the scratch memory,
 * and all of these are zeros on return.
 *
 * selftests/aead assembles this file for user space, with a <linux/linkage.h> of its own.
 */

#include <linux/linkage.h>

/* struct Message */
#define M_SRC		0
#define M_DST		8
#define M_LEN		16
#define M_NONCE		24
#define M_KEY		32
#define M_SIZE		40

/* Scratch memory: vectors of 64 bytes, aligned to as many. */
#define KEY		0			/* words 4 to 11 of ChaCha20's state */
#define COUNTER		(KEY + 8 * 64)		/* word 12 */
#define NONCE_LOW	(COUNTER + 64)		/* word 14 */
#define NONCE_HIGH	(NONCE_LOW + 64)	/* word 15 */
#define R		(NONCE_HIGH + 64)	/* r: its limbs, then 20 times limbs 1 and 2 */
#define SQUARE		(R + 5 * 64)		/* the same of r^2 */
#define S		(SQUARE + 5 * 64)	/* s: its halves */
#define BLOCKS		(S + 2 * 64)		/* ciphertext: both halves of up to nine blocks */
#define SRC		(BLOCKS + 18 * 64)	/* where the next data are */
#define DST		(SRC + 64)		/* where they go */
#define LEN		(DST + 64)		/* how long messages are */
#define LEFT		(LEN + 64)		/* how much is left; less than nothing for some */
#define TAG		(LEFT + 64)		/* where tags are */
#define MOVES		(TAG + 64)		/* all bits set for messages, none for dummies */
#define MASKS		(MOVES + 64)		/* which bytes there are of two blocks of data */
#define DUMMY		(MASKS + 2 * 64)	/* data or tag of dummies */
#define NO_MESSAGE	(DUMMY + 2 * 64)	/* struct Message of dummies */
#define WORDS		(NO_MESSAGE + 64)	/* words 0 to 3 of ChaCha20's state */
#define TWO		(WORDS + 16)		/* 2 */
#define COUNT		(TWO + 4)		/* number of messages */
#define SCRATCH		(WORDS + 64)

/* General registers: those that functions need not preserve. */
#define MESSAGES	%rdi	/* argument */
#define N		%esi	/* argument */
#define MEM		%rdx	/* argument: scratch memory */
#define ABSORBING	%edi	/* turns of ten rounds that absorb four blocks each */
#define PLAIN		%esi	/* turns of ten rounds after them */
#define BLOCK		%r11	/* the next block to absorb */
#define SHORTEST	%r8	/* what is left of the shortest message, possibly less than nothing */
#define LONGEST		%r9	/* what is left of the longest */
#define PASS		%rcx	/* bytes of data in this pass: 64 in the first one, then 128 */

/* Vector registers: 0 to 15 are ChaCha20's state. */
#define H0		%zmm16	/* hash */
#define H1		%zmm17
#define H2		%zmm18
#define LO0		%zmm19	/* sums of the low 52 bits of products */
#define LO1		%zmm20
#define LO2		%zmm21
#define HI0		%zmm22	/* sums of the high 52 bits */
#define HI1		%zmm23
#define HI2		%zmm24
#define M0		%zmm25	/* block */
#define M1		%zmm26
#define M2		%zmm27
#define MASK44		%zmm28	/* 2^44 - 1 */
#define MASK42		%zmm29	/* 2^42 - 1 */
#define BIT40		%zmm30	/* 2^40: bit 128 of a block */
#define TMP		%zmm31

/* Poly1305
 * --------------------------------------------------------------------------- */

/* Takes the block at \at apart, and adds it to the hash. */
.macro add_block at
	vmovdqa64	\at, M0
	vmovdqa64	64+\at, M1
	vpandq		MASK44, M0, M2
	vpshldq		$20, M0, M1, TMP
	vpsrlq		$24, M1, M1
	vpaddq		M2, H0, H0
	vpandq		MASK44, TMP, TMP
	vpaddq		BIT40, M1, M1
	vpaddq		TMP, H1, H1
	vpaddq		M1, H2, H2
.endm

/* Takes the block at \at apart. */
.macro load_block at
	vmovdqa64	\at, TMP
	vmovdqa64	64+\at, M2
	vpandq		MASK44, TMP, M0
	vpshldq		$20, TMP, M2, M1
	vpsrlq		$24, M2, M2
	vpandq		MASK44, M1, M1
	vpaddq		BIT40, M2, M2
.endm

.macro clear_sums
	vpxorq		LO0, LO0, LO0
	vpxorq		LO1, LO1, LO1
	vpxorq		LO2, LO2, LO2
	vpxorq		HI0, HI0, HI0
	vpxorq		HI1, HI1, HI1
	vpxorq		HI2, HI2, HI2
.endm

/* Adds the products of \limb and three factors to the sums. */
.macro multiply limb, factor0, factor1, factor2
	vpmadd52luq	\factor0(MEM), \limb, LO0
	vpmadd52luq	\factor1(MEM), \limb, LO1
	vpmadd52luq	\factor2(MEM), \limb, LO2
	vpmadd52huq	\factor0(MEM), \limb, HI0
	vpmadd52huq	\factor1(MEM), \limb, HI1
	vpmadd52huq	\factor2(MEM), \limb, HI2
.endm

/* The same with limb 0, 1 or 2 of a number and the factors at \r: 2^132 is 20. */
.macro multiply0 limb, r
	multiply	\limb, \r, \r+64, \r+2*64
.endm
.macro multiply1 limb, r
	multiply	\limb, \r+4*64, \r, \r+64
.endm
.macro multiply2 limb, r
	multiply	\limb, \r+3*64, \r+4*64, \r
.endm

/* Makes of the sums a number whose limbs are short enough to be multiplied again: 2^130 is 5. */
.macro carry_low d0, d1
	vpsrlq		$44, LO0, TMP
	vpsllq		$8, HI0, HI0
	vpandq		MASK44, LO0, \d0
	vpaddq		TMP, HI0, HI0
	vpaddq		HI0, LO1, LO1
	vpsrlq		$44, LO1, TMP
	vpsllq		$8, HI1, HI1
	vpandq		MASK44, LO1, \d1
	vpaddq		TMP, HI1, HI1
	vpaddq		HI1, LO2, LO2
.endm
.macro carry_high d0, d1, d2
	vpsrlq		$42, LO2, TMP
	vpsllq		$10, HI2, HI2
	vpandq		MASK42, LO2, \d2
	vpaddq		TMP, HI2, HI2
	vpaddq		HI2, \d0, \d0
	vpsllq		$2, HI2, HI2
	vpaddq		HI2, \d0, \d0
	vpsrlq		$44, \d0, TMP
	vpandq		MASK44, \d0, \d0
	vpaddq		TMP, \d1, \d1
.endm

/* Absorbs two blocks, in ten pieces of about as many instructions. */
.macro two_blocks piece, at
	.if \piece == 0
	add_block	\at(BLOCK)
	clear_sums
	.elseif \piece == 1
	multiply0	H0, SQUARE
	.elseif \piece == 2
	multiply1	H1, SQUARE
	.elseif \piece == 3
	multiply2	H2, SQUARE
	.elseif \piece == 4
	load_block	2*64+\at(BLOCK)
	.elseif \piece == 5
	multiply0	M0, R
	.elseif \piece == 6
	multiply1	M1, R
	.elseif \piece == 7
	multiply2	M2, R
	.elseif \piece == 8
	carry_low	H0, H1
	.elseif \piece == 9
	carry_high	H0, H1, H2
	.endif
.endm

.macro two_blocks_at_once
	.irp piece, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
	two_blocks	\piece, 0
	.endr
.endm

/* Multiplies a number by the factors at \r, and leaves the product in M. */
.macro times l0, l1, l2, r
	clear_sums
	multiply0	\l0, \r
	multiply1	\l1, \r
	multiply2	\l2, \r
	carry_low	M0, M1
	carry_high	M0, M1, M2
.endm

/* Stores the number in M at \r as factors. */
.macro store_factors r
	vmovdqa64	M0, \r(MEM)
	vmovdqa64	M1, \r+64(MEM)
	vmovdqa64	M2, \r+2*64(MEM)
	vpsllq		$2, M1, TMP
	vpaddq		M1, TMP, TMP
	vpsllq		$2, TMP, TMP
	vmovdqa64	TMP, \r+3*64(MEM)
	vpsllq		$2, M2, TMP
	vpaddq		M2, TMP, TMP
	vpsllq		$2, TMP, TMP
	vmovdqa64	TMP, \r+4*64(MEM)
.endm

/* ChaCha20
 * --------------------------------------------------------------------------- */

/* One line of four quarter rounds: a += b; d = (d ^ a) <<< bits */
.macro line bits, a0, b0, d0, a1, b1, d1, a2, b2, d2, a3, b3, d3
	vpaddd		%zmm\b0, %zmm\a0, %zmm\a0
	vpaddd		%zmm\b1, %zmm\a1, %zmm\a1
	vpaddd		%zmm\b2, %zmm\a2, %zmm\a2
	vpaddd		%zmm\b3, %zmm\a3, %zmm\a3
	vpxord		%zmm\a0, %zmm\d0, %zmm\d0
	vpxord		%zmm\a1, %zmm\d1, %zmm\d1
	vpxord		%zmm\a2, %zmm\d2, %zmm\d2
	vpxord		%zmm\a3, %zmm\d3, %zmm\d3
	vprold		$\bits, %zmm\d0, %zmm\d0
	vprold		$\bits, %zmm\d1, %zmm\d1
	vprold		$\bits, %zmm\d2, %zmm\d2
	vprold		$\bits, %zmm\d3, %zmm\d3
.endm

/* Half a round: of the columns (\c 0), or of the diagonals (\c 1). */
.macro half_round diagonal, bits_d, bits_b
	.if \diagonal
	line		\bits_d, 0, 5, 15, 1, 6, 12, 2, 7, 13, 3, 4, 14
	line		\bits_b, 10, 15, 5, 11, 12, 6, 8, 13, 7, 9, 14, 4
	.else
	line		\bits_d, 0, 4, 12, 1, 5, 13, 2, 6, 14, 3, 7, 15
	line		\bits_b, 8, 12, 4, 9, 13, 5, 10, 14, 6, 11, 15, 7
	.endif
.endm

/* Ten rounds, and \absorb four blocks in the meantime. */
.macro ten_rounds absorb
	.set piece_, 0
	.rept 10
	half_round	(piece_ & 1), 16, 12
	.if \absorb
	two_blocks	((2 * piece_) % 10), ((piece_ / 5) * 4 * 64)
	.endif
	half_round	(piece_ & 1), 8, 7
	.if \absorb
	two_blocks	((2 * piece_ + 1) % 10), ((piece_ / 5) * 4 * 64)
	.endif
	.set piece_, piece_ + 1
	.endr
.endm

/* Transposes four by four words in each 128 bits. */
.macro transpose_words a, b, c, d
	vpunpckldq	%zmm\b, %zmm\a, LO0
	vpunpckhdq	%zmm\b, %zmm\a, LO1
	vpunpckldq	%zmm\d, %zmm\c, LO2
	vpunpckhdq	%zmm\d, %zmm\c, HI0
	vpunpcklqdq	LO2, LO0, %zmm\a
	vpunpckhqdq	LO2, LO0, %zmm\b
	vpunpcklqdq	HI0, LO1, %zmm\c
	vpunpckhqdq	HI0, LO1, %zmm\d
.endm

/* Transposes four by four pieces of 128 bits. */
.macro transpose_pieces a, b, c, d
	vshufi32x4	$0x44, %zmm\b, %zmm\a, LO0
	vshufi32x4	$0xee, %zmm\b, %zmm\a, LO1
	vshufi32x4	$0x44, %zmm\d, %zmm\c, LO2
	vshufi32x4	$0xee, %zmm\d, %zmm\c, HI0
	vshufi32x4	$0x88, LO2, LO0, %zmm\a
	vshufi32x4	$0xdd, LO2, LO0, %zmm\b
	vshufi32x4	$0x88, HI0, LO1, %zmm\c
	vshufi32x4	$0xdd, HI0, LO1, %zmm\d
.endm

/* Transposes eight by eight values of 64 bits, and stores them at \at. Leaves nothing as it was. */
.macro store_transposed at, a0, a1, a2, a3, a4, a5, a6, a7, t0, t1, t2, t3, t4, t5, t6, t7
	vpunpcklqdq	%zmm\a1, %zmm\a0, %zmm\t0
	vpunpckhqdq	%zmm\a1, %zmm\a0, %zmm\t1
	vpunpcklqdq	%zmm\a3, %zmm\a2, %zmm\t2
	vpunpckhqdq	%zmm\a3, %zmm\a2, %zmm\t3
	vpunpcklqdq	%zmm\a5, %zmm\a4, %zmm\t4
	vpunpckhqdq	%zmm\a5, %zmm\a4, %zmm\t5
	vpunpcklqdq	%zmm\a7, %zmm\a6, %zmm\t6
	vpunpckhqdq	%zmm\a7, %zmm\a6, %zmm\t7
	vshufi64x2	$0x88, %zmm\t2, %zmm\t0, %zmm\a0
	vshufi64x2	$0xdd, %zmm\t2, %zmm\t0, %zmm\a2
	vshufi64x2	$0x88, %zmm\t3, %zmm\t1, %zmm\a1
	vshufi64x2	$0xdd, %zmm\t3, %zmm\t1, %zmm\a3
	vshufi64x2	$0x88, %zmm\t6, %zmm\t4, %zmm\a4
	vshufi64x2	$0xdd, %zmm\t6, %zmm\t4, %zmm\a6
	vshufi64x2	$0x88, %zmm\t7, %zmm\t5, %zmm\a5
	vshufi64x2	$0xdd, %zmm\t7, %zmm\t5, %zmm\a7
	vshufi64x2	$0x88, %zmm\a4, %zmm\a0, %zmm\t0
	vshufi64x2	$0x88, %zmm\a5, %zmm\a1, %zmm\t1
	vshufi64x2	$0x88, %zmm\a6, %zmm\a2, %zmm\t2
	vshufi64x2	$0x88, %zmm\a7, %zmm\a3, %zmm\t3
	vshufi64x2	$0xdd, %zmm\a4, %zmm\a0, %zmm\t4
	vshufi64x2	$0xdd, %zmm\a5, %zmm\a1, %zmm\t5
	vshufi64x2	$0xdd, %zmm\a6, %zmm\a2, %zmm\t6
	vshufi64x2	$0xdd, %zmm\a7, %zmm\a3, %zmm\t7
	vmovdqa64	%zmm\t0, \at(MEM)
	vmovdqa64	%zmm\t1, \at+64(MEM)
	vmovdqa64	%zmm\t2, \at+2*64(MEM)
	vmovdqa64	%zmm\t3, \at+3*64(MEM)
	vmovdqa64	%zmm\t4, \at+4*64(MEM)
	vmovdqa64	%zmm\t5, \at+5*64(MEM)
	vmovdqa64	%zmm\t6, \at+6*64(MEM)
	vmovdqa64	%zmm\t7, \at+7*64(MEM)
.endm

/* Data
 * --------------------------------------------------------------------------- */

/* Encrypts or decrypts 64 bytes of one message with the key stream \z. Leaves a copy of what was there in \t. */
.macro xor_full lane, z, t, disp
	movq		SRC+8*\lane(MEM), %rax
	movq		DST+8*\lane(MEM), %r10
	vmovdqu64	\disp(%rax), %zmm\t
	vpxorq		%zmm\t, %zmm\z, %zmm\z
	vmovdqu64	%zmm\z, \disp(%r10)
.endm

/* The same of as many bytes as there are. Zeros stand for others. */
.macro xor_part lane, z, t, disp
	kmovq		MASKS+\disp+8*\lane(MEM), %k1
	movq		SRC+8*\lane(MEM), %rax
	movq		DST+8*\lane(MEM), %r10
	vmovdqu8	\disp(%rax), %zmm\t{%k1}{z}
	vpxorq		%zmm\t, %zmm\z, %zmm\z
	vmovdqu8	%zmm\z, \disp(%r10){%k1}
	vmovdqu8	%zmm\z, %zmm\z{%k1}{z}
.endm

/* Does so for one block of all messages with the key streams \z0 to \z7, and stores the ciphertext. */
.macro xor_block open, xor, disp, at, z0, z1, z2, z3, z4, z5, z6, z7
	\xor		0, \z0, 19, \disp
	\xor		1, \z1, 20, \disp
	\xor		2, \z2, 21, \disp
	\xor		3, \z3, 22, \disp
	\xor		4, \z4, 23, \disp
	\xor		5, \z5, 24, \disp
	\xor		6, \z6, 25, \disp
	\xor		7, \z7, 26, \disp
	.if \open
	store_transposed \at, 19, 20, 21, 22, 23, 24, 25, 26, \z0, \z1, \z2, \z3, \z4, \z5, \z6, \z7
	.else
	store_transposed \at, \z0, \z1, \z2, \z3, \z4, \z5, \z6, \z7, 19, 20, 21, 22, 23, 24, 25, 26
	.endif
.endm

/* Sets up one lane. */
.macro lane i
	leaq		M_SIZE*\i(MESSAGES), %rax
	cmpl		$\i, N
	cmovbeq		%r10, %rax
	movq		M_SRC(%rax), %rcx
	movq		%rcx, SRC+8*\i(MEM)
	movq		M_DST(%rax), %rcx
	movq		%rcx, DST+8*\i(MEM)
	movq		M_NONCE(%rax), %rcx
	movq		%rcx, MASKS+8*\i(MEM)
	movq		M_LEN(%rax), %rcx
	movq		%rcx, LEN+8*\i(MEM)
	cmpq		%rcx, SHORTEST
	cmovaq		%rcx, SHORTEST
	cmpq		%rcx, LONGEST
	cmovbq		%rcx, LONGEST
	movq		M_KEY(%rax), %rax
	vbroadcasti64x4	(%rax), %zmm\i
.endm

/* Words \w of the keys are in the first, words \w + 4 in the second of each two pieces of \a and \e. */
.macro store_key w, a, e
	vshufi32x4	$0x00, %zmm\e, %zmm\a, LO0
	vshufi32x4	$0x55, %zmm\e, %zmm\a, LO1
	vshufi32x4	$0xd8, LO0, LO0, LO0
	vshufi32x4	$0xd8, LO1, LO1, LO1
	vmovdqa64	LO0, KEY+64*\w(MEM)
	vmovdqa64	LO1, KEY+64*\w+4*64(MEM)
.endm

.macro broadcast value, z
	movabsq		$\value, %rax
	vpbroadcastq	%rax, \z
.endm

/* Encrypts or decrypts. Leaves the tags in H0 (low halves) and H1. */
.macro crypt open
	/* Lanes */
	movl		N, COUNT(MEM)
	movq		M_LEN(MESSAGES), %rcx
	movq		%rcx, SHORTEST
	movq		%rcx, LONGEST
	leaq		NO_MESSAGE(MEM), %r10
	movq		%rcx, M_LEN(%r10)
	leaq		DUMMY(MEM), %rcx
	movq		%rcx, M_SRC(%r10)
	movq		%rcx, M_DST(%r10)
	movq		$0, M_NONCE(%r10)
	movq		M_KEY(MESSAGES), %rcx
	movq		%rcx, M_KEY(%r10)
	.irp i, 0, 1, 2, 3, 4, 5, 6, 7
	lane		\i
	.endr

	transpose_words	0, 1, 2, 3
	transpose_words	4, 5, 6, 7
	store_key	0, 0, 4
	store_key	1, 1, 5
	store_key	2, 2, 6
	store_key	3, 3, 7

	vmovdqa64	MASKS(MEM), %zmm0
	vpsrlq		$32, %zmm0, %zmm1
	vpmovqd		%zmm0, %ymm0
	vpmovqd		%zmm1, %ymm1
	vinserti64x4	$1, %ymm0, %zmm0, %zmm0
	vinserti64x4	$1, %ymm1, %zmm1, %zmm1
	vmovdqa64	%zmm0, NONCE_LOW(MEM)
	vmovdqa64	%zmm1, NONCE_HIGH(MEM)

	/* Counters: 0 for the lower lanes, 1 for the upper ones */
	movl		$1, %eax
	vpbroadcastd	%eax, %ymm0
	vpxord		%ymm1, %ymm1, %ymm1
	vinserti64x4	$1, %ymm0, %zmm1, %zmm0
	vmovdqa64	%zmm0, COUNTER(MEM)

	/* Those of dummies stay where they are. */
	movl		$-1, %eax
	bzhil		N, %eax, %eax
	kmovd		%eax, %k1
	vpternlogq	$0xff, %zmm0, %zmm0, %zmm0{%k1}{z}
	vmovdqa64	%zmm0, MOVES(MEM)

	vmovdqa64	LEN(MEM), %zmm0
	vmovdqa64	%zmm0, LEFT(MEM)
	.if \open
	vpandq		MOVES(MEM), %zmm0, %zmm1
	vpaddq		SRC(MEM), %zmm1, %zmm1
	.else
	vpandq		MOVES(MEM), %zmm0, %zmm1
	vpaddq		DST(MEM), %zmm1, %zmm1
	.endif
	vmovdqa64	%zmm1, TAG(MEM)

	/* Constants */
	movl		$0x61707865, WORDS(MEM)
	movl		$0x3320646e, WORDS+4(MEM)
	movl		$0x79622d32, WORDS+8(MEM)
	movl		$0x6b206574, WORDS+12(MEM)
	movl		$2, TWO(MEM)
	broadcast	0x00000fffffffffff, MASK44
	broadcast	0x000003ffffffffff, MASK42
	broadcast	0x0000010000000000, BIT40

	movl		$64, %ecx
	xorl		ABSORBING, ABSORBING
	movl		$2, PLAIN

.Lpass\@:
	leaq		BLOCKS(MEM), BLOCK
	vpbroadcastd	WORDS(MEM), %zmm0
	vpbroadcastd	WORDS+4(MEM), %zmm1
	vpbroadcastd	WORDS+8(MEM), %zmm2
	vpbroadcastd	WORDS+12(MEM), %zmm3
	vmovdqa64	KEY(MEM), %zmm4
	vmovdqa64	KEY+64(MEM), %zmm5
	vmovdqa64	KEY+2*64(MEM), %zmm6
	vmovdqa64	KEY+3*64(MEM), %zmm7
	vmovdqa64	KEY+4*64(MEM), %zmm8
	vmovdqa64	KEY+5*64(MEM), %zmm9
	vmovdqa64	KEY+6*64(MEM), %zmm10
	vmovdqa64	KEY+7*64(MEM), %zmm11
	vmovdqa64	COUNTER(MEM), %zmm12
	vpxord		%zmm13, %zmm13, %zmm13
	vmovdqa64	NONCE_LOW(MEM), %zmm14
	vmovdqa64	NONCE_HIGH(MEM), %zmm15

	testl		ABSORBING, ABSORBING
	jz		.Lplain\@
	.p2align 6
.Labsorbing\@:
	ten_rounds	1
	addq		$8 * 64, BLOCK
	decl		ABSORBING
	jnz		.Labsorbing\@
	testl		PLAIN, PLAIN
	jz		.Lrounds_done\@
	.p2align 6
.Lplain\@:
	ten_rounds	0
	decl		PLAIN
	jnz		.Lplain\@

.Lrounds_done\@:
	vpaddd		WORDS(MEM){1to16}, %zmm0, %zmm0
	vpaddd		WORDS+4(MEM){1to16}, %zmm1, %zmm1
	vpaddd		WORDS+8(MEM){1to16}, %zmm2, %zmm2
	vpaddd		WORDS+12(MEM){1to16}, %zmm3, %zmm3
	vpaddd		KEY(MEM), %zmm4, %zmm4
	vpaddd		KEY+64(MEM), %zmm5, %zmm5
	vpaddd		KEY+2*64(MEM), %zmm6, %zmm6
	vpaddd		KEY+3*64(MEM), %zmm7, %zmm7
	vpaddd		KEY+4*64(MEM), %zmm8, %zmm8
	vpaddd		KEY+5*64(MEM), %zmm9, %zmm9
	vpaddd		KEY+6*64(MEM), %zmm10, %zmm10
	vpaddd		KEY+7*64(MEM), %zmm11, %zmm11
	vmovdqa64	COUNTER(MEM), TMP
	vpaddd		TMP, %zmm12, %zmm12
	vpaddd		NONCE_LOW(MEM), %zmm14, %zmm14
	vpaddd		NONCE_HIGH(MEM), %zmm15, %zmm15
	vpaddd		TWO(MEM){1to16}, TMP, TMP
	vmovdqa64	TMP, COUNTER(MEM)

	/* The key stream of each block in a register: blocks of the lower lanes are in 0 to 7. */
	transpose_words	0, 1, 2, 3
	transpose_words	4, 5, 6, 7
	transpose_words	8, 9, 10, 11
	transpose_words	12, 13, 14, 15
	transpose_pieces 0, 4, 8, 12
	transpose_pieces 1, 5, 9, 13
	transpose_pieces 2, 6, 10, 14
	transpose_pieces 3, 7, 11, 15

	cmpq		$64, PASS
	je		.Lfirst\@
	cmpq		$128, SHORTEST
	jl		.Lparts\@
	xor_block	\open, xor_full, 0, BLOCKS, 0, 1, 2, 3, 4, 5, 6, 7
	xor_block	\open, xor_full, 64, BLOCKS+8*64, 8, 9, 10, 11, 12, 13, 14, 15
	movl		$2, ABSORBING
	xorl		PLAIN, PLAIN
.Lfull\@:
	/* What another pass follows is absorbed during its rounds. */
	cmpq		PASS, LONGEST
	jg		.Lnext\@

.Labsorb\@:
	/* Absorbs the data of this pass: BLOCK, and %rax bytes further on in data, is next. */
	leaq		BLOCKS(MEM), BLOCK
	xorl		%eax, %eax
.Lblock\@:
	leaq		16(%rax), %r10
	vpbroadcastq	%r10, M0
	vpbroadcastq	%rax, M1
	vmovdqa64	LEFT(MEM), M2
	vpcmpgtq	M1, M2, %k1
	vpcmpgtq	M0, M2, %k2
	kortestb	%k2, %k2
	jc		.Ltwo\@
	jnz		.Lone\@
	kortestb	%k1, %k1
	jc		.Llast\@
	jz		.Labsorbed\@
.Lone\@:
	/* Not all messages have two more blocks: one block, of those that have it. */
	load_block	0(BLOCK)
	vpaddq		H0, M0, %zmm0
	vpaddq		H1, M1, %zmm1
	vpaddq		H2, M2, %zmm2
	times		%zmm0, %zmm1, %zmm2, R
	vmovdqa64	M0, H0{%k1}
	vmovdqa64	M1, H1{%k1}
	vmovdqa64	M2, H2{%k1}
	addq		$2 * 64, BLOCK
	movq		%r10, %rax
	cmpq		PASS, %rax
	jb		.Lblock\@
	jmp		.Labsorbed\@
.Llast\@:
	/* The last block of all messages, and the one behind it: zeros, and the length. */
	vpxorq		M0, M0, M0
	vmovdqa64	LEN(MEM), M1
	vmovdqa64	M0, 2*64(BLOCK)
	vmovdqa64	M1, 3*64(BLOCK)
	movq		PASS, %rax
	movq		$-1, LONGEST
.Ltwo\@:
	two_blocks_at_once
	addq		$4 * 64, BLOCK
	addq		$32, %rax
	cmpq		PASS, %rax
	jb		.Lblock\@
.Labsorbed\@:
	xorl		ABSORBING, ABSORBING
	movl		$2, PLAIN
	cmpq		PASS, LONGEST
	jle		.Lfinish\@

.Lnext\@:
	vpbroadcastq	PASS, %zmm0
	vmovdqa64	LEFT(MEM), %zmm1
	vpsubq		%zmm0, %zmm1, %zmm1
	vmovdqa64	%zmm1, LEFT(MEM)
	vpandq		MOVES(MEM), %zmm0, %zmm0
	vpaddq		SRC(MEM), %zmm0, %zmm1
	vpaddq		DST(MEM), %zmm0, %zmm2
	vmovdqa64	%zmm1, SRC(MEM)
	vmovdqa64	%zmm2, DST(MEM)
	subq		PASS, SHORTEST
	subq		PASS, LONGEST
	movl		$128, %ecx
	jmp		.Lpass\@

.Lparts\@:
	store_masks
	xor_block	\open, xor_part, 0, BLOCKS, 0, 1, 2, 3, 4, 5, 6, 7
	xor_block	\open, xor_part, 64, BLOCKS+8*64, 8, 9, 10, 11, 12, 13, 14, 15
	jmp		.Labsorb\@

.Lfirst\@:
	/* Block 0 begins with r and s. */
	store_transposed BLOCKS, 0, 1, 2, 3, 4, 5, 6, 7, 19, 20, 21, 22, 23, 24, 25, 26
	vmovdqa64	%zmm21, S(MEM)
	vmovdqa64	%zmm22, S+64(MEM)
	broadcast	0x0ffffffc0fffffff, %zmm0
	broadcast	0x0ffffffc0ffffffc, %zmm1
	vpandq		%zmm19, %zmm0, %zmm0
	vpandq		%zmm20, %zmm1, %zmm1
	vpandq		MASK44, %zmm0, M0
	vpshldq		$20, %zmm0, %zmm1, M1
	vpandq		MASK44, M1, M1
	vpsrlq		$24, %zmm1, M2
	store_factors	R
	vmovdqa64	M0, H0
	vmovdqa64	M1, H1
	vmovdqa64	M2, H2
	times		H0, H1, H2, R
	store_factors	SQUARE
	vpxorq		H0, H0, H0
	vpxorq		H1, H1, H1
	vpxorq		H2, H2, H2

	cmpq		$64, SHORTEST
	jl		.Lfirst_parts\@
	xor_block	\open, xor_full, 0, BLOCKS, 8, 9, 10, 11, 12, 13, 14, 15
	movl		$1, ABSORBING
	movl		$1, PLAIN
	jmp		.Lfull\@
.Lfirst_parts\@:
	store_masks
	xor_block	\open, xor_part, 0, BLOCKS, 8, 9, 10, 11, 12, 13, 14, 15
	jmp		.Labsorb\@

.Lfinish\@:
	/* The last block: zeros, and the length; unless that was absorbed with the one before. */
	testq		LONGEST, LONGEST
	js		.Lhash\@
	vpxorq		M0, M0, M0
	vmovdqa64	LEN(MEM), M1
	vmovdqa64	M0, BLOCKS(MEM)
	vmovdqa64	M1, BLOCKS+64(MEM)
	add_block	BLOCKS(MEM)
	times		H0, H1, H2, R
	vmovdqa64	M0, H0
	vmovdqa64	M1, H1
	vmovdqa64	M2, H2

.Lhash\@:
	/* Carries twice, after which limbs are as short as they can be. */
	.rept 2
	vpsrlq		$44, H1, TMP
	vpandq		MASK44, H1, H1
	vpaddq		TMP, H2, H2
	vpsrlq		$42, H2, TMP
	vpandq		MASK42, H2, H2
	vpaddq		TMP, H0, H0
	vpsllq		$2, TMP, TMP
	vpaddq		TMP, H0, H0
	vpsrlq		$44, H0, TMP
	vpandq		MASK44, H0, H0
	vpaddq		TMP, H1, H1
	.endr

	/* h - p = h + 5 - 2^130, unless that is negative. */
	movl		$5, %eax
	vpbroadcastq	%rax, LO0
	vpaddq		H0, LO0, LO0
	vpsrlq		$44, LO0, TMP
	vpandq		MASK44, LO0, LO0
	vpaddq		TMP, H1, LO1
	vpsrlq		$44, LO1, TMP
	vpandq		MASK44, LO1, LO1
	vpaddq		TMP, H2, LO2
	vpcmpgtq	MASK42, LO2, %k1
	vmovdqa64	LO0, H0{%k1}
	vmovdqa64	LO1, H1{%k1}
	vpandq		MASK42, LO2, H2{%k1}

	/* h + s modulo 2^128 */
	vpsllq		$44, H1, TMP
	vporq		TMP, H0, H0
	vpsrlq		$20, H1, H1
	vpsllq		$24, H2, H2
	vporq		H2, H1, H1
	vpaddq		S(MEM), H0, H0
	vpaddq		S+64(MEM), H1, H1
	vpcmpltuq	S(MEM), H0, %k1
	vpternlogq	$0xff, TMP, TMP, TMP
	vpsubq		TMP, H1, H1{%k1}
.endm

/* Which bytes there are of two blocks of data. */
.macro store_masks
	vpternlogq	$0xff, LO0, LO0, LO0
	vpabsq		LO0, LO1
	vpxorq		LO2, LO2, LO2
	vmovdqa64	LEFT(MEM), HI0
	movl		$64, %eax
	vpbroadcastq	%rax, HI1
	vpsubq		HI1, HI0, HI1
	vpmaxsq		LO2, HI0, HI0
	vpmaxsq		LO2, HI1, HI1
	vpsllvq		HI0, LO1, HI0
	vpsllvq		HI1, LO1, HI1
	vpaddq		LO0, HI0, HI0
	vpaddq		LO0, HI1, HI1
	vmovdqa64	HI0, MASKS(MEM)
	vmovdqa64	HI1, MASKS+64(MEM)
.endm

/* Leaves zeros in scratch memory and registers. */
.macro wipe
	vpxorq		TMP, TMP, TMP
	.set at_, 0
	.rept SCRATCH / 64
	vmovdqa64	TMP, at_(MEM)
	.set at_, at_ + 64
	.endr
	vzeroall
	.irp i, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
	vpxorq		%zmm\i, %zmm\i, %zmm\i
	.endr
	kxorw		%k1, %k1, %k1
	kxorw		%k2, %k2, %k2
.endm

.text

/*
 * void wg_chacha20poly1305_seal_x8(const struct Message *messages, u32 n, void *scratch)
 *
 * Encrypts n messages, 1 to 8, each to its dst, which may be its src, and puts the tag behind it.
 */
SYM_FUNC_START(wg_chacha20poly1305_seal_x8)
	crypt		0
	vpunpcklqdq	H1, H0, %zmm0
	vpunpckhqdq	H1, H0, %zmm1
	.irp i, 0, 1, 2, 3
	movq		TAG+16*\i(MEM), %rax
	movq		TAG+16*\i+8(MEM), %r10
	vextracti64x2	$\i, %zmm0, (%rax)
	vextracti64x2	$\i, %zmm1, (%r10)
	.endr
	wipe
	RET
SYM_FUNC_END(wg_chacha20poly1305_seal_x8)

/*
 * u32 wg_chacha20poly1305_open_x8(const struct Message *messages, u32 n, void *scratch)
 *
 * Decrypts n messages, 1 to 8, behind which are their tags, each to its dst, which may be its src. Returns a
 * mask of those that are authentic, the first one in bit 0.
 */
SYM_FUNC_START(wg_chacha20poly1305_open_x8)
	crypt		1
	.irp i, 0, 1, 2, 3
	movq		TAG+16*\i(MEM), %rax
	movq		TAG+16*\i+8(MEM), %r10
	vmovdqu		(%rax), %xmm0
	vmovdqu		(%r10), %xmm1
	vmovdqa		%xmm0, BLOCKS+16*\i(MEM)
	vmovdqa		%xmm1, BLOCKS+64+16*\i(MEM)
	.endr
	vpunpcklqdq	H1, H0, %zmm0
	vpunpckhqdq	H1, H0, %zmm1
	vmovdqa64	BLOCKS(MEM), %zmm2
	vmovdqa64	BLOCKS+64(MEM), %zmm3
	vpxorq		%zmm2, %zmm0, %zmm0
	vpxorq		%zmm3, %zmm1, %zmm1
	/* Differences: low halves in 2, high halves in 3. */
	vpunpcklqdq	%zmm1, %zmm0, %zmm2
	vpunpckhqdq	%zmm1, %zmm0, %zmm3
	vporq		%zmm2, %zmm3, %zmm3
	vptestnmq	%zmm3, %zmm3, %k1
	kmovb		%k1, %r10d
	movl		COUNT(MEM), %ecx
	movl		$-1, %eax
	bzhil		%ecx, %eax, %eax
	andl		%r10d, %eax
	wipe
	RET
SYM_FUNC_END(wg_chacha20poly1305_open_x8)
