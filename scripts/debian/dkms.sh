#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dkms.sh check RELEASE KDIR [DIRECTORY]: says whether the module can be built, in DIRECTORY, for a kernel on
# this machine. If the kernel or the machine lacks something, the status is 77, and one line says what.
# dkms.sh build RELEASE KDIR: builds it, in the directory that this script is in.
# dkms.sh installed RELEASE ARCHITECTURE TREE: puts the kernel's own module back where it was, if DKMS, whose tree
# that is, has taken it away.

set -euo pipefail

# What one run of rustc takes, and what metadata does on disk.
MEMORY=1100
DISK=400

top=$(dirname "$(readlink -f "$0")")/..

cannot() {
	echo "wireguard-rust: $*; kernel $release keeps its own driver" >&2
	exit 77
}

# The line of a command that may find that something is missing. That it fails is another matter.
try() {
	local output status=0
	output=$("$@" 2>&1) || status=$?
	case $status in
	0) ;;
	77) cannot "${output#*: }" ;;
	*) echo "$output" >&2; exit "$status" ;;
	esac
}

check_machine() {
	local memory disk
	memory=$(awk '/^(MemAvailable|SwapFree):/ { kb += $2 } END { print int(kb / 1024) }' /proc/meminfo)
	[ "$memory" -ge "$MEMORY" ] || cannot "the build needs $MEMORY MB of memory, and $memory MB are free"
	disk=$(df --output=avail --block-size=1M "$place" | tail -n 1)
	[ "$disk" -ge "$DISK" ] || cannot "the build needs $DISK MB in $place, and $disk MB are free"
}

# Headers with metadata: all there is to ask is whether the compiler is the same.
check_compilers() {
	local want have
	want=$(sed -n 's/^CONFIG_RUSTC_VERSION_TEXT="\(.*\)"$/\1/p' "$kdir/include/config/auto.conf")
	have=$(rustc --version 2>/dev/null) || cannot "rustc is missing; it was built with $want"
	[ "$want" = "$have" ] || cannot "it was built with $want, and this is $have"
	bindgen --version >/dev/null 2>&1 || cannot "bindgen is missing"
}

# Sets where the kernel's rust/ comes from: what was packaged, or linux-source if that is installed.
find_source() {
	local series tarball
	version=$("$top/scripts/rust-metadata.sh" --version "$kdir")
	! grep -qxF "$version" "$top/linux-rust.versions" || { from=$top/linux-rust.tar.xz; return; }
	series=$(cut -d . -f 1,2 <<<"$version")
	for tarball in "/usr/src/linux-source-$series".tar.*; do
		[ -e "$tarball" ] || continue
		[ "$(dpkg-query --show --showformat '${Version}' "linux-source-$series" 2>/dev/null)" != "$version" ] ||
			{ from=$tarball; return; }
	done
	cannot "rust/ of its source, version $version, is neither in this package nor in an installed linux-source-$series (apt install linux-source-$series=$version)"
}

check() {
	local series
	series=$(sed -n 's/^\([0-9]*\.[0-9]*\)[.-].*/\1/p' <<<"$release")
	grep -qxF "${series:-none}" "$top/linux-series" ||
		cannot "of Linux, only the series $(paste -sd ' ' "$top/linux-series") are supported"
	[ -e "$kdir/.config" ] || [ -e "$kdir/include/config/auto.conf" ] || cannot "there are no headers in $kdir"
	if [ -e "$kdir/rust/libkernel.rmeta" ]; then
		check_compilers
	else
		try "$top/scripts/rust-metadata.sh" --check "$kdir"
		find_source
	fi
}

build() {
	local source=$PWD/linux-rust metadata=$PWD/kdir
	check
	if [ ! -e "$kdir/rust/libkernel.rmeta" ]; then
		rm -rf "$source" "$metadata"
		if [ "$from" = "$top/linux-rust.tar.xz" ]; then
			tar -xf "$from" "linux-rust/$version"
		else
			"$top/scripts/rust-source.sh" "$from" "$version" "$source/$version"
		fi
		"$top/scripts/rust-metadata.sh" "$kdir" "$source/$version" "$metadata"
		kdir=$metadata
	fi
	make KDIR="$kdir" modules
}

# keep_original ARCHITECTURE TREE: DKMS moves the kernel's own module to its tree, and back when it removes this one.
# Meanwhile there would be none to load if this one cannot be, or to change back to. Once it is where it was, DKMS
# is not to move it back any more, as it might be over that of a newer build.
keep_original() {
	local original path new
	for original in "$2/wireguard-rust/original_module/$release/$1"/wireguard.ko*; do
		[ -e "$original.origin" ] || continue
		path=$(head -n 1 "$original.origin")
		[[ $path == */kernel/* ]] || continue
		if [ ! -s "$path" ]; then
			mkdir -p "${path%/*}"
			# There is never a part of it under its name.
			new=${path%/*}/.${path##*/}.new
			{ cp -a "$original" "$new" && sync "$new" && mv "$new" "$path"; } || { rm -f "$new"; return 1; }
			sync "${path%/*}"
		fi
		rm -f "$original" "$original.origin"
	done
}

[ $# -ge 3 ] || { echo "usage: $0 check|build RELEASE KDIR [DIRECTORY] | installed RELEASE ARCHITECTURE TREE" >&2; exit 1; }
release=$2 kdir=$3 place=${4:-$top}
case $1 in
# What is free is asked once: DKMS takes a build that cannot go on for one that has failed.
check) check && check_machine ;;
build) build ;;
installed) keep_original "$3" "$4" ;;
*) echo "$0: check, build or installed, not $1" >&2; exit 1 ;;
esac
