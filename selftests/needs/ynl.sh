#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the kernel's test of its netlink specification for WireGuard, tools/net/ynl/tests/wireguard.c,
# from the source of the stock kernel, and puts it into the checkout, target/ynl/, where guests
# find it.

. "$(dirname "$0")/../../scripts/lib.sh"

# A tree to build in: copies of what is made there, and the rest as it is. Of all families just
# ours, and without the address sanitizer.
# shellcheck disable=SC2016
BUILD='set -eu
	source=$1 tree=$2
	rm -rf "$tree"
	mkdir -p "$tree/tools/net"
	cp -r "$source/tools/net/ynl" "$tree/tools/net/"
	ln -s "$source/include" "$source/Documentation" "$source/MAINTAINERS" "$tree/"
	ln -s "$source/tools/scripts" "$source/tools/testing" "$tree/tools/"
	ynl=$tree/tools/net/ynl
	make -C "$ynl/lib"
	make -C "$ynl/generated" GENS=wireguard protos.a
	make -C "$ynl/tests" NDEBUG=1 TEST_GEN_PROGS=wireguard TEST_GEN_FILES= wireguard
	cp "$ynl/tests/wireguard" "$tree/"
	rm -r "$tree/tools"'

build() {
	step "test of the netlink specification" in_root "$root" sh -c "$BUILD" sh "$source" "$1"
}

need_root
root=$("$WG_TOP/scripts/build-root.sh")
source=$(realpath "$("$WG_TOP/scripts/prepare-kernel.sh" stock)/kdir/source")
directory=$WG_CACHE/ynl-$(echo "$source $BUILD" | key)
cached "$directory" build
mkdir -p "$WG_TOP/target/ynl"
cp --update "$directory/wireguard" "$WG_TOP/target/ynl/"
