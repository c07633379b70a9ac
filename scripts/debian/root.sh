#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# root.sh: makes the packaging root, in which packages are made and tried, and prints its path. It is the
# build root with what makes packages in addition.
# root.sh user: the same for a root as a user has it, which boots.
# root.sh user arm64: the same for arm64. As no program of arm64 runs on the host, a guest sets it up. The
# status is 3 if the mirror has nothing for arm64.
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

kernel=stock root=${1:-packaging}-root
case $* in
'') functions=(get install make_root) ;;
user) functions=(get install make_user_root) ;;
'user arm64')
	kernel=stock-arm64 root=user-arm64-root
	functions=(foreign_apt make_foreign_root)
	tools=$("$WG_TOP/scripts/arm64/root.sh") || exit
	;;
*) die "usage: $0 [user [arm64]]" ;;
esac

releases=
for name in "$kernel" "$kernel-7.2"; do
	status=0
	directory=$("$WG_TOP/scripts/prepare-kernel.sh" "$name") || status=$?
	# The archive need not have an older series any more.
	[ "$status" -ne 3 ] || [ "$name" = "$kernel" ] || continue
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

# foreign_apt COMMAND...: this machine's apt, for one of arm64 whose root is $part.
foreign_apt() {
	in_root "$tools" apt-get -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
		-o "Dir::State=$part/var/lib/apt" -o "Dir::State::Status=$part/var/lib/dpkg/status" \
		-o "Dir::Cache=$part/var/cache/apt" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= "$@"
}

make_foreign_root() {
	local part=$1 release
	need_root
	need_space "$WG_CACHE" 3000
	need_command debootstrap debootstrap
	rm -rf --one-file-system "$part"
	mkdir -p "$part"
	step "Debian $suite of arm64, as a user has it" debootstrap --foreign --arch=arm64 --variant=minbase \
		"$suite" "$part" "$mirror"
	cp "$build_root"/etc/apt/sources.list "$part/etc/apt/"
	cp "$build_root"/etc/apt/apt.conf.d/9* "$part/etc/apt/apt.conf.d/"
	echo force-unsafe-io >"$part/etc/dpkg/dpkg.cfg.d/cache"
	mkdir -p "$part"/var/{lib/apt/lists,cache/apt/archives}/partial
	step "package lists" foreign_apt update
	# shellcheck disable=SC2086
	step "download: packages" foreign_apt install --yes --download-only '?priority(required)' $machine
	# shellcheck disable=SC2016,SC2086
	step "packages, in a guest (half an hour)" "$WG_TOP/qemu-test/vm" --kernel stock-arm64 --driver none \
		--mem 2G --timeout 10000 --share "$part" -- bash -euxc '
			chroot "$0" /debootstrap/debootstrap --second-stage
			for directory in dev proc sys; do mount --rbind "/$directory" "$0/$directory"; done
			DEBIAN_FRONTEND=noninteractive chroot "$0" apt-get install --yes --no-download "$@"
		' "$part" $machine
	step "package archives removed" foreign_apt clean
	for release in $releases; do
		step "download: linux-image-$release" foreign_apt install --yes --download-only \
			--target-release "$suite-backports" "linux-image-$release"
	done
}

root=$WG_CACHE/$root-$({
	echo "$build_root $suite $packages $dependencies $machine $releases"
	declare -f "${functions[@]}"
} | key)
cached "$root" "${functions[-1]}"
echo "$root"
