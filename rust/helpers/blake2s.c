// SPDX-License-Identifier: GPL-2.0

#include <crypto/blake2s.h>

__rust_helper void rust_helper_blake2s_init(struct blake2s_ctx *ctx, size_t outlen)
{
	blake2s_init(ctx, outlen);
}

__rust_helper void rust_helper_blake2s_init_key(struct blake2s_ctx *ctx, size_t outlen,
						const void *key, size_t keylen)
{
	blake2s_init_key(ctx, outlen, key, keylen);
}
