#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# rust-metadata.sh HEADERS SOURCE DIRECTORY [ARG...]: makes the metadata of the kernel's own Rust crates,
# which Debian's linux-headers lack, and with it DIRECTORY, a KDIR that modules are built against.
# rust-metadata.sh --check HEADERS [SOURCE]: says whether it can.
# rust-metadata.sh --version HEADERS: prints which version SOURCE has to have.
#
# HEADERS is the directory of an installed or unpacked linux-headers-RELEASE, with its -common and
# linux-kbuild beside it as they are packaged. SOURCE is what rust-source.sh copies, of the same
# version to the letter: crates of another might be laid out in another way, and nothing would notice.
# DIRECTORY cannot be moved, and HEADERS must stay. ARG... are for make.
#
# Needs neither root nor the build root, but the compilers that the kernel was built with. The status is
# 77 if something is missing that this kernel, or this machine, would have to have; then there is one
# line that says what. Any other failure is one of this script.

set -euo pipefail

usage() {
	echo "usage: $0 HEADERS SOURCE DIRECTORY [ARG...] | --check HEADERS [SOURCE] | --version HEADERS" >&2
	exit 1
}

# What a kernel or machine lacks.
cannot() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 77
}

# setting NAME: prints its value in the kernel's configuration.
setting() {
	sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$headers/.config"
}

# upstream MAKEFILE: prints the version of the kernel whose Makefile it is.
upstream() {
	awk '/^VERSION =/ { v = $3 } /^PATCHLEVEL =/ { p = $3 } /^SUBLEVEL =/ { s = $3 }
		/^EXTRAVERSION =/ { e = $3 } /^NAME =/ { exit }
		END { print v "." p "." s e }' "$1"
}

