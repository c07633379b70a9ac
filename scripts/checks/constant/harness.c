// SPDX-License-Identifier: GPL-2.0
/*
 * Runs code of the driver as a process, under valgrind, to which secrets are bytes that have no
 * value: it complains of each branch and each address that depends on one.
 *
 * The kernel's cryptography is not what is tested. Here it computes nothing of use, without
 * branches, and what it makes of secrets is secret. What may be known is given its value back:
 * whether things are equal or authentic, public keys, ciphertexts, and authentic plaintexts.
 */
#include <linux/types.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

#define SECRET(at, len) VALGRIND_MAKE_MEM_UNDEFINED(at, len)
#define PUBLIC(at, len) VALGRIND_MAKE_MEM_DEFINED(at, len)

/* The kernel's own comparison, from its source. */
unsigned long kernel_memneq(const void *a, const void *b, size_t size);

static bool early;
static unsigned int compared;

unsigned long __crypto_memneq(const void *a, const void *b, size_t size)
{
	unsigned long different;

	compared++;
	if (early) {
		/* What has to be noticed: it ends at the first difference. */
		for (different = 0; size && !different; size--)
			different = *(const u8 *)a++ ^ *(const u8 *)b++;
	} else {
		different = kernel_memneq(a, b, size);
	}
	PUBLIC(&different, sizeof(different));
	return different;
}

/* As any: it ends at the first difference. */
int bcmp(const void *a, const void *b, size_t size)
{
	const u8 *x = a, *y = b;

	for (; size; size--)
		if (*x++ != *y++)
			return 1;
	return 0;
}

struct blake2s_ctx {
	u32 h[8];
	u32 t[2];
	u32 f[2];
	u8 buf[64];
	unsigned int buflen;
	unsigned int outlen;
};

void rust_helper_blake2s_init(struct blake2s_ctx *ctx, size_t outlen)
{
	memset(ctx, 0, sizeof(*ctx));
	ctx->outlen = outlen;
}

void rust_helper_blake2s_init_key(struct blake2s_ctx *ctx, size_t outlen, const void *key,
				  size_t len)
{
	rust_helper_blake2s_init(ctx, outlen);
	memcpy(ctx->buf, key, len);
}

void blake2s_update(struct blake2s_ctx *ctx, const u8 *in, size_t len)
{
	for (size_t i = 0; i < len; i++)
		ctx->buf[i % 32] += in[i];
}

void blake2s_final(struct blake2s_ctx *ctx, u8 *out)
{
	memcpy(out, ctx->buf, ctx->outlen);
	/* All hashes and MACs are. */
	SECRET(out, ctx->outlen);
}

static void mix(u8 *dst, const u8 *src, size_t len, const u8 *key)
{
	for (size_t i = 0; i < len; i++)
		dst[i] = src[i] ^ key[i % 32];
}

void chacha20poly1305_encrypt(u8 *dst, const u8 *src, size_t len, const u8 *ad, size_t ad_len,
			      u64 nonce, const u8 *key)
{
	mix(dst, src, len, key);
	memset(dst + len, 0, 16);
	PUBLIC(dst, len + 16);
}

bool chacha20poly1305_decrypt(u8 *dst, const u8 *src, size_t len, const u8 *ad, size_t ad_len,
			      u64 nonce, const u8 *key)
{
	mix(dst, src, len - 16, key);
	PUBLIC(dst, len - 16);
	return true;
}

void xchacha20poly1305_encrypt(u8 *dst, const u8 *src, size_t len, const u8 *ad, size_t ad_len,
			       const u8 *nonce, const u8 *key)
{
	chacha20poly1305_encrypt(dst, src, len, ad, ad_len, 0, key);
}

bool curve25519(u8 *out, const u8 *secret, const u8 *point)
{
	mix(out, point, 32, secret);
	return true;
}

bool curve25519_generate_public(u8 *out, const u8 *secret)
{
	memcpy(out, secret, 32);
	PUBLIC(out, 32);
	return true;
}

void chacha_crypt(u32 *state, u8 *dst, const u8 *src, unsigned int len, int rounds)
{
	mix(dst, src, len, (const u8 *)&state[4]);
}

void poly1305_init(void *ctx, const u8 *key)
{
	memcpy(ctx, key, 32);
}

void poly1305_update(void *ctx, const u8 *src, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		((u8 *)ctx)[i % 16] += src[i];
}

