#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# root.sh: makes the root that modules for kernels of arm64 are built in, and their virtual machines run in,
# and prints its path. It is the build root with cross compilers and an emulator in addition.
# root.sh guest: the same for the root that guests of arm64 have. It has the packages that the build root
# has for guests, unpacked: nothing of another machine's is run here. What their scripts would have made is
# as in the build root. The status is 3 if the mirror has nothing for arm64.

. "$(dirname "$0")/../lib.sh"

build_root=$("$WG_TOP/scripts/build-root.sh")
suite=$(awk '/^deb / { print $3; exit }' "$build_root/etc/apt/sources.list")
packages=$(sed '/^# In guests/,$d' "$WG_TOP/scripts/arm64/root-packages" | recipe | tr '\n' ' ')
in_guests=$(sed -sn '/^# In guests/,$p' "$WG_TOP"/scripts/{packages,arm64/root-packages} | recipe | tr '\n' ' ')
backports="wireguard-tools"

make_root() {
	local part=$1
	need_root
	need_space "$WG_CACHE" 5000
	rm -rf --one-file-system "$part"
	step "copy of the build root" cp -a --reflink=auto "$build_root" "$part"
	in_root "$part" dpkg --add-architecture arm64
	step "package lists, with arm64" in_root "$part" sh -euc '
		update() { apt-get -o APT::Update::Error-Mode=any "$@" update; }
		# That there is none is another matter than that it cannot be asked.
		{ update && apt-cache show libc6:arm64; } || { update -o APT::Architectures=amd64 && touch /none; }'
	if [ -e "$part/none" ]; then
		rm -rf --one-file-system "$part"
		WG_FAILURE=3
		die "the mirror has nothing for arm64"
	fi
	# shellcheck disable=SC2086
	step "cross compilers, emulator" in_root "$part" env DEBIAN_FRONTEND=noninteractive \
		apt-get install --yes $packages
	step "package archives removed" in_root "$part" apt-get clean
}

# get DIRECTORY: the packages of a machine that has nothing yet.
get() {
	# Locks are beside the status.
	local apt=(apt-get -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State::Status=$1/status"
		-o "Dir::Cache::Archives=$1" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
	mkdir -p "$1/partial"
	: >"$1/status"
	# shellcheck disable=SC2086
	in_root "$root" "${apt[@]}" install --yes --download-only '?priority(required)' $in_guests \
		${backports:+$(printf "%s/$suite-backports " $backports)}
}

# furnish ROOT: with what is the same on all machines, where it is missing: configuration, with accounts and
# alternatives, and what the interpreter has compiled.
furnish() {
	local link file
	cd "$build_root"
	rm -f "$1/etc/ld.so.cache"
	tar -cf - --exclude=ld.so.cache etc | tar -C "$1" -xf - --skip-old-files
	find usr -type l -lname '/etc/alternatives/*' | while read -r link; do
		file=$(readlink "$link")
		file=$(readlink "./$file")
		[ ! -e "$1/$file" ] || [ -e "$1/$link" ] || [ -L "$1/$link" ] || ln -s "$(readlink "$link")" "$1/$link"
	done
	find usr -type d -name __pycache__ | while read -r file; do
		[ ! -d "$1/${file%/*}" ] || cp -a "$file" "$1/${file%/*}/"
	done
}

make_guest_root() {
	local part=$1 link
	need_root
	need_space "$WG_CACHE" 2000
	rm -rf --one-file-system "$part"
	mkdir -p "$part"/{mnt,media,opt,srv,usr/{bin,sbin,lib}}
	for link in bin sbin lib; do
		ln -s "usr/$link" "$part/$link"
	done
	step "package lists" update_lists "$root"
	step "download: packages of arm64" get "$part/archives"
	step "packages" in_root "$root" sh -euc 'for deb in "$1"/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -C "$2" -xf - --keep-directory-symlink
	done' sh "$part/archives" "$part"
	rm -r "$part/archives"
	step "configuration" furnish "$part"
}

root=$WG_CACHE/arm64-root-$({
	echo "$build_root $packages"
	declare -f make_root
} | key)
# What is asked for more than once in a run is not asked of the mirror each time.
none=$root.none
if [ -n "$(find "$none" -mmin -60 2>/dev/null)" ]; then
	WG_FAILURE=3
	die "the mirror had nothing for arm64 within the last hour; remove $none to ask it again"
fi
trap '[ $? -ne 3 ] || touch "$none"' EXIT
cached "$root" make_root
case ${1-} in
'') ;;
guest)
	guest_root=$WG_CACHE/arm64-guest-root-$({
		echo "$build_root $suite $in_guests $backports"
		declare -f make_guest_root get furnish
	} | key)
	cached "$guest_root" make_guest_root
	root=$guest_root
	;;
*) die "usage: $0 [guest]" ;;
esac
echo "$root"
