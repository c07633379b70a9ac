#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# root.sh: makes the packaging root, in which packages are made and tried, and prints its path. It is the
# build root with what makes packages in addition.
# root.sh user: the same for a root as a user has it, which boots.
#
# The packages that tests install are in its apt's cache, so that tests need no network.

. "$(dirname "$0")/../lib.sh"

build_root=$("$WG_TOP/scripts/build-root.sh")
suite=$(awk '/^deb / { print $3; exit }' "$build_root/etc/apt/sources.list")
mirror=${DEBIAN_MIRROR:-$(awk '/^deb / { print $2; exit }' "$build_root/etc/apt/sources.list")}
packages=$(recipe "$WG_TOP/scripts/debian/root-packages" | tr '\n' ' ')
# What wireguard-rust-dkms depends on, and what a machine has.
dependencies="bindgen clang dkms rust-src rustc"
machine="e2fsprogs initramfs-tools iproute2 iputils-ping kmod openssl procps systemd-sysv udev wireguard-tools zstd"

releases=
for name in stock stock-7.2; do
	status=0
	directory=$("$WG_TOP/scripts/prepare-kernel.sh" "$name") || status=$?
	# The archive need not have an older series any more.
	[ "$status" -ne 3 ] || [ "$name" = stock ] || continue
	[ "$status" -eq 0 ] || exit "$WG_FAILURE"
	releases+=" $(cat "$directory/release")"
done

get() {
	step "download: $1" in_root "$part" apt-get install --yes --download-only \
		--target-release "$suite-backports" "$@"
}

install() {
	# shellcheck disable=SC2086
	step "packages" in_root "$part" env DEBIAN_FRONTEND=noninteractive apt-get install --yes "$@"
	step "package archives removed" in_root "$part" apt-get clean
}

make_root() {
	local part=$1 release
	need_root
	need_space "$WG_CACHE" 5000
	rm -rf --one-file-system "$part"
	step "copy of the build root" cp -a --reflink=auto "$build_root" "$part"
	step "package lists" in_root "$part" apt-get update
	# shellcheck disable=SC2086
	install $packages
	for release in $releases; do
		get "linux-headers-$release" "linux-modules-$release"
	done
	# The suite's own kernel, which has no Rust.
	step "download: linux-headers-cloud-amd64" in_root "$part" apt-get install --yes --download-only \
		linux-headers-cloud-amd64
}

make_user_root() {
	local part=$1 release
	need_root
	need_space "$WG_CACHE" 3000
	need_command debootstrap debootstrap
	rm -rf --one-file-system "$part"
	mkdir -p "$part"
	step "Debian $suite, as a user has it" debootstrap --variant=minbase "$suite" "$part" "$mirror"
	cp "$build_root"/etc/apt/sources.list "$part/etc/apt/"
	cp "$build_root"/etc/apt/apt.conf.d/9* "$part/etc/apt/apt.conf.d/"
	echo force-unsafe-io >"$part/etc/dpkg/dpkg.cfg.d/cache"
	step "package lists" in_root "$part" apt-get update
	# shellcheck disable=SC2086
	install $machine
	# The compilers are the suite's: those of backports are newer than what kernels are built with.
	# shellcheck disable=SC2086
	step "download: compilers" in_root "$part" apt-get install --yes --download-only $dependencies
	for release in $releases; do
		get "linux-image-$release" "linux-headers-$release"
	done
}

case ${1-} in
'') make=make_root ;;
user) make=make_user_root ;;
*) die "usage: $0 [user]" ;;
esac
root=$WG_CACHE/${1:-packaging}-root-$({
	echo "$build_root $suite $packages $dependencies $machine $releases"
	declare -f get install "$make"
} | key)
cached "$root" "$make"
echo "$root"
