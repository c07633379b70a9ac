#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cargo.sh ARG...: runs cargo in the build root, which has the compiler that the module is built
# with. Where crates come from is what the host's cargo is configured to; they stay in the cache.

. "$(dirname "$0")/lib.sh"

root=$("$WG_TOP/scripts/build-root.sh")
need_root
home=$WG_CACHE/cargo
mkdir -p "$home"
for file in "${CARGO_HOME:-$HOME/.cargo}"/config{,.toml}; do
	[ ! -f "$file" ] || cp "$file" "$home/"
done
in_root "$root" env CARGO_HOME="$home" CARGO_TARGET_DIR="$WG_TOP/target" \
	RUSTFLAGS="${RUSTFLAGS-}" LLVM_PROFILE_FILE="${LLVM_PROFILE_FILE-}" \
	WG_MODELS_PREEMPTIONS="${WG_MODELS_PREEMPTIONS-}" \
	cargo "$@"
