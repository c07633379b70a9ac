#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds boringtun-cli, a WireGuard in user space, for tests of interoperation, and puts it into
# the checkout, target/boringtun/, where guests find it. It comes from the package registry that
# cargo is configured to, and is kept in the cache.

. "$(dirname "$0")/../../scripts/lib.sh"

VERSION=0.6.0

build() {
	step "boringtun-cli $VERSION" "$WG_TOP/scripts/cargo.sh" install --quiet --locked --root "$1" \
		--target-dir "$1.target" "boringtun-cli@$VERSION"
	rm -rf "$1.target"
}

need_root
root=$("$WG_TOP/scripts/build-root.sh")
directory=$WG_CACHE/boringtun-$VERSION-$(chroot "$root" dpkg-query --show cargo rustc libc6 | key)
cached "$directory" build
mkdir -p "$WG_TOP/target/boringtun"
cp --update "$directory/bin/boringtun-cli" "$WG_TOP/target/boringtun/"