void poly1305_final(void *ctx, u8 *tag)
{
	memcpy(tag, ctx, 16);
	SECRET(tag, 16);
}

void rust_helper_memzero_explicit(void *at, size_t len)
{
	memset(at, 0, len);
}

/* From driver.rs. */
bool mac1(const u8 *public, const u8 *message);
bool mac2(const u8 *private, const u8 *message, const u8 *secret);
bool early_mac1(const u8 *public, const u8 *message);
bool early_mac2(const u8 *private, const u8 *message, const u8 *secret);
void add_macs(const u8 *public, u8 *message);
bool initiate(const u8 *private, const u8 *remote, const u8 *psk, const u8 *ephemeral,
	      const u8 *response, u8 *keys);
bool respond(const u8 *private, const u8 *remote, const u8 *psk, const u8 *ephemeral,
	     const u8 *initiation, u8 *keys);

/* From the objects of the module, by the names that constant.sh gives them. */
bool release_open_small(u8 *data, u32 len, u64 nonce, const u8 *key);
bool release_eq(const u8 *a, size_t a_len, const u8 *b, size_t b_len);

static u8 private[32], public[32], psk[32], ephemeral[32], secret[32], key[32];
static u8 initiation[148], response[92], keys[64], packet[64 + 256 + 16];

static void reset(void)
{
	memset(initiation, 7, sizeof(initiation));
	memcpy(initiation, "\1\0\0", 4);
	memset(response, 9, sizeof(response));
	memcpy(response, "\2\0\0\0\2\0\0\0\1\0\0", 12);
	memset(packet, 5, sizeof(packet));
	/* With a value all the same, as zeros are refused. */
	memset(private, 11, 32);
	/* The bits that are known of a private key are to tell nothing of what is shared. */
	memset(public, 16, 32);
	memset(psk, 17, 32);
	memset(ephemeral, 19, 32);
	memset(secret, 23, 32);
	memset(key, 29, 32);
	SECRET(private, 32);
	SECRET(psk, 32);
	SECRET(ephemeral, 32);
	SECRET(secret, 32);
	SECRET(key, 32);
}

static bool open_small(void)
{
	/* With and without a block that is not full. */
	for (u32 len = 0; len <= 256; len += 16 + len % 3)
		release_open_small(packet + 64, len, 1, key);
	return true;
}

static int wrong;

static void judge(const char *name, bool whole, unsigned int least, unsigned int planted,
		  unsigned int found)
{
	printf("%s: %s, compares %u times, and depends on secrets in %u places%s\n", name,
	       whole ? "ends" : "breaks off", compared, found, planted ? ", as planted" : "");
	wrong |= !whole || compared < least || (planted ? found < planted : found);
}

/*
 * Runs a part: it has to come to its end and to compare secrets at least so many times, as one that
 * does not get there finds nothing; and to have no branch and no address that depends on one, or,
 * where comparisons that end early are planted, to have them in so many places at least.
 */
#define RUN(name, least, planted, call)                          \
	do {                                                     \
		unsigned int before = VALGRIND_COUNT_ERRORS;     \
		bool whole;                                      \
		reset();                                         \
		compared = 0;                                    \
		whole = call;                                    \
		judge(name, whole, least, planted, VALGRIND_COUNT_ERRORS - before); \
	} while (0)

static void run(bool planted)
{
	early = planted;
	RUN("first MAC", 1, planted * 1, (mac1(public, initiation), true));
	RUN("second MAC", 2, planted * 2, (mac2(private, initiation, secret), true));
	RUN("initiator", 2, planted * 2,
	    initiate(private, public, psk, ephemeral, response, keys));
	RUN("responder", 2, planted * 2,
	    respond(private, public, psk, ephemeral, initiation, keys));
	RUN("tag", 16, planted * 16, open_small());
	RUN("comparison", 1, planted * 1, (release_eq(secret, 32, key, 32), true));
}

int main(void)
{
	if (!RUNNING_ON_VALGRIND) {
		printf("not under valgrind\n");
		return 1;
	}
	/* Lines are in order with those of valgrind. */
	setbuf(stdout, NULL);
	run(false);
	RUN("MACs", 0, 0, (add_macs(public, initiation), true));
	run(true);
	early = false;
	RUN("first MAC of another suite", 0, 1, (early_mac1(public, initiation), true));
	RUN("second MAC of another suite", 0, 2, (early_mac2(private, initiation, secret), true));
	return wrong;
}