find_headers() {
	local included
	[ -e "$headers/.config" ] && [ -e "$headers/Module.symvers" ] ||
		cannot "$headers is not the directory of a linux-headers package"
	release=$(cat "$headers/include/config/kernel.release" 2>/dev/null ||
		sed -n 's/^override KERNELRELEASE = //p' "$headers/.kernelvariables")
	included=$(sed -n 's/^include \(.*\)\/Makefile$/\1/p' "$headers/Makefile")
	common=$(dirname "$headers")/${included##*/}
	[ -n "$included" ] && [ -e "$common/Makefile" ] ||
		cannot "the headers of $release are not laid out as Debian's are; nothing is known of others without Rust metadata"
	kbuild=$(readlink -e "$headers/scripts") && tools=$(readlink -e "$headers/tools") ||
		cannot "linux-kbuild of $release is missing"
}

check_kernel() {
	[ "$(setting CONFIG_RUST)" = y ] || cannot "kernel $release is built without Rust"
}

# The version of the package that the headers are from, or nothing.
package_version() {
	sed -n 's/^#define LINUX_PACKAGE_ID " .* \(.*\)"$/\1/p' "$headers/include/generated/package.h" \
		2>/dev/null || true
}

check_source() {
	local theirs ours
	[ -e "$source/rust/Makefile" ] || cannot "rust/ of the source of kernel $release is not there ($source)"
	theirs=$(package_version)
	ours=$(cat "$source/version" 2>/dev/null) || true
	if [ -z "$theirs" ] || [ -z "$ours" ]; then
		theirs=$(upstream "$common/Makefile")
		ours=$(upstream "$source/Makefile")
	fi
	[ "$theirs" = "$ours" ] ||
		cannot "rust/ is that of $ours, and kernel $release is $theirs: they have to be the same"
}

# check_tool COMMAND CONFIG: the same version as the kernel was built with.
check_tool() {
	local want have
	want=$(setting "$2")
	have=$("$1" --version 2>/dev/null) || cannot "$1 is missing; kernel $release was built with $want"
	[ "$want" = "$have" ] || cannot "kernel $release was built with $want, and this is $have"
}

find_library() {
	local version
	version=$(rustc --version | cut -d ' ' -f 2)
	for library in "${RUST_LIB_SRC-}" "/usr/src/rustc-$version/library" \
		"$(rustc --print sysroot)/lib/rustlib/src/rust/library"; do
		[ ! -d "$library/core" ] || return 0
	done
	cannot "the sources of Rust's library are missing (rust-src)"
}

# links FROM... TO: links to what is in the directories FROM, the first one that has a name.
links() {
	local to=${!#} from file
	for from in "${@:1:$#-1}"; do
		for file in "$from"/*; do
			[ -L "$to/${file##*/}" ] || [ -e "$to/${file##*/}" ] || ln -s "$file" "$to/"
		done
	done
}

# The source tree as far as it is needed. A header includes one by its path from include/uapi/, so that
# one is a directory.
make_source() {
	local tree=$directory/source
	mkdir -p "$tree/include/uapi" "$tree/scripts"
	cp "$common/Makefile" "$tree/"
	# Nothing of what is there already is configured or made again.
	printf '\nifndef need-sub-make\nrust-metadata: FORCE\n\t$(Q)$(MAKE) $(build)=rust\nendif\n' \
		>>"$tree/Makefile"
	ln -s "$source/rust" "$source/drivers" "$tree/"
	links "$common/include/uapi" "$tree/include/uapi"
	links "$common/include" "$tree/include"
	links "$source/scripts" "$common/scripts" "$kbuild" "$tree/scripts"
	links "$common" "$tree"
}

make_objects() {
	local config=$directory/include/config
	cp -a "$headers"/{include,arch,.config,Module.symvers} "$directory/"
	[ ! -e "$headers/.kernelvariables" ] || cp "$headers/.kernelvariables" "$directory/"
	[ ! -e "$headers/vmlinux" ] || ln -s "$headers/vmlinux" "$directory/"
	ln -s "$tools" "$directory/tools"
	mkdir "$directory/scripts"
	links "$kbuild" "$directory/scripts"
	# Made by the configuration, hence newer than what it would be made from.
	: >"$config/auto.conf.cmd"
	touch "$config"/auto.conf{,.cmd} "$directory"/include/generated/{autoconf.h,rustc_cfg}
	if [ "$(setting CONFIG_X86_64)" = y ]; then
		rm -f "$directory/scripts/target.json"
		rustc --edition=2021 -O -o "$directory/generate_rust_target" \
			"$source/scripts/generate_rust_target.rs"
		"$directory/generate_rust_target" <"$config/auto.conf" >"$directory/scripts/target.json"
		rm "$directory/generate_rust_target"
	fi
	printf 'KBUILD_OUTPUT=%s\ninclude %s\n' "$directory" "$directory/source/Makefile" \
		>"$directory/Makefile"
}

# Fails unless what was made has the symbols that the kernel exports. A few are generated by the one use
# or the other.
compare() {
	local theirs ours all missing
	theirs=$(awk '$2 ~ /^_R/ && $3 == "vmlinux" { print $2 }' "$directory/Module.symvers" | LC_ALL=C sort -u)
	ours=$(nm --defined-only --format=just-symbols "$directory"/rust/*.o | LC_ALL=C sort -u)
	all=$(wc -l <<<"$theirs")
	missing=$(LC_ALL=C comm -23 <(echo "$theirs") <(echo "$ours") | wc -l)
	echo "$((all - missing)) of $all exported Rust symbols of $release are the same"
	[ "$all" -gt 1 ] && [ $((missing * 50)) -le "$all" ]
}

# What was needed for the comparison alone.
shrink() {
	rm -rf "$directory"/rust/*.o "$directory"/rust/host "$directory"/rust/*/*.o
	strip --strip-unneeded "$directory"/rust/*.so
}

mode=metadata
case ${1-} in --check | --version) mode=${1#--}; shift ;; esac
[ $# -ge 1 ] || usage
headers=$(readlink -e "$1") || cannot "no such directory: $1"
find_headers
if [ "$mode" = version ]; then
	version=$(package_version)
	echo "${version:-$(upstream "$common/Makefile")}"
	exit
fi
check_kernel
if [ $# -ge 2 ]; then
	source=$(readlink -m "$2")
	check_source
fi
check_tool rustc CONFIG_RUSTC_VERSION_TEXT
check_tool bindgen CONFIG_BINDGEN_VERSION_TEXT
find_library
[ "$mode" = metadata ] || exit 0

[ $# -ge 3 ] || usage
directory=$(readlink -m "$3")
shift 3
[ ! -e "$directory" ] || { echo "$0: $directory exists" >&2; exit 1; }
mkdir -p "$directory"
trap 'rm -rf "$directory"' EXIT
make_source
make_objects
RUST_LIB_SRC=$library make -C "$directory/source" O="$directory" "$@" rust-metadata
compare
shrink
trap - EXIT
