#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the packaging root, in which packages are made and tried as on a user's machine, and prints its
# path. It is a Debian of the build root's suite and mirrors. The packages of the kernels that tests
# install, with their headers, are in its apt's cache, so that tests need no network.

. "$(dirname "$0")/../lib.sh"

build_root=$("$WG_TOP/scripts/build-root.sh")
packages=$(recipe "$WG_TOP/scripts/debian/root-packages" | tr '\n' ' ')
read -r suite mirror <<<"$(awk '/^deb / { print $3, $2; exit }' "$build_root/etc/apt/sources.list")"
mirror=${DEBIAN_MIRROR:-$mirror}

# The kernels that tests install: those that guests run, and the suite's own, which has no Rust.
kernels=
for name in stock stock-7.2; do
	directory=$("$WG_TOP/scripts/prepare-kernel.sh" "$name") || exit "$WG_FAILURE"
	release=$(cat "$directory/release")
	kernels+=" linux-headers-$release linux-modules-$release"
done

make_root() {
	local part=$1 kernel
	need_root
	need_space "$WG_CACHE" 5000
	need_command debootstrap debootstrap
	# What an interrupted run got is gone on with.
	[ -e "$part/etc/dpkg/dpkg.cfg.d/cache" ] || {
		rm -rf --one-file-system "$part"
		mkdir -p "$part"
		step "Debian $suite, for packages" debootstrap --variant=minbase "$suite" "$part" "$mirror"
	}
	cp "$build_root"/etc/apt/sources.list "$part/etc/apt/"
	cp "$build_root"/etc/apt/apt.conf.d/9* "$part/etc/apt/apt.conf.d/"
	echo force-unsafe-io >"$part/etc/dpkg/dpkg.cfg.d/cache"
	step "package lists" in_root "$part" apt-get update
	# shellcheck disable=SC2086
	step "packages" in_root "$part" env DEBIAN_FRONTEND=noninteractive apt-get install --yes $packages
	step "package archives removed" in_root "$part" apt-get clean
	for kernel in $kernels; do
		step "download of $kernel" in_root "$part" apt-get install --yes --download-only \
			--target-release "$suite-backports" "$kernel"
	done
	step "download of the suite's headers" in_root "$part" apt-get install --yes --download-only \
		linux-headers-cloud-amd64
}

root=$WG_CACHE/packaging-root-$({
	echo "$suite $packages $kernels"
	declare -f make_root
} | key)
cached "$root" make_root
echo "$root"
